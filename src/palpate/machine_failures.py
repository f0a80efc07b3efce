"""Failures of the machine, such as a full disk, told apart from bugs and reported in one sentence."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.leftovers import final_path, partial_of

_ROOM: Final = "Make room there, or write to another place."
_RIGHTS: Final = "Ask the owner for permission, or name a folder of your own."
_MOUNTED: Final = "Write to another place, or have the disk mounted for writing."
_HANDLES: Final = "Close other programs, or raise the limit (ulimit -n)."
_NAMES: Final = "Choose a shorter path."
_DISK: Final = "Check the disk or the network share, then run the command again."

_FAULTS: Final[dict[int, tuple[str, str, str]]] = {
    errno.ENOSPC: ("a full disk", "room for the output", _ROOM),
    errno.EDQUOT: ("an exhausted disk quota", "room for the output", _ROOM),
    errno.EFBIG: ("a limit on the size of files", "room for the output", "Raise the limit (ulimit -f)."),
    errno.EROFS: ("a read-only file system", "a place that can be written", _MOUNTED),
    errno.EACCES: ("no permission", "a place that you may read or write", _RIGHTS),
    errno.EPERM: ("no permission", "a place that you may read or write", _RIGHTS),
    errno.EMFILE: ("too many open files", "a file to open", _HANDLES),
    errno.ENFILE: ("too many open files", "a file to open", _HANDLES),
    errno.ENAMETOOLONG: ("a name that is too long for the file system", "a shorter name", _NAMES),
    errno.EIO: ("a disk that fails", "a disk that reads and writes", _DISK),
    errno.ESTALE: ("a network share that went away", "a disk that reads and writes", _DISK),
    errno.ENODEV: ("no device", "a disk that reads and writes", _DISK),
    errno.ENXIO: ("no device", "a disk that reads and writes", _DISK),
    errno.EBUSY: ("a file that is in use", "a place that can be written", _DISK),
    errno.ENOMEM: ("too little memory", "memory for this step", "Use a machine with more memory, or fewer ranks."),
}
"""Words for found, expected and advice of the error, by the system's number of the failure (errno)."""

_NOTHING: Final = "a place where nothing can be stored, such as a virtual file system"
_ELSEWHERE: Final = "Choose another output path."

_OF_THE_OUTPUT: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Failures that only writing can have."""

_IN_WORDS: Final = re.compile(r"\berrno = (?P<number>\d+)\b")
"""Pattern of the number in HDF5's messages."""

_NO_TEMPORARY: Final = "No usable temporary directory"
"""Beginning of what Python says where no folder for temporary files can be written."""

_MOUNTS: Final = Path("/proc/self/mountinfo")


def machine_fault(error: BaseException, where: Path | str | None = None) -> InputError | None:
    """Return the sentence for a failure of the machine; None for an exception of another kind.

    Args:
        error: exception that was raised; the exceptions that caused it count as well.
        where: the output that was being written; None where it is unknown.
    """
    for one in _behind(error):
        if isinstance(one, MemoryError):
            return _sentence(errno.ENOMEM, None, "this machine")
        if isinstance(one, FileNotFoundError) and str(one.strerror).startswith(_NO_TEMPORARY):
            return _no_temporary_folder()
        number = _number(one)
        if number in _FAULTS:
            named = one.filename if isinstance(one, OSError) else None
            return _sentence(number, None if where and number in _OF_THE_OUTPUT else named, where or "this machine")
    return None


@contextmanager
def on_this_machine(path: Path) -> Iterator[None]:
    """Turn a failure of the machine into a sentence that names the output.

    Args:
        path: the output that the block writes.

    Raises:
        InputError: the machine failed; anything else that the block raises is passed on.
    """
    try:
        yield
    except InputError as error:
        # A file inside filled the disk; now that it is removed, its output can say how much room there is.
        inside = error.where.startswith(f"{path}{os.sep}") and error.__cause__ is not None
        fault = machine_fault(error.__cause__, path) if inside and error.__cause__ else None
        if fault is None:
            raise
        raise fault from error.__cause__
    except Exception as error:
        fault = machine_fault(error, path)
        if fault is None:
            raise
        raise fault from error


def temporary_folder() -> Path:
    """Return the folder for temporary files: $TMPDIR where it can be written, otherwise the system's.

    Raises:
        InputError: there is none that can be written.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise _no_temporary_folder() from error


def fault_in_words(text: str, where: Path | str) -> InputError | None:
    """Return the sentence for a failure of the machine that another program reported; None for another failure.

    Args:
        text: output of the program, such as a compiler's messages.
        where: place in which it was writing.
    """
    number = next((number for number in _FAULTS if os.strerror(number) in text), None)
    return None if number is None else _sentence(number, None, where)


def demand_writable_place(path: Path) -> None:
    """Check that an output can take its name where it shall lie, before any work; nothing stays changed.

    Args:
        path: the output, absolute; it need not exist.

    Raises:
        InputError: the folder around it cannot be written, or a disk is mounted at the output itself, which no
            finished output can replace.
    """
    above = next((one for one in path.parents if os.access(one, os.F_OK)), None)
    if above is not None and not os.access(above, os.W_OK | os.X_OK):
        number = errno.EROFS if os.statvfs(above).f_flag & os.ST_RDONLY else errno.EACCES
        found, _, advice = _FAULTS[number]
        found, expected = f"{found} ({os.strerror(number)})", f"a folder in which {path.name} can be written"
        raise InputError(above, found=found, expected=expected, advice=advice)
    if above is not None:
        _try_to_write(above, path)
    if _is_mounted(path):
        raise InputError(
            path,
            found="a place where a disk or folder is mounted",
            expected="a name that can be given to the finished output",
            advice=f"Name a path inside it, such as {path / 'output'}.",
        )


def _try_to_write(folder: Path, path: Path) -> None:
    """Make and remove a hidden folder with a file where an output shall lie.

    Permissions do not tell of /proc, of a quota or of a full disk.
    """
    probe = partial_of(folder / path.name)
    try:
        probe.mkdir()
        try:
            (probe / "file").touch()
        finally:
            (probe / "file").unlink(missing_ok=True)
            probe.rmdir()
    except OSError as error:
        number = error.errno or 0
        found, _, advice = _FAULTS.get(number, (_NOTHING, "", _ELSEWHERE))
        raise InputError(
            folder,
            found=f"{found} ({os.strerror(number)})" if number in _FAULTS else found,
            expected=f"a folder in which {path.name} can be written",
            advice=advice,
        ) from error


def _is_mounted(path: Path) -> bool:
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return os.path.ismount(path)
    named = str(path).translate({ord(one): f"\\{ord(one):03o}" for one in " \t\n\\"})
    return any(line.split(" ")[4:5] == [named] for line in lines)


def make_parent(path: Path) -> None:
    """Make the folder that an output is to lie in.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fault = machine_fault(error, path.parent)
        if fault is None:
            found = f"a place where no folder can be made ({error.strerror})"
            fault = InputError(path.parent, found=found, expected="a folder to write in", advice=_ELSEWHERE)
        raise fault from error


def _no_temporary_folder() -> InputError:
    return InputError(
        "TMPDIR",
        found="no folder for temporary files that can be written: neither $TMPDIR nor the system's",
        expected="one folder with room",
        advice="Make room in the system's, or set TMPDIR to a folder that you may write.",
    )


def _sentence(number: int, named: object, where: Path | str) -> InputError:
    found, expected, advice = _FAULTS[number]
    told = Path(os.fsdecode(named)) if isinstance(named, str | bytes) else where
    told = final_path(told) if isinstance(told, Path) else told
    found = f"{found} ({os.strerror(number)})"
    if number == errno.ENOSPC and isinstance(told, Path):
        expected += _free_room(told)
    return InputError(told, found=found, expected=expected, advice=advice)


def _free_room(path: Path) -> str:
    """Return the words for the room on the disk of an output; none where the system does not say."""
    with suppress(OSError):
        here = next(one for one in (path, *path.absolute().parents) if one.exists())
        disk = next(
            one for one in (here, *here.parents) if one.is_dir() and (os.path.ismount(one) or one == one.parent)
        )
        state = os.statvfs(here)
        # What was written is removed by now, so that this did not suffice.
        return f": more than the {state.f_bavail * state.f_frsize / 1e6:.3g} MB that are free on the disk at {disk}"
    return ""


def _number(error: BaseException) -> int:
    """Return the system's number of a failure; 0 where the exception states none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    told = _IN_WORDS.search(str(error)) if isinstance(error, OSError | RuntimeError) else None
    return int(told["number"]) if told else 0


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that it came from, each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        wraps = isinstance(current, OSError | RuntimeError)  # as libraries do; a bug in a handler stays a bug
        current = current.__cause__ or (current.__context__ if wraps else None)
