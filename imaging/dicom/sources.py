"""Where the bytes of a file are, on disk or in an archive, and the sentences for archives that are damaged."""

from __future__ import annotations

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

_COPY: Final = "Copy the archive again."


class Source(Protocol):
    """Where the bytes of one file are, so that pixels can be read when they are asked for."""

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
        path: of the file, behind any link.
    """

    path: Path

    def content(self) -> bytes:
        """Return the bytes of the file."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class InZip:
    """Member of a zip in the user's folder.

    Attributes:
        path: of the zip.
        member: name in its directory.
        changed_ns: when the zip was last written.
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
    """File out of an archive that cannot be entered anywhere but at its start, kept in a temporary file without a name.

    Attributes:
        spool: the temporary file.
        start: of this file's bytes.
        length: number of bytes.
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
    """An open zip; its directory of thousands of names is slow to read for every member."""
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
    """Raise InputError for whatever goes wrong with an archive; what its reader does with a file is not its matter."""
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
        raise damaged(where, "archive") from error


def damaged(where: str, what: str) -> InputError:
    """Return the refusal of a damaged archive.

    Args:
        where: how errors name it.
        what: kind of archive.
    """
    return InputError(
        where,
        found=f"a damaged {what} file, which cannot be unpacked to its end",
        expected=f"a complete {what}",
        advice=_COPY,
    )
