"""Places of a file's bytes, on disk or in an archive, and the errors for archives that are damaged."""

from __future__ import annotations

import errno
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol, cast

from palpate.errors import InputError
from palpate.imaging.files.plain_names import member_name, shown
from palpate.imaging.limits.input_limits import Budget, Counted, Scope
from palpate.machine_failures import machine_fault, temporary_folder

_COPY: Final = "Copy the archive again."


class Source(Protocol):
    """Place of one file's bytes, so that pixels can be read when they are asked for."""

    def __hash__(self) -> int:
        """Return a hash: sources are values."""
        ...

    def content(self) -> bytes:
        """Return the bytes of the file."""
        ...


@dataclass(frozen=True, slots=True)
class OnDisk:
    """File in the user's folder.

    Attributes:
        path: path of the file, behind any link.
    """

    path: Path

    def content(self) -> bytes:
        """Return the bytes of the file."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class InZip:
    """Member of a zip in the user's folder.

    Attributes:
        path: path of the zip.
        member: name in its directory.
        changed_ns: time at which the zip was last written, nanoseconds.
    """

    path: Path
    member: str
    changed_ns: int

    def content(self) -> bytes:
        """Return the bytes of the member."""
        with unpacking(shown(self.path)), _open_zip(self.path, self.changed_ns).open(self.member) as stream:
            budget = Budget(shown(self.path))
            return Counted(cast(BinaryIO, stream), Scope(budget, self.path.stat().st_size)).read()


@dataclass(frozen=True, slots=True, eq=False)
class Spooled:
    """File of an archive that can be read from its start only; its bytes are kept in a temporary file without a name.

    Attributes:
        spool: the temporary file.
        start: position of this file's first byte in the temporary file.
        length: length of this file, bytes.
    """

    spool: BinaryIO
    start: int
    length: int

    def content(self) -> bytes:
        """Return the bytes of the file."""
        self.spool.seek(self.start)
        return self.spool.read(self.length)


@lru_cache(maxsize=2)
def _open_zip(path: Path, changed_ns: int) -> zipfile.ZipFile:  # noqa: ARG001 - tells versions of the file apart
    """Return an open zip; its directory of thousands of names is slow to read for every member."""
    return zipfile.ZipFile(path)


@contextmanager
def readable(inside: PurePosixPath, what: str) -> Iterator[None]:
    """Raise InputError where the system does not let a file be read."""
    try:
        yield
    except OSError as error:
        raise InputError(
            member_name(inside),
            found=f"a {what} that cannot be read ({os.strerror(error.errno) if error.errno else 'damaged'})",
            expected="files that you may read",
            advice="Copy it again, or change its permissions.",
        ) from error


@contextmanager
def unpacking(where: str) -> Iterator[None]:
    """Raise InputError for any error in reading an archive; one that its files raise passes unchanged."""
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        lzma.LZMAError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        NotImplementedError,
        RuntimeError,
        MemoryError,
        struct.error,
        zlib.error,
    ) as error:
        raise (_fault_of_disk(error, where) or damaged(where, "archive")) from error


def unread(error: Exception, where: Path | str) -> InputError | None:
    """Return the sentence for a file that the system did not let be read; None for an error of another kind.

    Args:
        error: error that was raised.
        where: name of the file in the sentence; its path may name the patient.
    """
    return machine_fault(OSError(error.errno, error.strerror), where) if isinstance(error, OSError) else None


def _fault_of_disk(error: Exception, where: str) -> InputError | None:
    """Return the sentence for a disk that failed while an archive was unpacked; None for an error of another kind.

    Only the unpacked copy is written, into the folder for temporary files.
    """
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return unread(error, temporary_folder() if full else where)


def damaged(where: str, what: str) -> InputError:
    """Return the refusal of a damaged archive.

    Args:
        where: name of the archive in errors.
        what: kind of archive.
    """
    return InputError(
        where,
        found=f"a damaged {what} file, which cannot be unpacked to its end",
        expected=f"a complete {what}",
        advice=_COPY,
    )
