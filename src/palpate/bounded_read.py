"""Reading of whole texts and records up to a size: a device has no end, and a file can be larger than the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MOST_BYTES: Final = 64 << 20
"""Largest size of a text or record, bytes. A record of the 200 000 files that one input may have takes half of it."""


class OversizeError(ValueError):
    """Error of a file that is too large to be read as a whole; its message is a noun phrase for the size found."""


def read_bounded(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OversizeError: the file holds more than MOST_BYTES. The size that the file system states is not relied on.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OversizeError(f"more than {MOST_BYTES >> 20} MB")
    return content
