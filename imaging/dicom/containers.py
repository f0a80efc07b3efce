"""Files of an input wherever they lie: in a folder, behind links, in zip and tar archives, in gzip, in one another.

Links in the user's own folder are followed, each folder once, so that loops end; links in archives never are.
Nothing of an archive is written under its own name. What is not handed out is counted with its reason.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol, cast

from palpate.errors import InputError
from palpate.imaging.dicom.file_kinds import (
    BZIP2,
    EMPTY,
    GZIP,
    HEAD_BYTES,
    TAR,
    TEXT,
    UNKNOWN,
    ZIP,
    is_archive,
    kind_of,
)
from palpate.imaging.dicom.vocabulary import is_plain_name
from palpate.imaging.dicom.zip_directory import demand_few_members
from palpate.imaging.input_limits import Budget, Counted, Scope

_IN_MEMORY_BYTES: Final = 32 << 20
_PIECE_BYTES: Final = 1 << 20
_COPY: Final = "Copy the archive again."
_SUFFIXES: Final = (".gz", ".bz2", ".xz")


class Source(Protocol):
    """Where the bytes of one file are, so that pixels can be read when they are asked for."""

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
        with _unpacking(shown(self.path)), _zip(self.path, self.changed_ns).open(self.member) as stream:
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


@dataclass(slots=True)
class PassedOver:
    """Count of what an input holds beside DICOM images, by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, number: int = 1) -> None:
        """Count files that are not used."""
        self.counts[reason] += number

    def __str__(self) -> str:
        """Return the reasons with their counts, the most frequent first; empty where nothing was passed over."""
        return "; ".join(f"{number} x {reason}" for reason, number in self.counts.most_common())


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an input that is no archive.

    Attributes:
        member: its path inside the input, the names of archives among its parts.
        head: its first bytes, at most HEAD_BYTES of them.
        kind: what these say (palpate.imaging.dicom.file_kinds).
        source: where its bytes can be read again; None where only `stream` has them.
        stream: its bytes, from the first; to be read before the next entry is asked for.
        folder: the folder or archive that holds it, inside the input.
    """

    member: str
    head: bytes
    kind: str
    source: Source | None
    stream: BinaryIO
    folder: str


@dataclass(frozen=True, slots=True)
class Held:
    """Copy of an archive's member.

    Attributes:
        spooled: where it is.
        digest: SHA-256 of its bytes.
    """

    spooled: Spooled
    digest: bytes

    def open(self) -> BinaryIO:
        """Return a stream of its bytes that can be rewound."""
        return cast(BinaryIO, _Part(self.spooled))


class Walk:
    """One pass over all files of an input.

    Args:
        container: folder, archive or file.
        passed: takes the reasons why files are not handed out.
    """

    def __init__(self, container: Path, passed: PassedOver) -> None:
        self._container = container
        self._passed = passed
        self._budget = Budget(shown(container))
        # Without a name, so that nothing is left behind whatever happens; it lives as long as its images.
        self._spool = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES))  # noqa: SIM115
        self._seen: set[tuple[int, int]] = set()

    def __iter__(self) -> Iterator[Entry]:
        """Return every file in the order of names.

        Raises:
            InputError: an archive is damaged or encrypted, a limit is passed, or something may not be read.
        """
        if self._container.is_dir():
            yield from self._folder(self._container, PurePosixPath())
        else:
            yield from self._on_disk(self._container, PurePosixPath(self._container.name))

    def hold(self, entry: Entry) -> Held:
        """Copy an archive's member into a temporary file, piece by piece, so that no member fills the memory.

        Args:
            entry: of this walk, the one handed out last.

        Raises:
            InputError: the archive is damaged here, or a limit is passed.
        """
        start = self._spool.seek(0, os.SEEK_END)
        total = sha256()
        with _unpacking(_named(PurePosixPath(entry.member))):
            while piece := entry.stream.read(_PIECE_BYTES):
                self._spool.write(piece)
                total.update(piece)
        length = self._spool.tell() - start
        return Held(Spooled(self._spool, start, length), total.digest())

    def content(self, entry: Entry) -> bytes:
        """Return the bytes of the entry handed out last.

        Raises:
            InputError: as `hold` does.
        """
        if isinstance(entry.source, OnDisk):
            return entry.source.content()
        held = self.hold(entry)
        content = held.spooled.content()
        self.drop(held)
        return content

    def drop(self, held: Held) -> None:
        """Give up the copy of the member that was held last."""
        self._spool.seek(held.spooled.start)
        self._spool.truncate()

    def _folder(self, folder: Path, inside: PurePosixPath) -> Iterator[Entry]:
        with _readable(inside, "folder"):
            status = folder.stat()
            children = sorted(folder.iterdir())
        if (status.st_dev, status.st_ino) in self._seen:
            self._passed.add("folder that a link leads to a second time")
            return
        self._seen.add((status.st_dev, status.st_ino))
        for path in children:
            name = inside / path.name
            if path.name.startswith("."):
                self._passed.add("hidden file or folder")
            elif not path.exists():
                self._passed.add("link without target")
            elif path.is_dir():
                yield from self._folder(path, name)
            elif path.is_file():
                self._budget.count_file()
                yield from self._on_disk(path, name)
            else:
                self._passed.add("no regular file")

    def _on_disk(self, path: Path, member: PurePosixPath) -> Iterator[Entry]:
        with _readable(member, "file"), path.open("rb") as stream:
            yield from self._file(stream, member, 0, None, OnDisk(path))

    def _file(
        self, stream: BinaryIO, member: PurePosixPath, depth: int, scope: Scope | None, source: Source | None
    ) -> Iterator[Entry]:
        """The file itself, or what is in it where it is an archive.

        Args:
            stream: its bytes; one that can be rewound where `source` is on disk.
            member: its name inside the input.
            depth: number of archives around it.
            scope: counts what the outermost archive unpacks to; None for a file in the user's folder.
            source: where its bytes can be read again.
        """
        head = stream.read(HEAD_BYTES)
        kind = kind_of(head, member.name)
        if head[128:132] == b"DICM" or not is_archive(kind):
            if kind == EMPTY:
                self._passed.add(EMPTY)
                return
            if member.name.lower().endswith(".zip") and kind in (UNKNOWN, TEXT):
                raise _damaged(_named(member), "zip")
            yield Entry(str(member), head, kind, source, _Rejoined(head, stream), str(member.parent))
            return
        self._budget.demand_depth(depth + 1)
        whole = _Rejoined(head, stream)
        if scope is None:
            assert isinstance(source, OnDisk)
            scope = Scope(self._budget, source.path.stat().st_size)
        if kind == ZIP:
            yield from self._zip(whole, member, depth + 1, scope, source)
        elif kind == TAR:
            yield from self._tar(whole, member, depth + 1, scope)
        else:
            yield from self._unpacked(whole, member, kind, depth + 1, scope)

    def _unpacked(
        self, stream: BinaryIO, member: PurePosixPath, kind: str, depth: int, scope: Scope
    ) -> Iterator[Entry]:
        """What one compressed file holds."""
        inner = member.with_suffix("") if member.suffix.lower() in _SUFFIXES else member
        with _unpacking(_named(member)):
            opened = cast(BinaryIO, Counted(_decompressed(stream, kind), scope))
            yield from self._file(opened, inner, depth, scope, None)

    def _tar(self, stream: BinaryIO, member: PurePosixPath, depth: int, scope: Scope) -> Iterator[Entry]:
        # Its own bytes were counted where it was compressed; where it was not it adds nothing to them.
        with _unpacking(_named(member)), tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in archive:
                self._budget.count_file()
                if info.isdir():
                    continue
                if not info.isfile():
                    self._passed.add("link or device in an archive, which is not followed")
                elif not self._hidden_or_outside(info.name):
                    opened = archive.extractfile(info)
                    assert opened is not None
                    # Sparse members hold more than the archive does.
                    counted = Counted(cast(BinaryIO, opened), scope) if info.issparse() else opened
                    yield from self._file(cast(BinaryIO, counted), member / info.name, depth, scope, None)

    def _zip(
        self, stream: BinaryIO, member: PurePosixPath, depth: int, scope: Scope, source: Source | None
    ) -> Iterator[Entry]:
        where = _named(member)
        with _seekable(stream, source) as whole, _unpacking(where):
            demand_few_members(whole, where, self._budget.limits.files)
            with zipfile.ZipFile(whole) as archive:
                for info in sorted(archive.infolist(), key=lambda one: one.filename):
                    self._budget.count_file()
                    if info.is_dir() or self._hidden_or_outside(info.filename):
                        continue
                    if stat.S_ISLNK(info.external_attr >> 16):
                        self._passed.add("link or device in an archive, which is not followed")
                        continue
                    if info.flag_bits & 1:
                        raise InputError(
                            where, found="an encrypted zip", expected="one without a password", advice="Unpack it."
                        )
                    again = None
                    if isinstance(source, OnDisk):
                        again = InZip(source.path, info.filename, source.path.stat().st_mtime_ns)
                    with archive.open(info) as opened:
                        counted = cast(BinaryIO, Counted(cast(BinaryIO, opened), scope))
                        yield from self._file(counted, member / info.filename, depth, scope, again)

    def _hidden_or_outside(self, name: str) -> bool:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts:
            self._passed.add("archive member whose name leads out of the archive")
            return True
        if any(part.startswith(".") or part == "__MACOSX" for part in parts):
            self._passed.add("hidden file or folder")
            return True
        return False


def _decompressed(stream: BinaryIO, kind: str) -> BinaryIO:
    """A stream of what a compressed one holds."""
    if kind == GZIP:
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    return cast(BinaryIO, bz2.BZ2File(stream) if kind == BZIP2 else lzma.LZMAFile(stream))


class _Part(io.RawIOBase):
    """Stream of one file within the temporary file."""

    def __init__(self, part: Spooled) -> None:
        super().__init__()
        self._part = part
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._part.length}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._part.length - self._place)
        wanted = left if size is None or size < 0 else min(size, left)
        self._part.spool.seek(self._part.start + self._place)
        self._place += wanted
        return self._part.spool.read(wanted)


class _Rejoined(io.RawIOBase):
    """Stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = -1 if size is None else size
        if wanted < 0:
            content, self._head = self._head, b""
            return content + self._rest.read()
        content, self._head = self._head[:wanted], self._head[wanted:]
        return content + self._rest.read(wanted - len(content)) if len(content) < wanted else content


@contextmanager
def _seekable(stream: BinaryIO, source: Source | None) -> Iterator[BinaryIO]:
    """The stream, or a copy of it, in which one can go back and forth."""
    if isinstance(source, OnDisk):
        with source.path.open("rb") as opened:
            yield opened
        return
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy:
        while piece := stream.read(_PIECE_BYTES):
            copy.write(piece)
        copy.seek(0)
        yield cast(BinaryIO, copy)


@lru_cache(maxsize=2)
def _zip(path: Path, changed_ns: int) -> zipfile.ZipFile:  # noqa: ARG001 - tells versions of the file apart
    """An open zip; its directory of thousands of names is slow to read for every member."""
    return zipfile.ZipFile(path)


@contextmanager
def _readable(inside: PurePosixPath, what: str) -> Iterator[None]:
    """Raise InputError where the system does not let a file be read."""
    try:
        yield
    except OSError as error:
        raise InputError(
            _named(inside),
            found=f"a {what} that cannot be read ({os.strerror(error.errno) if error.errno else 'damaged'})",
            expected="files that you may read",
            advice="Copy it again, or change its permissions.",
        ) from error


@contextmanager
def _unpacking(where: str) -> Iterator[None]:
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
        raise _damaged(where, "archive") from error


def _damaged(where: str, what: str) -> InputError:
    return InputError(
        where,
        found=f"a damaged {what} file, which cannot be unpacked to its end",
        expected=f"a complete {what}",
        advice=_COPY,
    )


def _named(member: PurePosixPath) -> str:
    """How errors name a file: by its base name where that tells nothing of a patient."""
    return member.name if is_plain_name(member.name) else f"a file of the kind *{member.suffix.lower()[:6]}"


def shown(path: Path) -> str:
    """How errors name a file or folder that a user gave: its base name where that is a mere number or usual word.

    A scanner's folders are named after patients, and what is printed stays in logs.
    """
    return path.name if is_plain_name(path.name) else "the given folder" if path.is_dir() else "the given path"
