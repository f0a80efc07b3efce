"""Command that this process carries out: how it was started, what it read, and the settings that it took.

The door of the command line begins it, the reading of settings and the claim of the output add to it, and the seal of
the finished folder reads it. Work that no command began, such as that of a Python session, leaves no crate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palpate.content_digest import digest, state_of
from palpate.launcher import launcher_rank
from palpate.run_crate.names import SEALED


@dataclass(frozen=True, slots=True)
class GivenParameter:
    """Parameter of a command, as it was given.

    Attributes:
        name: its name, such as "after-days".
        option: option that it follows, such as "--after-days"; empty for an argument.
        texts: its values as a user types them; empty for an option without value.
        paths: its values where they are files or folders.
        withheld: whether its value is not recorded, because it is secret or about a person.
    """

    name: str
    option: str
    texts: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class ReadInput:
    """File or folder that a step reads.

    Attributes:
        role: its name among the parameters, such as "wavefield", or in words where a file names it.
        path: its place. It reaches no record: a scanner's folder is often named after the patient.
        state: state of its files when the step began.
        option: option that names it; empty for an argument; None where another input names it.
    """

    role: str
    path: Path
    state: str
    option: str | None

    def content(self) -> str | None:
        """Return the digest of its content; None where it changed since the step began."""
        try:
            found = digest(self.path)
            return found if state_of([self.path]) == self.state else None
        except OSError:
            return None


@dataclass(slots=True)
class RunningCommand:
    """A command under way.

    Attributes:
        name: name of the command, such as "invert".
        out: folder that it writes.
        given: its parameters but for the output, the settings and the number of ranks.
        settings: settings of its own section, as JSON values; None where it read none.
        inputs: files and folders that it reads, by role.
    """

    name: str
    out: Path | None
    given: tuple[GivenParameter, ...]
    settings: Mapping[str, Any] | None = None
    inputs: dict[str, ReadInput] = field(default_factory=dict)


_running: list[RunningCommand] = []


@contextmanager
def carrying_out(name: str, out: Path | None, given: Sequence[GivenParameter]) -> Iterator[None]:
    """Note the command that this process carries out, while it does.

    Args:
        name: name of the command.
        out: folder that it writes; None where it writes none.
        given: its parameters.

    Raises:
        InputError: the signing key cannot be used.
    """
    if name not in SEALED or out is None:
        yield
        return
    from palpate.run_crate.signing_key import demand_usable_key  # other commands need no cryptography

    demand_usable_key()
    _running.append(RunningCommand(name, Path(out).absolute(), tuple(given)))
    try:
        yield
    finally:
        _running.clear()


def note_settings(settings: Mapping[str, Any]) -> None:
    """Note the settings that the command under way takes.

    Args:
        settings: keys and JSON values of its section.
    """
    if _running:
        _running[0].settings = dict(settings)


def note_inputs(step: str, inputs: Mapping[str, Path | None]) -> None:
    """Note what the command under way reads, and its state before the work.

    Args:
        step: command that claims its output.
        inputs: files and folders by their roles.
    """
    if not _running or _running[0].name != step or launcher_rank() != 0:
        return
    running = _running[0]
    withheld = {one.name for one in running.given if one.withheld}
    if not running.inputs:
        for one in running.given:
            for at, path in enumerate(one.paths, start=1):
                role = one.name if len(one.paths) == 1 else f"{one.name} {at}"
                _note(running, role, path, one.option)
    known = {one.path for one in running.inputs.values()}
    for role, given in inputs.items():
        if given is not None and role not in withheld and _file_of(given) not in known:
            _note(running, role, given, None)


def command_for(out: Path) -> RunningCommand | None:
    """Return the command under way if it is the one that writes a folder.

    Args:
        out: the output folder.
    """
    if not _running or _running[0].out is None or _running[0].out.resolve() != Path(out).resolve():
        return None
    return _running[0]


def _note(running: RunningCommand, role: str, path: Path, option: str | None) -> None:
    file = _file_of(path)
    if file.exists():
        running.inputs.setdefault(role, ReadInput(role, file, state_of([file]), option))


def _file_of(path: Path) -> Path:
    """Return the file of a path, which may name one region of it ("file#name")."""
    path = Path(path)
    return path if path.exists() or "#" not in path.name else path.with_name(path.name.rpartition("#")[0])
