"""Files of an input wherever they lie: in a folder, behind links, in zip and tar archives, in gzip, in one another.

Links in the user's own folder are followed, each folder once, so that loops end; links in archives never are.
Nothing of an archive is written under its own name. What is not handed out is counted with its reason.
"""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

from palpate.errors import InputError
from palpate.folder_walk import HIDDEN, SYSTEM_FILE, walk_folder
from palpate.imaging.dicom.file_kinds import EMPTY, HEAD_BYTES, TAR, TEXT, UNKNOWN, ZIP, is_archive, kind_of
from palpate.imaging.dicom.sources import InZip, OnDisk, Source, Spooled, damaged, readable, unpacking
from palpate.imaging.dicom.streams import IN_MEMORY_BYTES, PIECE_BYTES, Part, Rejoined, decompressed, seekable
from palpate.imaging.dicom.zip_directory import demand_few_members
from palpate.imaging.files.plain_names import member_name, shown
from palpate.imaging.limits.input_limits import Budget, Counted, Scope
from palpate.system_files import is_system_file

_SUFFIXES: Final = (".gz", ".bz2", ".xz")


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
    """File of an input, other than an archive.

    Attributes:
        member: its path inside the input, the names of archives among its parts.
        head: its first bytes, at most HEAD_BYTES of them.
        kind: kind of file that these bytes show (palpate.imaging.dicom.file_kinds).
        source: place from which its bytes can be read again; None where only `stream` has them.
        stream: stream of its bytes from the first one; to be read before the next entry is asked for.
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
        spooled: place of the copy's bytes.
        digest: SHA-256 of its bytes.
    """

    spooled: Spooled
    digest: bytes

    def open(self) -> BinaryIO:
        """Return a stream of its bytes that can be rewound."""
        return cast(BinaryIO, Part(self.spooled))


class Walk:
    """One pass over all files of an input.

    Args:
        container: folder, archive or file.
        passed: count that takes the reasons why files are not handed out.
    """

    def __init__(self, container: Path, passed: PassedOver) -> None:
        self._container = container
        self._passed = passed
        self._budget = Budget(shown(container))
        # Without a name, so that nothing is left behind whatever happens; it lives as long as its images.
        self._spool = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))  # noqa: SIM115

    def __iter__(self) -> Iterator[Entry]:
        """Return every file in the order of names.

        Raises:
            InputError: an archive is damaged or encrypted, a limit is passed, or something may not be read.
        """
        if self._container.is_dir():
            yield from self._folder()
        else:
            yield from self._on_disk(self._container, PurePosixPath(self._container.name))

    def hold(self, entry: Entry) -> Held:
        """Copy an archive's member into a temporary file, piece by piece, so that no member fills the memory.

        Args:
            entry: the entry that this walk handed out last.

        Raises:
            InputError: the archive is damaged here, or a limit is passed.
        """
        start = self._spool.seek(0, os.SEEK_END)
        total = sha256()
        with unpacking(member_name(PurePosixPath(entry.member))):
            while piece := entry.stream.read(PIECE_BYTES):
                self._spool.write(piece)
                total.update(piece)
        length = self._spool.tell() - start
        return Held(Spooled(self._spool, start, length), total.digest())

    def content(self, entry: Entry) -> bytes:
        """Return the bytes of the entry handed out last.

        Raises:
            InputError: the archive is damaged here, or a limit is passed.
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

    def _folder(self) -> Iterator[Entry]:
        """Yield the files of the folder, and those in its archives."""
        for found in walk_folder(self._container, lambda name: readable(name, "folder")):
            if found.left_out:
                self._passed.add(found.left_out)
            else:
                self._budget.count_file()
                yield from self._on_disk(found.path, found.name)

    def _on_disk(self, path: Path, member: PurePosixPath) -> Iterator[Entry]:
        with readable(member, "file"), path.open("rb") as stream:
            yield from self._file(stream, member, 0, None, OnDisk(path))

    def _file(
        self, stream: BinaryIO, member: PurePosixPath, depth: int, scope: Scope | None, source: Source | None
    ) -> Iterator[Entry]:
        """Yield the file itself, or the contents of an archive.

        Args:
            stream: bytes of the file; they can be rewound where `source` is on disk.
            member: name of the file inside the input.
            depth: number of archives around the file.
            scope: counter of the bytes that the outermost archive unpacks to; None for a file in the user's folder.
            source: place from which the bytes can be read again.
        """
        head = stream.read(HEAD_BYTES)
        kind = kind_of(head, member.name)
        if head[128:132] == b"DICM" or not is_archive(kind):
            if kind == EMPTY:
                self._passed.add(EMPTY)
                return
            if member.name.lower().endswith(".zip") and kind in (UNKNOWN, TEXT):
                raise damaged(member_name(member), "zip")
            yield Entry(str(member), head, kind, source, cast(BinaryIO, Rejoined(head, stream)), str(member.parent))
            return
        self._budget.demand_depth(depth + 1)
        whole = cast(BinaryIO, Rejoined(head, stream))
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
        """Yield what one compressed file holds."""
        inner = member.with_suffix("") if member.suffix.lower() in _SUFFIXES else member
        with unpacking(member_name(member)):
            opened = cast(BinaryIO, Counted(decompressed(stream, kind), scope))
            yield from self._file(opened, inner, depth, scope, None)

    def _tar(self, stream: BinaryIO, member: PurePosixPath, depth: int, scope: Scope) -> Iterator[Entry]:
        # Its own bytes were counted where it was compressed; where it was not it adds nothing to them.
        with unpacking(member_name(member)), tarfile.open(fileobj=stream, mode="r|") as archive:
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
        where = member_name(member)
        with seekable(stream, source) as whole, unpacking(where):
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
        if any(part.startswith(".") for part in parts):
            self._passed.add(HIDDEN)
            return True
        if any(is_system_file(part) for part in parts):
            self._passed.add(SYSTEM_FILE)
            return True
        return False
