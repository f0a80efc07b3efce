"""De-identification of a region's file that somebody hands in: what is needed to lay it on a scan, and nothing else.

A NIfTI file keeps its grid and voxels; its free texts, extensions and whatever follows the voxels are dropped. A DICOM
file keeps numbers, pixels, contours and the few words and identifiers by which regions are found and placed, by
allow-list: frames of reference and the series on which it was drawn stay, since without them nothing tells where the
region lies; names of regions stay where all their words are usual ones.
"""

from __future__ import annotations

import hmac
import io
import re
import secrets
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, RTStructureSetStorage, SegmentationStorage

from palpate.errors import InputError
from palpate.imaging.dicom.parsing import UNREADABLE, parse, silence, transfer_syntax
from palpate.imaging.dicom.persons import person_of
from palpate.imaging.limits.input_limits import LIMITS, MIB, Budget
from palpate.imaging.regions.choice import RegionEntry

WHERE: Final = "the region's file"
"""Name of the file in errors."""
MOST_POINTS: Final = 300_000
"""Most points of all contours of a file."""
_KINDS: Final = "a NIfTI mask in one file (.nii, .nii.gz), a DICOM Segmentation or an RT Structure Set"
_MOST_UNPACKED: Final = 128 * MIB
_MOST_ITEMS: Final = 50_000
_DEEPEST: Final = 12
_ITEM: Final = b"\xfe\xff\x00\xe0"
_LIMITS: Final = replace(
    LIMITS, total_bytes=256 * MIB, file_bytes=256 * MIB, free_bytes=32 * MIB, pixels=_MOST_UNPACKED, ratio=50
)
_STANDARD: Final = "1.2.840.10008."
_LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
_NUMBERS: Final = frozenset(
    ("AT", "DS", "FD", "FL", "IS", "OB", "OD", "OF", "OL", "OW", "SL", "SS", "SV", "UL", "US", "UV", "SQ")
)
_WORDS: Final = frozenset(
    (
        *("SegmentationType", "SegmentationFractionalType", "SegmentsOverlap", "SegmentAlgorithmType"),
        *("ContourGeometricType", "PhotometricInterpretation", "Modality", "ImageType", "LossyImageCompression"),
        *("DimensionOrganizationType", "BurnedInAnnotation"),
    )
)
_CODES: Final = frozenset(("CodeValue", "CodingSchemeDesignator"))
_IDENTIFIERS: Final = frozenset(
    (*("SOPClassUID", "ReferencedSOPClassUID", "FrameOfReferenceUID", "ReferencedFrameOfReferenceUID"),)
)
_SERIES: Final = frozenset(("ReferencedSeriesSequence", "RTReferencedSeriesSequence"))
_NAMES: Final = frozenset(("ROIName", "SegmentLabel"))
_PERSONAL: Final = frozenset((0x0010, 0x0012, 0x0032, 0x0038, 0x4008, 0x300E))
_WORD: Final = re.compile(r"[A-Z0-9_ ]{0,16}")
_CODE: Final = re.compile(r"[A-Za-z0-9.-]{1,16}")


@dataclass(frozen=True, slots=True)
class CleanedRegion:
    """File of a region without identity.

    Attributes:
        kind: "NIfTI", "SEG" or "RTSTRUCT".
        content: the file.
        entries: its regions, with the names that may be repeated; empty where the file is NIfTI.
        patient: number of the patient that the file stated, which the caller only compares; empty for none.
    """

    kind: Literal["NIfTI", "SEG", "RTSTRUCT"]
    content: bytes
    entries: tuple[RegionEntry, ...]
    patient: str


def clean_region(given: bytes) -> CleanedRegion:
    """Return a region's file without identity.

    Args:
        given: content of the file.

    Raises:
        InputError: it is of another kind, damaged, or unpacks to more than a region needs.
    """
    if given[:2] == b"\x1f\x8b":
        given = _unpacked(given)
    if len(given) >= 348 and _sizes(given) is not None:
        return CleanedRegion("NIfTI", _clean_nifti(given), (), "")
    if given[128:132] == b"DICM":
        return _clean_dicom(given)
    raise _refused("a file that is none of these", "Export the region as one of them.")


def _unpacked(given: bytes) -> bytes:
    """Return what a gzip file holds; what follows its first member is no part of a NIfTI file."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(given, _MOST_UNPACKED + 1)
    except zlib.error as error:
        raise _refused("a damaged gzip file", "Copy or write it again.") from error
    if len(found) > _MOST_UNPACKED:
        raise _refused(f"a file that unpacks to more than {_MOST_UNPACKED // MIB} MB", "Crop the mask.")
    if not unpacker.eof:
        raise _refused("a gzip file that ends early", "Copy or write it again.")
    return found


def _sizes(given: bytes) -> tuple[str, int] | None:
    """Return byte order and length of a NIfTI header in one file; None where it is none."""
    for order in "<>":
        length = struct.unpack_from(order + "i", given)[0]
        if length == 348 and given[344:348] == b"n+1\0":
            return order, 348
        if length == 540 and given[4:8] == b"n+2\0" and len(given) >= 540:
            return order, 540
    return None


def _clean_nifti(given: bytes) -> bytes:
    """Return header and voxels without free texts and extensions."""
    found = _sizes(given)
    assert found is not None
    order, length = found
    header = bytearray(given[:length])
    if length == 348:
        texts: tuple[tuple[int, int], ...] = ((4, 39), (148, 252), (328, 344))
        count, *lengths = struct.unpack_from(order + "8h", header, 40)
        bits, start = struct.unpack_from(order + "h", header, 72)[0], struct.unpack_from(order + "f", header, 108)[0]
        struct.pack_into(order + "f", header, 108, float(length + 4))
    else:
        texts = ((240, 344), (508, 540))
        count, *lengths = struct.unpack_from(order + "8q", header, 16)
        bits, start = struct.unpack_from(order + "h", header, 14)[0], struct.unpack_from(order + "q", header, 168)[0]
        struct.pack_into(order + "q", header, 168, length + 4)
    for first, last in texts:
        header[first:last] = bytes(last - first)
    if not 1 <= count <= 7 or any(one < 1 for one in lengths[:count]) or bits not in (8, 16, 32, 64):
        raise _refused("a NIfTI header without a volume of numbers", "Export the mask again.")
    size = bits // 8
    for one in lengths[:count]:
        size *= one
        if size > _MOST_UNPACKED:
            raise _refused(f"a volume of more than {_MOST_UNPACKED // MIB} MB", "Crop the mask, or write 8-bit voxels.")
    if not length <= start <= len(given) or start + size > len(given):
        raise _refused("fewer voxels than the header states", "Copy or write the file again.")
    return bytes(header) + bytes(4) + given[int(start) : int(start) + size]


def _clean_dicom(given: bytes) -> CleanedRegion:
    if given.count(_ITEM) > _MOST_ITEMS:  # before anything parses them
        raise _many_items()
    try:
        with silence():
            image = parse(io.BytesIO(given), len(given), Budget(WHERE, _LIMITS), pixels=True)
            return _of_class(image)
    except UNREADABLE as error:
        raise _refused("a DICOM file that cannot be read to its end", "Export the region again.") from error


def _of_class(image: pydicom.FileDataset) -> CleanedRegion:
    kind = str(image.get("SOPClassUID") or "")
    if kind not in (SegmentationStorage, _LABEL_MAP, RTStructureSetStorage):
        raise _refused("a DICOM object that is neither a segmentation nor a structure set", "Export the region.")
    _demand_pixels(image)
    syntax, patient = transfer_syntax(image), person_of(image)[0]
    count = _Counter()
    cleaned = _cleaned(image, count, depth=0, of_series=False)
    cleaned.PatientName, cleaned.PatientID = "", ""
    of_contours = kind == RTStructureSetStorage
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, UID(kind)
    meta.MediaStorageSOPInstanceUID = cleaned.SOPInstanceUID
    stream = io.BytesIO()
    cleaned.file_meta = meta
    pydicom.dcmwrite(stream, cleaned, enforce_file_format=True)
    return CleanedRegion("RTSTRUCT" if of_contours else "SEG", stream.getvalue(), tuple(_entries(cleaned)), patient)


def _demand_pixels(image: pydicom.FileDataset) -> None:
    rows, columns, frames = (int(image.get(name) or 0) for name in ("Rows", "Columns", "NumberOfFrames"))
    if rows * columns * max(frames, 1) > _LIMITS.pixels:
        raise _refused(f"{rows} x {columns} x {frames} voxels", "Export the segmentation on fewer voxels.")
    stated = -(-rows * columns * max(frames, 1) * int(image.get("BitsAllocated") or 0) // 8)
    if "PixelData" in image and not transfer_syntax(image).is_encapsulated and len(image.PixelData) < stated:
        raise _refused(f"{len(image.PixelData)} bytes of pixels where {stated} are stated", "Copy the file again.")


def _entries(cleaned: Dataset) -> Iterator[RegionEntry]:
    for one in cleaned.get("SegmentSequence") or ():
        yield RegionEntry(int(one.SegmentNumber), str(one.get("SegmentLabel") or ""))
    for one in cleaned.get("StructureSetROISequence") or ():
        yield RegionEntry(int(one.ROINumber), str(one.get("ROIName") or ""))


@dataclass(slots=True)
class _Counter:
    """Counts of items and points so far, and the secret of the identifiers of this file."""

    items: int = 0
    points: int = 0
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def identifiers(self, name: str, value: object) -> str | list[str]:
        """Return identifiers of classes and frames as they are, and pseudonyms of this file for all others."""
        if isinstance(value, pydicom.multival.MultiValue):
            return [self._identifier(name, str(one)) for one in value]
        return self._identifier(name, str(value or ""))

    def _identifier(self, name: str, original: str) -> str:
        if name in _IDENTIFIERS or not original or original.startswith(_STANDARD):
            return original
        return f"2.25.{UUID(bytes=hmac.digest(self.secret, original.encode(), 'sha256')[:16], version=5).int}"

    def item(self, depth: int) -> None:
        """Count one item of a sequence."""
        self.items += 1
        if self.items > _MOST_ITEMS:
            raise _many_items()
        if depth > _DEEPEST:
            raise _refused(f"sequences more than {_DEEPEST} deep", "Export the region again.")

    def contour(self, content: object) -> None:
        """Count the points of a contour before anything reads them."""
        text = content if isinstance(content, bytes) else str(content).encode()
        self.points += (text.count(b"\\") + text.count(b",") + 1) // 3
        if self.points > MOST_POINTS:
            raise _refused(f"contours of more than {MOST_POINTS} points", "Export fewer ROIs, or coarser contours.")


def _cleaned(header: Dataset, count: _Counter, *, depth: int, of_series: bool) -> Dataset:
    """Return what is allowed of a data set."""
    count.item(depth)
    found = Dataset()
    for tag in list(header.keys()):
        if tag.is_private or tag.group in _PERSONAL or tag.element == 0:
            continue
        name = pydicom.datadict.keyword_for_tag(tag)
        raw = header.get_item(tag)
        if name == "ContourData" and raw is not None:
            count.contour(raw.value)
        element = header[tag]
        if element.VR == "SQ":
            series = name in _SERIES
            items = [_cleaned(one, count, depth=depth + 1, of_series=series) for one in element.value]
            setattr(found, name, items) if name else None
        elif element.VR == "UI" and name and not (of_series and name == "SeriesInstanceUID"):
            setattr(found, name, count.identifiers(name, element.value))
        elif name and _allowed(name, str(element.VR), element.value):
            found[tag] = element
        elif name in _NAMES:
            setattr(found, name, RegionEntry(0, str(element.value or "")).plain_name)
        elif name == "CodeMeaning":
            setattr(found, name, "code")
    return found


def _allowed(name: str, kind: str, value: object) -> bool:
    if kind in _NUMBERS or kind == "UI":
        return True
    pattern = _WORD if name in _WORDS else _CODE if name in _CODES else None
    values = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    return pattern is not None and all(pattern.fullmatch(str(one)) is not None for one in values)


def _refused(found: str, advice: str) -> InputError:
    return InputError(WHERE, found=found, expected=_KINDS, advice=advice)


def _many_items() -> InputError:
    return _refused(f"more than {_MOST_ITEMS} items of sequences", "Export fewer regions in one file.")


def write_cleaned(path: Path, region: CleanedRegion) -> None:
    """Write a region's file without identity.

    Args:
        path: file to write; its folder exists.
        region: cleaned file.
    """
    path.write_bytes(region.content)
