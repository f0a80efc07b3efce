"""Siemens' CSA header, (0029,1010): direction in which the tiles of a mosaic follow each other.

Only that and the number of slices are read. Many exports strip the header, for it may hold names.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT

CREATOR: Final = "SIEMENS CSA HEADER"
"""Private creator of the CSA headers."""
GROUP: Final = 0x0029
"""Group of the CSA headers, (0029,xx10)."""
IMAGE_HEADER: Final = 0x10
"""Element of the image's CSA header within the creator's block, (0029,1010)."""
NORMAL: Final = "SliceNormalVector"
"""Name of the CSA element with the direction in which slices follow each other."""
COUNT: Final = "NumberOfImagesInMosaic"
"""Name of the CSA element with the number of slices of a mosaic."""
_PARALLEL: Final = 0.99
_TAG_BYTES: Final = 84
_LONGEST: Final = 1024
_NAME: Final = re.compile(rb"[A-Za-z]{4,}")
_NUMBER: Final = re.compile(rb"(?<=\0) *([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?) *(?=\0)")
_ITEMS: Final = 6
"""Values for which a tag of the written header has room, as Siemens' own have."""
_CHECK: Final = 77


def slice_normal(value: object) -> NDArray[np.float64] | None:
    """Return the unit vector, in LPS, along which tiles follow each other; None where the bytes do not say.

    Args:
        value: content of element (0029,1010).
    """
    normal = _items(value, NORMAL)[:3]
    length = float(np.linalg.norm(normal)) if normal.shape == (3,) else 0.0
    return normal / length if length > 0 else None


def slice_count(instance: Instance) -> int | None:
    """Return the number of slices in a mosaic; None where there is no CSA header that states it."""
    count = _items(_value(instance.header), COUNT)
    return int(count[0]) if count.size else None


def _items(value: object, name: str) -> NDArray[np.float64]:
    """Return the numbers of one tag of a CSA header, of either type; none where the bytes do not say.

    A tag is its name and description in 84 bytes and then its values as text, each after four numbers whose meaning
    differs between the two types of header: the texts are looked for, up to the name of the next tag.
    """
    if not isinstance(value, bytes):
        return np.empty(0)
    start = value.find(name.encode() + b"\0")
    if start < 0:
        return np.empty(0)
    values = value[start + _TAG_BYTES : start + _TAG_BYTES + _LONGEST]
    following = _NAME.search(values)
    texts = _NUMBER.findall(b"\0" + (values if following is None else values[: following.start()]))
    return np.array([float(text) for text in texts])


def reduced(value: object) -> bytes | None:
    """Return a CSA header with the slice normal and number of slices alone; None where the given one has no normal.

    Args:
        value: content of element (0029,1010).
    """
    normal, count = slice_normal(value), _items(value, COUNT)[:1]
    if normal is None:
        return None
    texts = {NORMAL: ("FD", [f"{one:.8f}" for one in normal]), COUNT: ("US", [f"{one:.0f}" for one in count])}
    return csa_header(texts)


def csa_header(tags: Mapping[str, tuple[str, Sequence[str]]]) -> bytes:
    """Write a CSA header of type 2.

    Args:
        tags: type and values as text of each tag, at most six, by name.
    """
    header = b"SV10\4\3\2\1" + struct.pack("<II", len(tags), _CHECK)
    for name, (vr, values) in tags.items():
        kind = vr.encode().ljust(4, b"\0")
        header += name.encode().ljust(64, b"\0") + struct.pack("<i4sIII", len(values), kind, _ITEMS, _ITEMS, _CHECK)
        for text in [value.encode() + b"\0" for value in values] + [b""] * (_ITEMS - len(values)):
            padded = text.ljust(-(-len(text) // 4) * 4, b"\0")
            header += struct.pack("<IIII", len(text), len(text), _CHECK, len(text)) + padded
    return header


def tiles_descend(instance: Instance, normal_lps: NDArray[np.float64]) -> bool:
    """Return whether tiles follow each other against the normal of the image's rows and columns.

    Without a CSA header they are taken to follow it, as Siemens' default is.

    Args:
        instance: a mosaic.
        normal_lps: rows x columns, unit vector, shape (3,).

    Raises:
        InputError: the CSA header states a normal that is not that of the image.
    """
    stated = slice_normal(_value(instance.header))
    if stated is None:
        return False
    cosine = float(stated @ normal_lps)
    if abs(cosine) < _PARALLEL:
        raise InputError(
            instance.place,
            found=f"a slice normal in (0029,1010) that is {np.degrees(np.arccos(abs(cosine))):.0f} degrees off the "
            "normal of rows and columns",
            expected="both along one line",
            advice=FULL_EXPORT,
        )
    return cosine < 0


def _value(header: pydicom.Dataset) -> object:
    """Return the value of (0029,1010); None where it is absent."""
    try:
        block = header.private_block(GROUP, CREATOR)
    except KeyError:
        return None
    return block[IMAGE_HEADER].value if IMAGE_HEADER in block else None
