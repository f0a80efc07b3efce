"""DICOM instances out of a folder or a zip: headers now, pixels when asked for, errors that name no patient."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from palpate.errors import InputError
from palpate.imaging.dicom.vocabulary import is_plain_name
from palpate.progress import say

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
"""What pydicom and its pixel decoders raise on damaged bytes; they promise no common class."""
_UNKNOWN_LENGTH = 0xFFFFFFFF
_AFTER_PIXELS = (b"\xfc\xff\xfc\xff", b"\xff\xfc\xff\xfc", b"\xfa\xff\xfa\xff", b"\xff\xfa\xff\xfa")
"""Tags that may follow pixels, in either order of bytes: padding, signatures."""
_BLOCK_BYTES = 512
"""Files are padded with zeros to multiples of this, where they are."""
_STANDARD_ROOT = "1.2.840.10008."
_COMPLETE = "a complete DICOM image"
_COPY_AGAIN = "Copy the file from the scanner or archive again."


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM image: its header, and where its pixels are.

    Attributes:
        header: everything but the pixels.
        container: the folder or zip file that the user named.
        member: the file's path inside the container.
        frame: index of the image in a file that holds several; None in a file of one image.
    """

    header: pydicom.Dataset
    container: Path
    member: str
    frame: int | None = None

    @property
    def place(self) -> str:
        """How errors name this file: its base name where that is a mere number or word, else its instance number."""
        name = PurePosixPath(self.member).name
        if not is_plain_name(name):
            name = f"instance {_number(self.header, 'InstanceNumber')}"
        frame = "" if self.frame is None else f", frame {self.frame + 1}"
        return f"series {_number(self.header, 'SeriesNumber')}, {name}{frame}"

    def pixels(self) -> NDArray[np.float64]:
        """The stored pixel values, before any rescaling, shape (rows, columns).

        Raises:
            InputError: the pixels are missing, truncated or compressed in a way that cannot be read.
        """
        try:
            with silence():
                if self.frame is None:
                    values = whole_image(self.content()).pixel_array
                else:
                    values = _frames(self.container, self.member, _changed_ns(self.container, self.member))[self.frame]
        except UNREADABLE as error:
            raise InputError(
                self.place, found="pixels that cannot be read to their end", expected=_COMPLETE, advice=_COPY_AGAIN
            ) from error
        return np.asarray(values, dtype=np.float64)

    def content(self) -> bytes:
        """The bytes of the file."""
        return _content(self.container, self.member)


def read_instances(container: Path) -> tuple[Instance, ...]:
    """Headers of all DICOM images in a folder (searched deeply), a zip, or a single file.

    Files that announce themselves as something else than DICOM images (DICOMDIR, text, hidden) are passed over, and so
    are second copies of a file, which archives like to hand out.

    Raises:
        InputError: the path does not exist, a zip is damaged, a DICOM file is truncated, or there is no image.
    """
    if not container.exists():
        raise InputError(container, found="no such file or folder", expected="DICOM images", advice="Check the path.")
    instances: dict[bytes, Instance] = {}
    copies = 0
    for position, (member, content) in enumerate(contents(container), start=1):
        header = _header(member, position, content)
        if header is not None:
            known = instances.setdefault(sha256(content).digest(), Instance(header, container, member))
            copies += known.member != member
    if copies:
        say(f"{copies} files passed over: copies of others, byte by byte")
    if not instances:
        raise InputError(
            shown(container),
            found="no DICOM image",
            expected="a folder or zip with the scanner's DICOM files",
            advice="Point at the DICOM export of the MRE series.",
        )
    return tuple(instances.values())


def _header(member: str, position: int, content: bytes) -> pydicom.Dataset | None:
    """The header of an image; None for a file that is no DICOM image."""
    name = PurePosixPath(member).name
    suffixed = name.lower().endswith((".dcm", ".ima"))
    if not is_plain_name(name):
        name = f"file {position} in the order of names"
    if content[128:132] != b"DICM":
        if suffixed:
            raise InputError(name, found="no DICOM file", expected=_COMPLETE, advice=_COPY_AGAIN)
        return None
    try:
        with silence():
            header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
            # Elements are parsed on access: touch them all, so that a cut header fails here and names its file.
            for element in header.iterall():
                _ = str(element.value) if element.VR == "PN" else element.value
            # The file meta group comes first and survives truncation: it tells a cut image from a DICOMDIR or a report.
            announced = header.file_meta.get("MediaStorageSOPClassUID", header.get("SOPClassUID"))
    except UNREADABLE as error:
        raise InputError(name, found="a damaged DICOM header", expected=_COMPLETE, advice=_COPY_AGAIN) from error
    if "Rows" in header and "SOPClassUID" in header:
        return header
    if not _is_something_else(header, UID(str(announced or ""), validation_mode=IGNORE)):
        raise InputError(name, found="a truncated DICOM image", expected=_COMPLETE, advice=_COPY_AGAIN)
    return None


def _is_something_else(header: pydicom.Dataset, announced: UID) -> bool:
    """Whether a file without pixels is meant to have none: by a class of the standard, or a maker's own stated twice.

    An image whose class is damaged must not pass for something else: it would be missing without a word.
    """
    if announced.name != announced:
        return "Image Storage" not in announced.name
    return not announced.startswith(_STANDARD_ROOT) and announced != "" and header.get("SOPClassUID") == announced


def contents(container: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every visible file of a folder or zip, or of a single file, in the order of names.

    Raises:
        InputError: a zip is damaged.
    """
    if container.is_dir():
        for path in sorted(container.rglob("*")):
            inside = path.relative_to(container)
            if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield inside.as_posix(), path.read_bytes()
    elif zipfile.is_zipfile(container):
        with _archive(container) as archive:
            for member in sorted(archive.namelist()):
                if not member.endswith("/") and not PurePosixPath(member).name.startswith("."):
                    with _unpacking(container):
                        content = archive.read(member)
                    yield member, content
    elif container.suffix.lower() == ".zip":
        raise InputError(
            container, found="a damaged zip file", expected="a complete zip", advice="Copy the archive again."
        )
    else:
        yield container.name, container.read_bytes()


def _content(container: Path, member: str) -> bytes:
    """The bytes of one file of a container."""
    if container.is_dir():
        return (container / member).read_bytes()
    if zipfile.is_zipfile(container):
        with _archive(container) as archive, _unpacking(container):
            return archive.read(member)
    return container.read_bytes()


def whole_image(content: bytes) -> pydicom.Dataset:
    """A DICOM file with its pixels.

    Raises:
        ValueError: bytes follow the pixels that belong to no element: some were inserted, and all after them are moved.
            Damaged bytes raise whatever is in UNREADABLE.
    """
    image = pydicom.dcmread(io.BytesIO(content))
    pixels = image.get_item("PixelData")
    if isinstance(pixels, RawDataElement) and pixels.length != _UNKNOWN_LENGTH and not _is_deflated(image):
        rest = content[pixels.value_tell + pixels.length :]
        padded = not rest.strip(b"\0") and len(content) % _BLOCK_BYTES == 0
        if rest and not padded and rest[:4] not in _AFTER_PIXELS:
            raise ValueError("bytes after the pixels")
    return image


def _is_deflated(image: pydicom.Dataset) -> bool:
    return bool(image.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


@lru_cache(maxsize=1)
def _frames(container: Path, member: str, changed_ns: int) -> NDArray[np.generic]:  # noqa: ARG001 - tells versions apart
    """All images of a multi-frame file, shape (frame, rows, columns).

    The last file is kept: its frames are asked for one by one, and headers of thousands of frames are slow to parse.
    """
    with silence():
        values = whole_image(_content(container, member)).pixel_array
    return np.asarray(values if values.ndim == 3 else values[np.newaxis])


def _changed_ns(container: Path, member: str) -> int:
    """When a member's bytes were last written."""
    return (container / member if container.is_dir() else container).stat().st_mtime_ns


def _archive(container: Path) -> zipfile.ZipFile:
    with _unpacking(container):
        return zipfile.ZipFile(container)


@contextmanager
def _unpacking(container: Path) -> Iterator[None]:
    """Raise InputError for whatever goes wrong with a zip."""
    try:
        yield
    except (zipfile.BadZipFile, *UNREADABLE) as error:
        raise InputError(
            shown(container),
            found="a zip whose content cannot be unpacked (damaged or encrypted)",
            expected="a complete, unencrypted zip",
            advice="Copy the archive again.",
        ) from error


def _number(header: pydicom.Dataset, name: str) -> str:
    """A whole number of a header; "?" where it is missing or, in a damaged or odd header, text."""
    value = header.get(name)
    return str(int(value)) if isinstance(value, int) else "?"


def shown(path: Path) -> str:
    """How errors name a file or folder that a user gave: its base name where that is a mere number or usual word.

    A scanner's folders are named after patients, and what is printed stays in logs.
    """
    return path.name if is_plain_name(path.name) else "the given folder" if path.is_dir() else "the given path"


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
