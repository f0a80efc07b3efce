"""Parsing of DICOM headers from bytes, with or without preamble, deflated or not, private elements included."""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import pydicom
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from palpate.imaging.dicom.file_kinds import HEAD_BYTES
from palpate.imaging.files.plain_names import shown
from palpate.imaging.limits.input_limits import Budget, Scope

UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    MemoryError,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    struct.error,
)
"""Errors that pydicom and its pixel decoders raise on damaged bytes; they promise no common class."""
_PREAMBLE: Final = 128
_PREFIX: Final = b"DICM"
_PIECE_BYTES: Final = 1 << 18
_META_GROUP: Final = 0x0002
_CODES: Final = frozenset(str(one).encode() for one in VR if len(str(one)) == 2)
_LONG_CODES: Final = frozenset(b"OB OD OF OL OV OW SQ UC UN UR UT SV UV".split())
_PIXEL_DATA: Final = 0x7FE00010


def is_dicom(head: bytes) -> bool:
    """Return whether a file begins with DICOM's preamble, or at once with elements of its first groups.

    Args:
        head: the first bytes; some hundred are enough.
    """
    return head[_PREAMBLE : _PREAMBLE + 4] == _PREFIX or _starts_with_elements(head)


def parse(
    stream: BinaryIO, stored: int, budget: Budget, *, pixels: bool = False, tags: Sequence[str] | None = None
) -> pydicom.FileDataset:
    """Return a file's elements, with its pixels or without; the stream is left where the pixels begin.

    Args:
        stream: the file, which can be rewound.
        stored: length of the file, bytes.
        budget: count of what the input has been unpacked to so far, to which deflated data add.
        pixels: whether to read what begins with the pixels.
        tags: keywords of the elements to read; None reads all.

    Raises:
        InputError: it unpacks to more than the limits allow.
        Exception: one of UNREADABLE, where it is damaged.
    """
    _demand_small(stream, stored, budget)
    stream.seek(0)
    if not is_dicom(stream.read(HEAD_BYTES)):
        raise InvalidDicomError
    stream.seek(0)
    with silence():
        image = pydicom.dcmread(
            stream, stop_before_pixels=not pixels, force=True, specific_tags=None if tags is None else list(tags)
        )
    if "TransferSyntaxUID" not in image.file_meta:
        implicit, little = image.original_encoding
        encoded = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else encoded
    return image


def parse_file(path: Path, tags: Sequence[str] | None = None) -> pydicom.FileDataset:
    """Return the elements of a file on disk, without its pixels; a deflated one must not fill the memory.

    Args:
        path: the file.
        tags: keywords of the elements to read; None reads all.

    Raises:
        InputError: it unpacks to more than the limits allow.
        Exception: one of UNREADABLE, where it is no DICOM file or damaged.
    """
    with path.open("rb") as stream:
        return parse(stream, path.stat().st_size, Budget(shown(path)), tags=tags)


def transfer_syntax(image: Dataset) -> UID:
    """Return the transfer syntax that a parsed file states or shows."""
    return UID(str(image.file_meta.get("TransferSyntaxUID", "")), validation_mode=IGNORE)


def is_deflated(image: Dataset) -> bool:
    """Return whether a parsed file's elements are stored deflated."""
    return bool(transfer_syntax(image) == DeflatedExplicitVRLittleEndian)


def read_all(header: Dataset) -> int:
    """Read every element, because elements are parsed on access only; take out private ones that cannot be read.

    Scanners and archives write private elements of wrong kinds or lengths. A reader that needs one reports it missing.

    Returns:
        The number of private elements that were taken out.

    Raises:
        Exception: one of UNREADABLE, where an element of the standard is damaged.
    """
    dropped = 0
    for tag in list(header.keys()):
        try:
            element = header[tag]
            _ = str(element.value) if element.VR == "PN" else element.value
            if element.VR == "SQ":
                dropped += sum(read_all(item) for item in element.value)
        except UNREADABLE:
            if not tag.is_private:
                raise
            del header[tag]
            dropped += 1
    return dropped


def after_pixels(image: Dataset, stream: BinaryIO, stored: int) -> int:
    """Return how many bytes follow the pixels of a file; 0 where that cannot be told without decoding.

    Args:
        image: parsed without pixels.
        stream: the file, at the beginning of its pixels, where `parse` left it.
        stored: length of the file, bytes.
    """
    if is_deflated(image):
        return 0
    start = stream.tell()
    implicit, little = image.original_encoding
    header = stream.read(8 if implicit else 12)
    order = "<" if little else ">"
    if len(header) < (8 if implicit else 12):
        return 0
    group, element = struct.unpack_from(order + "HH", header)
    length = struct.unpack_from(order + "I", header, 4 if implicit else 8)[0]
    if (group << 16) + element != _PIXEL_DATA or length == 0xFFFFFFFF:
        return 0
    return max(0, stored - start - len(header) - int(length))


def are_elements(rest: bytes, image: Dataset) -> bool:
    """Return whether bytes after the pixels are well-formed elements, as private groups and signatures are.

    Bytes that were inserted into the pixels push as many of the last ones out: those are no elements.
    """
    implicit, little = image.original_encoding
    order = "<" if little else ">"
    place, before = 0, Tag(_PIXEL_DATA)
    while place < len(rest):
        found = _element(rest, place, order, implicit=bool(implicit))
        if found is None or found[0] <= before:
            # Zeros may pad what comes last.
            return place > 0 and not rest[place:].strip(b"\0")
        before, place = found[0], found[1]
    return place == len(rest)


@contextmanager
def silence() -> Iterator[None]:
    """Keep pydicom's warnings off the terminal and out of logs: they quote what they found in the header."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _demand_small(stream: BinaryIO, stored: int, budget: Budget) -> None:
    """Raise InputError where a deflated file unpacks to more than the limits allow; nothing of it is kept."""
    stream.seek(0)
    head = stream.read(_PREAMBLE + 4)
    if head[_PREAMBLE:] != _PREFIX:
        stream.seek(0)
    with silence():
        # The file meta group is never deflated; it ends where another group begins.
        meta = read_dataset(
            stream, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: tag.group != _META_GROUP
        )
    if str(meta.get("TransferSyntaxUID", "")) != DeflatedExplicitVRLittleEndian:
        return
    scope, inflater = Scope(budget, stored), zlib.decompressobj(-zlib.MAX_WBITS)
    while piece := stream.read(_PIECE_BYTES):
        while piece:
            scope.add(len(inflater.decompress(piece, _PIECE_BYTES)))
            piece = inflater.unconsumed_tail


def _starts_with_elements(head: bytes) -> bool:
    """Return whether a file begins with elements of groups 0002 or 0008 in the order of their tags."""
    for order, implicit in (("<", False), (">", False), ("<", True)):
        place, before, count = 0, BaseTag(0), 0
        while (found := _element(head, place, order, implicit=implicit)) is not None and found[0] > before:
            if not count and found[0].group not in (0x0002, 0x0008):
                break
            count += 1
            before, place = found[0], found[1]
        if count >= _FEWEST_ELEMENTS:
            return True
    return False


_FEWEST_ELEMENTS: Final = 4
"""Elements in a row that bytes of another kind do not show by chance."""


def _element(content: bytes, place: int, order: str, *, implicit: bool) -> tuple[BaseTag, int] | None:
    """Tag of the element at a place and where the next one begins; None where there is none that ends within."""
    if place + 8 > len(content):
        return None
    group, element = struct.unpack_from(order + "HH", content, place)
    if implicit:
        start, length = place + 8, struct.unpack_from(order + "I", content, place + 4)[0]
    elif content[place + 4 : place + 6] in _LONG_CODES:
        if place + 12 > len(content):
            return None
        start, length = place + 12, struct.unpack_from(order + "I", content, place + 8)[0]
    elif content[place + 4 : place + 6] in _CODES:
        start, length = place + 8, struct.unpack_from(order + "H", content, place + 6)[0]
    else:
        return None
    end = start + int(length)
    return (Tag(group, element), end) if end <= len(content) else None
