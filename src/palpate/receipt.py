"""Receipts: records of what each output of the workflow was made from, stored beside it or in it, and read to plan.

The workflow orders each step with the digests of the step's own settings, its program and its libraries, and with the
step's inputs by their roles. A step that succeeds leaves a receipt with these digests and those of the contents of the
inputs: in an output folder, or beside an output file. Whether an output is up to date follows from its receipt alone,
so that a study that was copied is still up to date, and one whose inputs changed under the same times is not.
A receipt names no path: the folder of a scan is often named after the patient.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from palpate.bounded_read import read_bounded
from palpate.content_digest import Content, content_of, digest, state_of
from palpate.errors import InputError
from palpate.folder_walk import walk_folder
from palpate.launcher import launcher_rank
from palpate.leftovers import partial_of
from palpate.program import Program
from palpate.progress import say

ORDER = "PALPATE_RECEIPT"
"""Environment variable with the order that the workflow gives to one step."""
NAME = ".receipt.json"
"""Name of the receipt in an output folder."""
_OUTPUT = "output"
_FILES = "files"

type Receipt = Mapping[str, Any]
"""Receipt as it is stored: "made_by", "contents" of the inputs by role and of the "output", "from", the receipts of
the inputs by role, and "files", the relative names of the files that the step wrote into an output folder."""


@dataclass(frozen=True, slots=True)
class Order:
    """Order of the workflow to one step.

    Attributes:
        command: name below palpate.cli.
        output: file or folder that the step makes.
        inputs: files and folders of each role, such as "labels".
        made_by: digests under the keys "program" (the command's source_digest), "libraries", "settings" and "rule".
        frozen: files that must not change after the workflow was started, and their digests at that time.
        makers: orders that make inputs, by the role of the input, for the inputs that the workflow itself makes.
        beside: further files that the step writes together with a file, each with a receipt of its own.
        requested: resources that the workflow reserved for the step, by Snakemake's names. They decide nothing.
        final: whether no later step reads the output folder, so that it is out of date where a file in it was changed.
            A folder that later steps read may be corrected by hand.
    """

    command: str
    output: Path
    inputs: Mapping[str, tuple[Path, ...]]
    made_by: Mapping[str, str]
    frozen: Mapping[Path, str] = field(default_factory=dict)
    makers: Mapping[str, Order] = field(default_factory=dict)
    beside: tuple[Path, ...] = ()
    requested: Mapping[str, float] = field(default_factory=dict)
    final: bool = False

    def to_json(self) -> str:
        """Return the text of the variable PALPATE_RECEIPT, which leaves out the makers."""
        said = {
            "command": self.command,
            "output": str(self.output),
            "inputs": {role: [str(path) for path in paths] for role, paths in self.inputs.items()},
            "made_by": dict(self.made_by),
            "frozen": {str(path): content for path, content in self.frozen.items()},
            "beside": [str(path) for path in self.beside],
            "requested": dict(self.requested),
            "final": self.final,
        }
        return json.dumps(said)

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Return the order in the variable PALPATE_RECEIPT.

        Raises:
            InputError: the text was not written by `to_json`.
        """
        try:
            said = json.loads(text)
            inputs = {role: tuple(Path(path) for path in paths) for role, paths in said["inputs"].items()}
            frozen = {Path(path): content for path, content in said["frozen"].items()}
            beside = tuple(Path(path) for path in said["beside"])
            made_by, reserved = dict(said["made_by"]), dict(said.get("requested", {}))
            return cls(
                str(said["command"]),
                Path(said["output"]),
                inputs,
                made_by,
                frozen,
                beside=beside,
                requested=reserved,
                final=bool(said.get("final", False)),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            advice = "Unset the variable; only the workflow uses it."
            raise InputError(ORDER, found="another text", expected="an order", advice=advice) from error


class UpToDate:
    """Check of which outputs are out of date; each output is examined once."""

    def __init__(self) -> None:
        self._known: dict[Path, str | None] = {}
        self._states: dict[tuple[Path, ...], str] = {}

    def change(self, order: Order) -> str | None:
        """Return the reason why an output is out of date.

        Args:
            order: order that the workflow would give to the step now.

        Returns:
            A key of `made_by`, "input-<role>", "inputs" where there are other ones, "earlier-step" where a step before
            this one is out of date, "output" where the file or one beside it was changed later, or "receipt" where
            one of them has none. None where the output is up to date, or missing.
        """
        if not order.output.exists():
            return None
        if order.output not in self._known:
            path = _path(order.output)
            receipt = _read(path)
            of_output = "receipt" if receipt is None else self._compare(order, receipt, path)
            self._known[order.output] = of_output or _change_beside(order)
        return self._known[order.output]

    def _compare(self, order: Order, receipt: Receipt, path: Path | None) -> str | None:
        """Compare an order with the receipt of its output.

        Args:
            order: order for the output.
            receipt: receipt of the output.
            path: path of the receipt; None where the output is missing and a later step kept the receipt.
        """
        for key, value in order.made_by.items():
            if receipt["made_by"].get(key) != value:
                return key
        for role, maker in order.makers.items():
            if self._maker_changed(maker, receipt["from"].get(role)):
                return "earlier-step"
        given = dict(order.inputs)
        if given.keys() != receipt["contents"].keys() - {_OUTPUT}:
            return "inputs"
        if _OUTPUT in receipt["contents"] and path is not None and (order.final or not order.output.is_dir()):
            given[_OUTPUT] = _written_files(order.output, receipt)
        contents = dict(receipt["contents"])
        for role, paths in given.items():
            before = contents[role]
            if not all(one.exists() for one in paths):
                if role == _OUTPUT:
                    return role
                continue  # an input that is missing was judged by its maker's receipt
            if before.settled and before.state == self._state_of(paths):
                continue
            contents[role] = content_of(paths)
            if contents[role].digest != before.digest:
                return role if role == _OUTPUT else f"input-{role}"
        if path is not None and contents != receipt["contents"]:  # copied: the same contents in other files
            _write(path, {**receipt, "contents": contents})
        return None

    def _state_of(self, paths: tuple[Path, ...]) -> str:
        """Return the state of files and folders; several steps read the same ones."""
        if paths not in self._states:
            self._states[paths] = state_of(paths)
        return self._states[paths]

    def _maker_changed(self, maker: Order, kept: Receipt | None) -> bool:
        if maker.output.exists():
            return self.change(maker) is not None
        return kept is not None and self._compare(maker, _parsed(kept), None) is not None


@dataclass(frozen=True, slots=True)
class _Begun:
    order: Order
    contents: Mapping[str, Content]
    receipts: Mapping[str, Any]


_begun: list[_Begun] = []
"""Order that this process carries out, if any."""


def begin(text: str) -> None:
    """Accept the workflow's order before its step begins.

    Args:
        text: text of the variable PALPATE_RECEIPT.

    Raises:
        InputError: the text is no order, or the program or a file that it names is not the one that the workflow was
            started with.
    """
    _begun.clear()
    order = Order.from_json(text)
    advice = "Start the workflow again; what is finished and unchanged is kept."
    expected = "the same until the workflow has ended"
    if not _same_program(order):
        where, found = f"the source of palpate {order.command}", "another program than at the start of the workflow"
        raise InputError(where, found=found, expected=expected, advice=advice)
    for path, content in order.frozen.items():
        if not path.exists() or digest(path) != content:
            raise InputError(
                path, found="another text than at the start of the workflow", expected=expected, advice=advice
            )
    if launcher_rank() != 0:  # all refuse alike, since a rank that ends alone leaves the others waiting; one signs
        return
    contents = {role: content_of(paths) for role, paths in order.inputs.items()}
    receipts = {role: _read_raw(_path(paths[0])) for role, paths in order.inputs.items() if len(paths) == 1}
    _begun.append(_Begun(order, contents, {role: one for role, one in receipts.items() if one is not None}))


def requested() -> Mapping[str, float]:
    """Return the resources that the workflow reserved for the step of this process; empty without an order."""
    return _begun[0].order.requested if _begun else {}


def sign(partial: Path, output: Path) -> None:
    """Write the receipt of a finished output, or of a file beside it, if the workflow ordered it.

    Where an input or the program changed meanwhile there is no receipt, so that the step runs again next time.

    Args:
        partial: the folder under its temporary name, or the finished file.
        output: its final name.
    """
    if not _begun:
        return
    order, contents = _begun[0].order, dict(_begun[0].contents)
    if Path(output).resolve() not in [one.resolve() for one in (order.output, *order.beside)]:
        return
    files = _files_in(partial) if partial.is_dir() and order.final else ()
    if partial.is_file() or order.final:
        contents[_OUTPUT] = content_of([partial / name for name in files] if partial.is_dir() else [partial])
    told = "so that this step runs again next time"
    if not all(_untouched(contents[role], paths) for role, paths in order.inputs.items()):
        say(f"an input changed while it was read, {told}")
    elif not _same_program(order):
        say(f"the program changed while it ran, {told}")
    else:
        receipt = {"made_by": order.made_by, "contents": contents, "from": _begun[0].receipts, _FILES: files}
        _write(partial / NAME if partial.is_dir() else _path(output), receipt)


def is_as_received(output: Path) -> bool | None:
    """Return whether a file is the one that its receipt is about; None where it has no receipt.

    Args:
        output: a file that exists.
    """
    receipt = _read(_path(output))
    written = None if receipt is None else receipt["contents"].get(_OUTPUT)
    return None if written is None else bool(written.digest == digest(output))


def drop_receipt_of_others(output: Path, partial: Path) -> None:
    """Remove the receipt beside a file that is about to be replaced, unless it describes the new file as well.

    A process that is killed between the rename and `sign` would otherwise leave a new file beside the receipt of the
    earlier one, which looks like a file that somebody edited.

    Args:
        output: the file; it need not exist.
        partial: the new file under its temporary name.
    """
    receipt = _read(_path(output))
    written = None if receipt is None else receipt["contents"].get(_OUTPUT)
    if written is not None and written.digest != digest(partial):
        _path(output).unlink(missing_ok=True)


def _change_beside(order: Order) -> str | None:
    """Return the reason why a file beside an output is not what the step wrote; None where there is none.

    A missing one is none: nothing is made from it, and Snakemake makes it again where it is asked for.
    """
    for path in order.beside:
        if path.exists() and (kept := is_as_received(path)) is not True:
            return "receipt" if kept is None else _OUTPUT
    return None


def _files_in(folder: Path) -> tuple[str, ...]:
    """Return the relative names of all files in a folder that a step has just filled, but for hidden ones."""
    return tuple(one.name.as_posix() for one in walk_folder(folder) if not one.left_out)


def _written_files(output: Path, receipt: Receipt) -> tuple[Path, ...]:
    """Return the files of an output that its receipt describes: what else lies in a folder is somebody's own."""
    return tuple(output / name for name in receipt[_FILES]) if output.is_dir() else (output,)


def _untouched(before: Content, paths: Sequence[Path]) -> bool:
    try:
        return before.state == state_of(paths)
    except OSError:  # removed meanwhile
        return False


def _same_program(order: Order) -> bool:
    try:
        return Program().source_digest(order.command) == order.made_by.get("program")
    except (OSError, InputError):  # the checkout was removed meanwhile
        return False


def _path(output: Path) -> Path:
    return output / NAME if output.is_dir() else output.with_name(f".{output.name}{NAME}")


def _read(path: Path) -> Receipt | None:
    raw = _read_raw(path)
    return None if raw is None else _parsed(raw)


def _read_raw(path: Path) -> Receipt | None:
    """Return a receipt as it is stored; None where there is none that can be understood."""
    try:
        raw = json.loads(read_bounded(path))
        _parsed(raw)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return raw if isinstance(raw, dict) else None


def _parsed(raw: Receipt) -> Receipt:
    contents = {str(role): Content(**one) for role, one in raw["contents"].items()}
    files = tuple(str(name) for name in raw.get(_FILES, ()))
    return {"made_by": dict(raw["made_by"]), "contents": contents, "from": dict(raw["from"]), _FILES: files}


def _write(path: Path, receipt: Receipt) -> None:
    """Write a receipt as a whole; one that cannot be written costs only that the step runs again."""
    contents = {role: asdict(one) for role, one in receipt["contents"].items()}
    kept = {"made_by": dict(receipt["made_by"]), "contents": contents, "from": dict(receipt["from"])}
    text = json.dumps({**kept, _FILES: list(receipt[_FILES])})
    partial = partial_of(path)
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        say(f"the receipt of this step cannot be written ({error.strerror})")
