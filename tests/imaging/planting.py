"""Identifying text in every place of a DICOM file that can hold any, and a search through everything that came out."""

from __future__ import annotations

import base64
import gzip
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import h5py
import pydicom
from pydicom.config import IGNORE
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from palpate.imaging.deidentify.allowed import NUMBERS, SEQUENCES
from palpate.imaging.dicom_out.dicom_identity import PATIENT, PLACE_AND_TIME, STUDY
from tests.imaging.scanner import PATIENT as NAME

MARK = "ZQXJKV"
DAY, NUMBER, AGE = "19470213", "7390126", "077Y"
IDENTIFIER = "1.2.840.99999.7390126"
SECRETS = (MARK, DAY, NUMBER, *NAME.split("^"), "MUSTER77", "19600102")

_PLACE = (
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "ReferencedFrameOfReferenceUID",
    "ReferencedSOPInstanceUID",
    "SeriesInstanceUID",
    "UID",
)
"""Keywords of the scan's own identifiers in DICOM that palpate writes; a report names the source series by UID."""
_BEGINNING = 12
"""Characters by which secrets are told apart first."""

_TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
_OTHER = {"AS": AGE, "DA": DAY, "DT": f"{DAY}112233.5", "TM": f"{MARK}1", "DS": f"{NUMBER}.5", "IS": NUMBER}
# An image that says that text is burned in, or that is in colour, is left out as a whole: other tests see to that.
_DECISIVE = ("BurnedInAnnotation", "PhotometricInterpretation", "SpecificCharacterSet", "NumberOfFrames")
_ALL = [
    (tag, vr, keyword)
    for tag, (vr, _, _, _, keyword) in sorted(DicomDictionary.items())
    if tag >> 16 not in (0x0000, 0x0002, 0x0004) and keyword not in _DECISIVE
]
_SOME = [one for number, one in enumerate(_ALL) if number % 60 == 0 or one[0] >> 16 == 0x0010]


def plant(image: pydicom.Dataset, *, everywhere: bool) -> None:
    """Put identifying text into an image.

    Args:
        image: what it needs to be read is not touched.
        everywhere: into every text element of the standard's dictionary, not only into some of each type.
    """
    for tag, vr, keyword in _ALL if everywhere else _SOME:
        element = None if tag in image else _planted(tag, vr, keyword)
        if element is not None:
            image.add(element)
    _plant_private(image)
    _plant_nested(image)
    image.file_meta.SourceApplicationEntityTitle = f"{MARK}AE"
    image.file_meta.PrivateInformationCreatorUID = IDENTIFIER
    image.file_meta.PrivateInformation = f"{MARK}BYTES".encode()
    for group in (0x5000, 0x6000):
        image.add_new((group, 0x0022), "LO", f"{MARK}overlay")
        image.add_new((group, 0x3000), "OB", f"{MARK}bytes!".encode())
    image.PixelData += f"{MARK}after the pixels".encode()


def _planted(tag: int, vr: str, keyword: str) -> DataElement | None:
    """One element with a text of its own; None for types without text and for numbers that readers use."""
    if vr in _TEXT:
        return DataElement(tag, vr, f"{MARK}{tag:08X}", validation_mode=IGNORE)
    if vr == "UI" and keyword not in ("SOPClassUID",):
        return DataElement(tag, vr, f"{IDENTIFIER}.{tag}", validation_mode=IGNORE)
    if vr in ("DS", "IS") and keyword in NUMBERS:
        return None
    return DataElement(tag, vr, _OTHER[vr], validation_mode=IGNORE) if vr in _OTHER else None


def _plant_private(image: Dataset) -> None:
    """Text in private blocks: beside the elements that may stay, within them, in blocks of unknown creators.

    Elements that a vendor's reader needs keep their values, with text around them where they are text.
    """
    _add_private(image, 0x0019, "SIEMENS MR HEADER", 0x0B, "LO", f"{MARK}siemens")
    _add_private(image, 0x0029, "SIEMENS CSA HEADER", 0x10, "OB", f"{MARK}CSA ".encode())
    stated_elsewhere = (0x0019, 0x10BC) in image
    _add_private(image, 0x0043, "GEMS_PARM_01", 0x82, "LO", MARK if stated_elsewhere else f"lineFreq=60.5 {MARK}")
    parameters = image.private_block(0x0043, "GEMS_PARM_01")[0x82]
    parameters.value = [f"{MARK} 12", *([parameters.value] if parameters.VM == 1 else parameters.value), MARK]
    _add_private(image, 0x0019, "GEMS_ACQU_01", 0x9C, "LO", "")
    sequence = image.private_block(0x0019, "GEMS_ACQU_01")[0x9C]
    sequence.value = f"/home/{MARK}/{sequence.value}"
    _add_private(image, 0x2001, "Philips Imaging DD 001", 0x18, "LO", f"{MARK}philips")
    _add_private(image, 0x2005, "Philips MR Imaging DD 001", 0x12, "LO", f"{MARK}philips")
    _add_private(image, 0x0071, f"{MARK}CREATOR", 0x01, "UT", f"{MARK}text")
    _add_private(image, 0x0073, "UNKNOWN", 0x02, "UN", f"{MARK}unknown!".encode())
    _add_private(image, 0x0073, "UNKNOWN", 0x03, "SQ", [_item()])


def _add_private(image: Dataset, group: int, creator: str, element: int, vr: str, value: object) -> None:
    """Add a private element where there is none."""
    block = image.private_block(group, creator, create=True)
    if element not in block:
        block.add_new(element, vr, value)


def _plant_nested(image: Dataset) -> None:
    """Sequences within sequences, of names that go and of names that stay; where one is there, beside what it holds."""
    for name in ("RequestAttributesSequence", "ReferencedImageSequence", "DeidentificationMethodCodeSequence"):
        inner, outer = _item(), _item()
        outer.ContentSequence = [inner]
        setattr(image, name, [outer])
    for name in SEQUENCES:
        if name in image:
            for item in image[name].value:
                _plant_beside(item)
        elif name != "PerFrameFunctionalGroupsSequence" and "PerFrameFunctionalGroupsSequence" not in image:
            inner, outer = _item(), _item()
            outer.FrameContentSequence = [inner]
            setattr(image, name, [outer])


def _plant_beside(item: Dataset) -> None:
    """Text into an item and the items within it, beside what they hold; a comment that is there stays the comment."""
    for element in item:
        if element.VR == "SQ":
            for inner in element.value:
                _plant_beside(inner)
    for element in _item():
        if element.tag not in item and element.keyword != "FrameComments":
            item.add(element)


def _item() -> Dataset:
    item = Dataset()
    for name, vr in (
        ("PatientName", "PN"), ("FrameComments", "LT"), ("TextValue", "UT"), ("CodeMeaning", "LO"),
        ("FrameLaterality", "CS"), ("StationAETitle", "AE"), ("RetrieveURI", "UR"), ("StackID", "SH"),
    ):  # fmt: skip
        item.add(DataElement(pydicom.datadict.tag_for_keyword(name), vr, f"{MARK}{name[:6]}", validation_mode=IGNORE))
    item.StudyDate, item.AcquisitionDateTime, item.PatientAge = DAY, f"{DAY}01", AGE
    item.ReferencedSOPInstanceUID, item.PatientWeight = f"{IDENTIFIER}.8", NUMBER
    item.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "LO", f"{MARK}nested")
    return item


def identifiers_in(folder: Path) -> tuple[str, ...]:
    """Every unique identifier in the headers of a folder's DICOM files that is not one of the standard's own."""
    found = set()
    for path in (path for path in folder.rglob("*") if path.is_file()):
        for element in pydicom.dcmread(path, stop_before_pixels=True).iterall():
            if element.VR == "UI" and element.value and not str(element.value).startswith("1.2.840.10008."):
                found.add(str(element.value))
    assert len(found) > 3
    return tuple(sorted(found))


def without_place(maps: Path, to: Path) -> None:
    """DICOM maps once more, without the elements that are the scan's own: patient, study, frame, series, image."""
    to.mkdir()
    for number, path in enumerate(sorted(maps.rglob("*.dcm"))):
        image = pydicom.dcmread(path)
        for element in image.iterall():
            if element.keyword in _PLACE:
                element.value = "2.25.1"
        for keyword in (*PATIENT, *STUDY, *PLACE_AND_TIME):
            if keyword in image:
                delattr(image, keyword)
        image.save_as(to / f"{number}-{path.name}")


def leaks(folder: Path, secrets: tuple[str, ...] = SECRETS) -> list[tuple[str, str]]:
    """File and secret for every secret that occurs in a name or in the unpacked content of a folder's files."""
    # Thousands of identifiers begin alike: where their beginning does not occur, none of them does.
    alike: dict[str, list[str]] = defaultdict(list)
    for one in secrets:
        alike[one.lower()[:_BEGINNING]].append(one)
    found = []
    for name, content in everything(folder):
        low, low_name = content.lower(), name.lower()
        likely = [one for start, group in alike.items() if start.encode() in low or start in low_name for one in group]
        found += [(name, one) for one in likely if one.lower().encode() in low or one.lower() in low_name]
    return found


def not_in_maps(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of `leaks` that are not in a DICOM map, the one place where the scan's identity belongs."""
    return [one for one in found if not re.search(r"(^|/)dicom/.+\.dcm$", one[0])]


def everything(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of all files, once as they are and once unpacked: gzip, zip, HDF5 attributes, embedded base64."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        yield name, content
        if path.suffix == ".gz":
            yield name, gzip.decompress(content)
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                yield from ((f"{name} {one}", archive.read(one)) for one in archive.namelist())
        elif path.suffix == ".h5":
            with h5py.File(path) as stored:
                yield name, repr([dict(stored.attrs), *((key, dict(stored[key].attrs)) for key in stored)]).encode()
        elif path.suffix == ".html":
            for piece in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", content):
                data = base64.b64decode(piece + b"=" * (-len(piece) % 4))
                yield name, gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
