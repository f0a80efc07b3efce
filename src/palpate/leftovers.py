"""Leftovers of a killed run beside its outputs, and their removal by the next run or by its supervisor.

An output is written under a hidden name beside its own and renamed when it is whole. The hidden name identifies the
writing process:

    .partial-<owner>-<name>     written now, or left by a process that was killed: worth nothing
    .replaced-<owner>-<name>    the earlier output, aside for the moment between two renames: perhaps the only copy

An owner is `<machine>-<process>-<start>`: a digest of the running system, a process number there, and when that process
began. On this machine a hidden name whose process has ended is cleared at once; one of another machine, of another
container or of an earlier start of this one only when it has not changed for days and no owner file names its writer,
because nobody can ask whether that still lives.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

_PARTIAL: Final = "partial"
_REPLACED: Final = "replaced"
_HIDDEN: Final = re.compile(
    r"\.(?P<role>partial|replaced)-(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]+)-(?P<start>[0-9]+)-(?P<name>.+)",
    re.DOTALL,
)
_OLDER: Final = re.compile(r"\.(?P<role>partial|replaced)-(?P<process>[0-9]+)-(?P<name>.+)", re.DOTALL)
"""Hidden names of older versions, which state no machine."""
_DEAD: Final = (b"Z", b"X")
"""States of a process that has ended."""
_ABANDONED_S: Final = 7 * 86400.0
"""Time without change after which a file of an unknown process counts as abandoned, seconds."""

type Role = Literal["partial", "replaced"]
type Notice = Literal["writes", "keeps", "finishes", "owns", "frees"]

_supervisor: int | None = None
"""Descriptor of the pipe for notices to the supervisor; None where this process has no supervisor."""


def partial_of(path: Path) -> Path:
    """Return the hidden name under which this process writes `path`, and notify the supervisor."""
    notify("writes", path.parent)
    return path.with_name(f".{_PARTIAL}-{owner(os.getpid())}-{path.name}")


def replaced_of(path: Path) -> Path:
    """Return the hidden name to which this process moves an earlier `path` aside."""
    return path.with_name(f".{_REPLACED}-{owner(os.getpid())}-{path.name}")


def final_path(path: Path) -> Path:
    """Return `path` with the names of outputs in place of the hidden names under which they are written."""
    parts = [found["name"] if (found := _HIDDEN.fullmatch(part)) else part for part in path.parts]
    return Path(*parts)


def owner(process: int) -> str:
    """Return the identifier of a process: its machine, number, and start (clock ticks after the machine's start)."""
    return f"{_machine()}-{process}-{_start(process) or 0}"


def has_ended(who: str) -> bool | None:
    """Return whether a process has ended; None where it is one of another machine, which nobody can ask here.

    Args:
        who: identifier of the process, as `owner` returns it.
    """
    machine, _, numbers = who.partition("-")
    process, _, start = numbers.partition("-")
    return _ended(int(process), int(start)) if machine == _machine() else None


def sweep(folder: Path) -> None:
    """Clear away what processes that ended left in a folder; put back an earlier output that has no other copy.

    Args:
        folder: the folder in which outputs are written; its subfolders are not searched.
    """
    for path in _entries(folder):
        found = _HIDDEN.fullmatch(path.name)
        if found is not None and found["machine"] == _machine():
            ended = _ended(int(found["process"]), int(found["start"]))
        else:
            ended = (found is None or not _is_owned(path, found)) and _abandoned(path)
            found = found or _OLDER.fullmatch(path.name)
        if found is not None and ended:
            _clear(path, found)


def sweep_of(folder: Path, who: str) -> None:
    """Clear away what one process left in a folder, as sweep does.

    Args:
        folder: the folder in which it wrote.
        who: identifier of the process, as `owner` returned it while the process lived.
    """
    for path in _entries(folder):
        found = _HIDDEN.fullmatch(path.name)
        if found is not None and f"{found['machine']}-{found['process']}-{found['start']}" == who:
            _clear(path, found)


def has_its_name(output: Path, who: str) -> bool:
    """Return whether an output that a process was about to finish has its final name.

    Args:
        output: the file or folder.
        who: identifier of the process, as `owner` returned it while the process lived.
    """
    hidden = output.with_name(f".{_PARTIAL}-{who}-{output.name}")
    return not os.path.lexists(hidden) and os.path.lexists(output)


def written_now(hidden: str) -> str | None:
    """Return the name of the output that a living process of this machine writes under a hidden name; None for none.

    Args:
        hidden: name of a file or folder.
    """
    found = _HIDDEN.fullmatch(hidden)
    if found is None or found["role"] != _PARTIAL or found["machine"] != _machine():
        return None
    return None if _ended(int(found["process"]), int(found["start"])) else found["name"]


def left_by(folder: Path, who: str) -> bool:
    """Return whether a folder still holds hidden files of a process."""
    return any(path.name.startswith((f".{_PARTIAL}-{who}-", f".{_REPLACED}-{who}-")) for path in _entries(folder))


def notify(notice: Notice, path: Path) -> None:
    """Report a file or folder to the supervisor.

    Args:
        notice: kind of the path: a folder in which this process writes ("writes"), a folder with finished work from
            which a later run can go on ("keeps"), an output that is renamed next ("finishes"), or an owner file that
            this process has made ("owns") or removes next ("frees").
        path: the file or folder.
    """
    if _supervisor is not None:
        told = f"{notice}\0".encode() + os.fsencode(Path(path).absolute()) + b"\0"
        try:
            os.write(_supervisor, told)
        except OSError:  # the supervisor is gone; the next run sweeps
            return


def is_supervised() -> bool:
    """Return whether a supervisor waits beside this process."""
    return _supervisor is not None


def report_to(descriptor: int | None) -> None:
    """Send notices into a pipe from now on; None sends them nowhere."""
    global _supervisor  # noqa: PLW0603 - one supervisor a process
    _supervisor = descriptor


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as found:
            return [Path(one.path) for one in found if one.name.startswith((f".{_PARTIAL}-", f".{_REPLACED}-"))]
    except OSError:
        return []


def _clear(path: Path, found: re.Match[str]) -> None:
    """Remove a hidden file or folder, unless it is the only copy of an output: then give it its name back."""
    output = path.with_name(found["name"])
    try:
        if found["role"] == _REPLACED and not os.path.lexists(output):
            os.replace(path, output)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:  # somebody else clears as well, or the place cannot be written: nothing to add
        return


def _ended(process: int, start: int) -> bool:
    """Return whether a process of this machine has ended; its number may belong to another one by now.

    One that has ended keeps its number until its parent asks how, which in a container without an init nobody may do.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's, so that number is in use
        pass
    facts, now = _facts(process), _start(process)
    if facts and facts[0] in _DEAD:
        return True
    return now is not None and start != 0 and now != start


def _is_owned(path: Path, found: re.Match[str]) -> bool:
    """Return whether the owner file of the output still names the writer of a hidden file or folder.

    Whether that writer lives is told by watching it (palpate.ownership), never by times: a clock may have jumped.
    """
    who = f"{found['machine']}-{found['process']}-{found['start']}"
    try:
        return f'"{who}"' in path.with_name(f".owner-{found['name']}.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _abandoned(path: Path) -> bool:
    """Return whether nothing in a file or folder has changed for days."""
    try:
        times = [path.lstat().st_mtime]
        for folder, _, files in os.walk(path):
            times += [Path(folder, name).lstat().st_mtime for name in (".", *files)]
    except OSError:
        return False
    return time.time() - max(times) > _ABANDONED_S


@cache
def _machine() -> str:
    """Digest of the system that runs now: host, start of its kernel, and the container's own numbering of processes."""
    return sha256("\0".join([socket.gethostname(), _boot(), _namespace()]).encode()).hexdigest()[:8]


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - a name, not a path
    except OSError:
        return ""


def _start(process: int) -> int | None:
    """Return when a process began, clock ticks; None where the system does not say."""
    try:
        return int(_facts(process)[19])
    except (ValueError, IndexError):
        return None


def _facts(process: int) -> list[bytes]:
    """Return what Linux tells of a process from its state on; nothing where it does not say."""
    try:
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []
