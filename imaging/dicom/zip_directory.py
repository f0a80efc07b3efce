"""Number of members of a zip, counted before Python's zipfile takes memory for each of them."""

from __future__ import annotations

import os
import struct
import zipfile
from typing import BinaryIO, Final

from palpate.errors import InputError

_END, _END64, _MEMBER = b"PK\x05\x06", b"PK\x06\x06", b"PK\x01\x02"
_END_BYTES: Final = 22
_LONGEST_COMMENT: Final = 0xFFFF
_SHORTEST_ENTRY: Final = 46
_IN_64: Final = 0xFFFFFFFF
_END64_BYTES: Final = 56 + 20
"""Long end record with its locator, both between the directory and the short end record."""
_PIECE_BYTES: Final = 1 << 22


def demand_few_members(stream: BinaryIO, where: str, most: int) -> None:
    """Raise InputError where a zip's directory holds more members than a limit.

    Args:
        stream: the zip; it can be rewound, and is left at its start.
        where: name of the zip in the error.
        most: the limit.

    Raises:
        zipfile.BadZipFile: there is no directory.
    """
    length = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, length - _END_BYTES - _LONGEST_COMMENT))
    tail = stream.read()
    place = tail.rfind(_END)
    if place < 0 or len(tail) - place < _END_BYTES:
        raise zipfile.BadZipFile("no directory")
    size = struct.unpack_from("<I", tail, place + 12)[0]
    end = length - len(tail) + place
    if size == _IN_64:
        long_place = tail.rfind(_END64, 0, place)
        if long_place < 0:
            raise zipfile.BadZipFile("no directory")
        size = struct.unpack_from("<Q", tail, long_place + 40)[0]
        end -= _END64_BYTES
    # An entry is at least so long; an exact count needs a look at the directory only where there could be too many.
    if size // _SHORTEST_ENTRY > most and _members(stream, max(0, end - size), end) > most:
        raise InputError(
            where,
            found=f"a zip of more than {most} members",
            expected=f"at most {most} files in one input",
            advice="Give the folder or archive of one session only.",
        )
    stream.seek(0)


def _members(stream: BinaryIO, start: int, end: int) -> int:
    """Return how often the mark of a member stands in the directory; by chance also in names, hardly ever."""
    stream.seek(start)
    count, kept = 0, b""
    while start < end and (piece := stream.read(min(_PIECE_BYTES, end - start))):
        start += len(piece)
        joined = kept + piece
        count += joined.count(_MEMBER)
        kept = joined[-(len(_MEMBER) - 1) :]
    return count
