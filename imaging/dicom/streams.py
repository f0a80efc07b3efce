"""Streams from archives: decompressed, with their first bytes put back, and parts of a temporary file."""

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
"""Largest part of a temporary file that stays in memory, bytes."""
PIECE_BYTES: Final = 1 << 20
"""Size of the pieces in which compressed data are read, bytes."""


def decompressed(stream: BinaryIO, kind: str) -> BinaryIO:
    """Return a stream of the decompressed content of another one."""
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
        """Return True: the stream can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: the stream can be rewound."""
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
        """Return True: the stream can be read."""
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
    """Yield a stream that can be rewound: the file on disk, or a copy of a stream that cannot."""
    if isinstance(source, OnDisk):
        with source.path.open("rb") as opened:
            yield opened
        return
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as copy:
        while piece := stream.read(PIECE_BYTES):
            copy.write(piece)
        copy.seek(0)
        yield cast(BinaryIO, copy)
