"""Outputs: checks of the places where a step may write, and writing of which an interrupted run leaves no part.

A folder or file that a user names with --out is claimed before any work: `claim_folder`, `claim_file`. A claim is
refused where writing would delete anything that the same step did not make. A claimed output is then written under a
hidden name beside its own (palpate.leftovers) and renamed when it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from palpate.as_written import demand_as_written
from palpate.errors import InputError
from palpate.leftovers import notify, partial_of, replaced_of, sweep
from palpate.machine_failures import demand_writable_place, on_this_machine
from palpate.output_kinds import FileKind
from palpate.output_marker import (
    announce_addition,
    is_marked,
    mark,
    note_addition,
    read_mark,
    stranger_in,
    was_edited_inside,
)
from palpate.ownership import owning
from palpate.provenance import atomic_files
from palpate.receipt import is_as_received, sign
from palpate.resources import note_use
from palpate.run_crate.command import note_inputs
from palpate.run_crate.seal import seal

_READ: Final = (
    *("*.nii", "*.nii.gz", "*.mgz", "*.hdr", "*.img", "*.h5", "*.mat", "*.dcm", "*.zip"),
    *("*_ingest.json", "*_inversion.json", "*_wavefield.json", "*_mesh.json", "*_xfm.json"),
    *("truth.json", "forecast.json", "deidentification.json", "labels_mesh.json"),
    *("sessions.tsv", "participants.tsv", "observations.tsv", "treatments.tsv", "labels.tsv", "labels*.tsv"),
)
"""Patterns of names that steps read: a file of such a name is not added to an input."""

_APART: Final = "Name another folder: palpate replaces the folder of --out as a whole."


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Folder that one step may write, as claim_folder makes it.

    Attributes:
        path: the folder, absolute, symbolic links resolved.
        step: the command that writes it.
    """

    path: Path
    step: str

    def owned(self) -> AbstractContextManager[None]:
        """Keep other runs off the folder, from before the work until it is written. Under MPI one rank alone.

        Raises:
            InputError: another run works for this folder.
        """
        return owning(self.path)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Give an empty hidden folder to fill; it takes the claimed name only if the block succeeds.

        An earlier output of the same step is replaced as a whole. Under MPI only one rank may use this.

        Raises:
            InputError: the place cannot be written, another run writes there, or something else has come to lie there.
        """
        _refuse_foreign(self.path, self.step)
        with on_this_machine(self.path), owning(self.path):
            sweep(self.path.parent)
            partial = partial_of(self.path)
            partial.mkdir()
            try:
                yield partial
                seal(partial, self.path)
                mark(partial, self.step)
                sign(partial, self.path)
                _refuse_foreign(self.path, self.step)
                _swap_in(partial, self.path)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        note_use(self.path)


@dataclass(frozen=True, slots=True)
class OutputFile:
    """File that one step may write, as claim_file makes it.

    Attributes:
        path: the file, absolute, symbolic links resolved.
    """

    path: Path

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Give a hidden name to write to; it becomes the claimed one only if the block succeeds."""
        with writing_together(self) as (partial,):
            yield partial


@contextmanager
def writing_together(*files: OutputFile) -> Iterator[tuple[Path, ...]]:
    """Give hidden names to write files that belong together; all become the claimed ones if the block succeeds.

    Args:
        files: claimed files; the first is the one that the user named.
    """
    for one in files:
        sweep(one.path.parent)
    with atomic_files(*(one.path for one in files)) as partials:
        yield partials
        for one in files:
            announce_addition(one.path)
        notify("finishes", files[-1].path)
    for one in files:
        note_addition(one.path)
    note_use(files[0].path)


def claim_folder(out: Path, step: str, inputs: Mapping[str, Path | None]) -> OutputFolder:
    """Check that a step may write a folder, before any work and without changing anything.

    Args:
        out: the folder to create, or to replace where the same step made it.
        step: the command, such as "ingest".
        inputs: each file and folder that the step reads, by its role in words ("mre", "anatomy"). Messages name the
            role, not the path: a scanner's folder is often named after the patient.

    Raises:
        InputError: `out` is, contains or lies inside an input, lies inside another output of the step, is a file,
            holds what the step did not make, or lies where nothing can be written; or an HDF5 file among the inputs
            differs from what palpate wrote.
    """
    path = _resolved(out)
    for role, given in inputs.items():
        if given is not None:
            _refuse_input(path, role, given)
            demand_as_written(given)
    _refuse_foreign(path, step)
    _refuse_inside_another(path, step)
    demand_writable_place(path)
    note_inputs(step, inputs)
    return OutputFolder(path, step)


def demand_replaceable(path: Path, step: str, kind: FileKind | None = None) -> None:
    """Check that replacing an output would delete nothing that the step did not make, whoever replaces it.

    Args:
        path: the output; it need not exist.
        step: the command that makes it.
        kind: kind of the output where it is a file; None for a folder.

    Raises:
        InputError: a folder holds anything else, or a file is another one or was changed.
    """
    if path.is_dir():
        _refuse_foreign(_resolved(path), step)
    elif path.is_file() and kind is not None and not is_as_received(path):
        _refuse_other_file(path, _resolved(path), kind)


def claim_file(out: Path, kind: FileKind, inputs: Mapping[str, Path | None]) -> OutputFile:
    """Check that a step may write a file, before any work and without changing anything.

    Args:
        out: the file to create, or to replace where it is of the same kind. It may lie inside an input folder under a
            name that no step reads.
        kind: kind of the file that the step writes.
        inputs: each file and folder that the step reads, by its role in words.

    Raises:
        InputError: `out` is an input, a folder, a file of another kind, a file that was changed after palpate had
            written it, or a name inside an input that steps read, or lies where nothing can be written; or an HDF5
            file among the inputs differs from what palpate wrote.
    """
    path = _resolved(out)
    if any(parent.exists() and not parent.is_dir() for parent in path.parents):
        raise InputError(out, found="a file above it", expected="a folder to write in", advice="Choose another path.")
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a device"
        raise InputError(out, found=found, expected=f"a file to write: the {kind.what}", advice="Name a file.")
    for role, given in inputs.items():
        if given is not None:
            _refuse_input_file(path, role, given, kind)
            demand_as_written(given)
    if path.is_file():
        _refuse_other_file(out, path, kind)
    demand_writable_place(path)
    return OutputFile(path)


def _resolved(out: Path) -> Path:
    try:
        return Path(out).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links that lead round in a circle, a name with a null byte
        raise InputError("--out", found="no usable path", expected="a path to write", advice="Name another.") from error


def _refuse_input(path: Path, role: str, given: Path) -> None:
    """Refuse an output folder that is, contains or lies inside an input."""
    source = _resolved(given)
    found = None
    if _same(path, source):
        found = f"the input {role} itself"
    elif any(_same(path, parent) for parent in source.parents):
        found = f"a folder that contains the input {role}"
    elif any(_same(parent, source) for parent in path.parents):
        found = f"a folder inside the input {role}"
    if found:
        raise InputError("--out", found=found, expected="a folder apart from every input", advice=_APART)


def _refuse_input_file(path: Path, role: str, given: Path, kind: FileKind) -> None:
    """Refuse an output file that is an input or that a step would take for part of one."""
    source = _resolved(given)
    if _same(path, source):
        raise InputError(
            "--out", found=f"the input {role} itself", expected="another file", advice="Name a file of its own."
        )
    if path.exists() or not any(_same(parent, source) for parent in path.parents):
        return
    read = any(fnmatch(path.name, pattern) for pattern in _READ) or _is_sidecar(path)
    if read or not path.name.endswith(kind.endings):
        raise InputError(
            "--out",
            found=f"a name inside the input {role} that a step may read",
            expected=f"a name that no step reads and that ends in {' or '.join(kind.endings)}",
            advice="Name it so, or put it beside the input.",
        )


def _is_sidecar(path: Path) -> bool:
    """Return whether a JSON file would describe an image beside it."""
    stem = path.name.removesuffix(".json")
    return path.suffix == ".json" and any(path.with_name(stem + ending).exists() for ending in (".nii.gz", ".nii"))


def _same(one: Path, other: Path) -> bool:
    """Return whether two resolved paths are one place, also where a mount shows it under two names."""
    if one == other:
        return True
    try:
        return os.path.samestat(one.stat(), other.stat())
    except OSError:
        return False


def _refuse_foreign(path: Path, step: str) -> None:
    """Refuse an output folder whose replacement would delete anything that the same step did not make."""
    advice = f"Name a folder that does not exist yet, or one that palpate {step} wrote."
    expected = "an output folder that may be replaced"
    above = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None)
    if above is not None or (path.exists() and not path.is_dir()):
        raise InputError(above or path, found="a file", expected="a folder to write", advice=advice)
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not is_marked(path):
        raise InputError(path, found="a folder with files palpate did not write", expected=expected, advice=advice)
    marked = read_mark(path)
    if marked.step != step:
        made_by = marked.step
        found = f"the output of palpate {made_by}" if made_by else "an output of palpate that no step is known to make"
        raise InputError(path, found=found, expected=expected, advice=advice)
    stranger = stranger_in(path, marked)
    if stranger is not None:
        raise InputError(
            path / stranger.name,
            found=stranger.words,
            expected="only what palpate wrote, since the folder is replaced as a whole",
            advice="Move it elsewhere, or name a folder for --out that does not exist yet.",
        )


def _refuse_other_file(out: Path, path: Path, kind: FileKind) -> None:
    """Refuse a file that is of another kind, or that a receipt or a marker shows to have been edited."""
    if path.stat().st_size == 0:  # as mktemp makes it
        return
    edited = is_as_received(path) is False or was_edited_inside(path)
    if not edited and _recognised(path, kind):
        return
    raise InputError(
        out,
        found="a file that was changed after palpate had written it"
        if edited
        else f"a file that palpate {kind.step} did not write",
        expected=f"a new file, or an earlier {kind.what}",
        advice="Name another file, or move this one.",
    )


def _refuse_inside_another(path: Path, step: str) -> None:
    """Refuse an output inside an earlier output of the same step, whose next run would delete it."""
    for parent in path.parents:
        if is_marked(parent) and read_mark(parent).step == step:
            found = f"a folder inside {parent}, which palpate {step} wrote and replaces as a whole"
            raise InputError(
                path, found=found, expected="a folder of its own", advice="Name a folder beside that one, or elsewhere."
            )


def _recognised(path: Path, kind: FileKind) -> bool:
    try:
        return kind.recognises(path)
    except (OSError, ValueError):
        return False


def _swap_in(partial: Path, path: Path) -> None:
    """Rename `partial` to `path`; an older folder steps aside first, because a rename cannot replace a full folder."""
    notify("finishes", path)
    if not path.exists():
        os.replace(partial, path)
        return
    old = replaced_of(path)
    os.replace(path, old)
    try:
        os.replace(partial, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
