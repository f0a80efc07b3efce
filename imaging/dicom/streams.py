"""Streams out of archives: decompressed, with their first bytes put back, and parts of a temporary file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

from palpate.imaging.dicom.file_kinds import BZIP2, GZIP
from palpate.imaging.dicom.sources import OnDisk, Source, Spooled

IN_MEMORY_BYTES: Final = 32 << 20
"""How much of a temporary file stays in memory."""
PIECE_BYTES: Final = 1 << 20


def decompressed(stream: BinaryIO, kind: str) -> BinaryIO:
    """A stream of what a compressed one holds."""
    if kind == GZIP:
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    return cast(BinaryIO, bz2.BZ2File(stream) if kind == BZIP2 else lzma.LZMAFile(stream))


class Part(io.RawIOBase):
    """Stream of one file within the temporary file."""

    def __init__(self, part: Spooled) -> None:
        super().__init__()
        self._part = part
        self._place = 0

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be rewound."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._part.length}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """Return the present place."""
        return self._place

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, or all that are left."""
        left = max(0, self._part.length - self._place)
        wanted = left if size is None or size < 0 else min(size, left)
        self._part.spool.seek(self._part.start + self._place)
        self._place += wanted
        return self._part.spool.read(wanted)


class Rejoined(io.RawIOBase):
    """Stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, or all that are left."""
        wanted = -1 if size is None else size
        if wanted < 0:
            content, self._head = self._head, b""
            return content + self._rest.read()
        content, self._head = self._head[:wanted], self._head[wanted:]
        return content + self._rest.read(wanted - len(content)) if len(content) < wanted else content


@contextmanager
def seekable(stream: BinaryIO, source: Source | None) -> Iterator[BinaryIO]:
    """The stream, or a copy of it, in which one can go back and forth."""
    if isinstance(source, OnDisk):
        with source.path.open("rb") as opened:
            yield opened
        return
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as copy:
        while piece := stream.read(PIECE_BYTES):
            copy.write(piece)
        copy.seek(0)
        yield cast(BinaryIO, copy)
