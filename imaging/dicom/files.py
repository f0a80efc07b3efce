"""DICOM instances out of a folder or a zip: headers now, pixels when asked for, errors that name no patient."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID

from palpate.errors import InputError

# What pydicom and its pixel decoders raise on damaged bytes; they promise no common class.
_UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)
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
        """How errors name this file: its base name, unless the name carries the patient's name or number."""
        name = PurePosixPath(self.member).name
        if _names_patient(name, self.header):
            name = f"instance {self.header.get('InstanceNumber', '?')}"
        frame = "" if self.frame is None else f", frame {self.frame + 1}"
        return f"series {self.header.get('SeriesNumber', '?')}, {name}{frame}"

    def pixels(self) -> NDArray[np.float64]:
        """The stored pixel values, before any rescaling, shape (rows, columns).

        Raises:
            InputError: the pixels are missing, truncated or compressed in a way that cannot be read.
        """
        try:
            if self.frame is None:
                values = pydicom.dcmread(io.BytesIO(_content(self.container, self.member))).pixel_array
            else:
                values = _frames(self.container, self.member, _changed_ns(self.container, self.member))[self.frame]
        except _UNREADABLE as error:
            raise InputError(
                self.place, found="pixels that cannot be read to their end", expected=_COMPLETE, advice=_COPY_AGAIN
            ) from error
        return np.asarray(values, dtype=np.float64)


def read_instances(container: Path) -> tuple[Instance, ...]:
    """Headers of all DICOM images in a folder (searched deeply), a zip, or a single file.

    Files that announce themselves as something else than DICOM images (DICOMDIR, text, hidden) are passed over.

    Raises:
        InputError: the path does not exist, a zip is damaged, a DICOM file is truncated, or there is no image.
    """
    if not container.exists():
        raise InputError(container, found="no such file or folder", expected="DICOM images", advice="Check the path.")
    instances = [
        Instance(header=header, container=container, member=member)
        for member, content in _contents(container)
        if (header := _header(member, content)) is not None
    ]
    if not instances:
        raise InputError(
            container,
            found="no DICOM image",
            expected="a folder or zip with the scanner's DICOM files",
            advice="Point at the DICOM export of the MRE series.",
        )
    return tuple(instances)


def _header(member: str, content: bytes) -> pydicom.Dataset | None:
    """The header of an image; None for a file that is no DICOM image."""
    name = PurePosixPath(member).name
    if content[128:132] != b"DICM":
        if name.lower().endswith((".dcm", ".ima")):
            raise InputError(name, found="no DICOM file", expected=_COMPLETE, advice=_COPY_AGAIN)
        return None
    try:
        header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        # Elements are parsed on access: touch them all, so that a cut header fails here and names its file.
        for element in header:
            _ = element.value
    except _UNREADABLE as error:
        raise InputError(name, found="a damaged DICOM header", expected=_COMPLETE, advice=_COPY_AGAIN) from error
    if "Rows" in header and "SOPClassUID" in header:
        return header
    # The file meta group comes first and survives truncation, so it tells a cut image from a DICOMDIR or a report.
    announced = header.file_meta.get("MediaStorageSOPClassUID", header.get("SOPClassUID"))
    if announced is None or "Image Storage" in UID(str(announced)).name:
        raise InputError(name, found="a truncated DICOM image", expected=_COMPLETE, advice=_COPY_AGAIN)
    return None


def _contents(container: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every visible file, in the order of names."""
    if container.is_dir():
        for path in sorted(container.rglob("*")):
            inside = path.relative_to(container)
            if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield inside.as_posix(), path.read_bytes()
    elif zipfile.is_zipfile(container):
        with zipfile.ZipFile(container) as archive:
            for member in sorted(archive.namelist()):
                if not member.endswith("/") and not PurePosixPath(member).name.startswith("."):
                    yield member, _member(archive, container, member)
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
        with zipfile.ZipFile(container) as archive:
            return _member(archive, container, member)
    return container.read_bytes()


@lru_cache(maxsize=1)
def _frames(container: Path, member: str, changed_ns: int) -> NDArray[np.generic]:  # noqa: ARG001 - tells versions apart
    """All images of a multi-frame file, shape (frame, rows, columns).

    The last file is kept: its frames are asked for one by one, and headers of thousands of frames are slow to parse.
    """
    values = pydicom.dcmread(io.BytesIO(_content(container, member))).pixel_array
    return np.asarray(values if values.ndim == 3 else values[np.newaxis])


def _changed_ns(container: Path, member: str) -> int:
    """When a member's bytes were last written."""
    return (container / member if container.is_dir() else container).stat().st_mtime_ns


def _member(archive: zipfile.ZipFile, container: Path, member: str) -> bytes:
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            container,
            found="a zip whose content cannot be unpacked (damaged or encrypted)",
            expected="a complete, unencrypted zip",
            advice="Copy the archive again.",
        ) from error


def _names_patient(name: str, header: pydicom.Dataset) -> bool:
    """Whether a file name carries a part of the patient's name or number, as vendors' exports often do."""
    stated = [str(header.get("PatientName", "")), str(header.get("PatientID", ""))]
    words = " ".join(stated).replace("^", " ").replace("=", " ").split()
    return any(len(word) > 2 and word.casefold() in name.casefold() for word in words)
