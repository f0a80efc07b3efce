"""Reading of one file of an input as a DICOM image: its header, the finding that it is none, or its damage."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from io import SEEK_END
from pathlib import PurePosixPath
from typing import BinaryIO, Final

import pydicom
from pydicom.config import IGNORE
from pydicom.uid import UID, MediaStorageDirectoryStorage

from palpate.errors import InputError
from palpate.imaging.dicom.containers import Entry, PassedOver, Walk
from palpate.imaging.dicom.file_kinds import TEXT, UNKNOWN, is_image_name
from palpate.imaging.dicom.parsing import UNREADABLE, after_pixels, is_dicom, parse, read_all, silence
from palpate.imaging.dicom.pixels import COMPLETE, COPY_AGAIN
from palpate.imaging.dicom.sources import OnDisk, Source
from palpate.imaging.files.plain_names import is_plain_name
from palpate.imaging.limits.input_limits import Budget

_STANDARD_ROOT: Final = "1.2.840.10008."
_BELONGING: Final = ("SeriesInstanceUID", "SeriesNumber")


@dataclass(frozen=True, slots=True)
class Damaged:
    """File that should be a DICOM image and cannot be read.

    Attributes:
        error: error that says what is wrong with it.
        folder: the folder or archive that holds it, inside the container.
        header: readable elements that name series, study and kind; empty where nothing could be read.
    """

    error: InputError
    folder: str
    header: pydicom.Dataset


def image_file(
    entry: Entry, position: int, walk: Walk, budget: Budget, passed: PassedOver
) -> tuple[pydicom.Dataset, Source, int, bytes] | Damaged | None:
    """Return header, place, bytes after the pixels and digest of an image; None for a file that is none.

    Args:
        entry: the file.
        position: its place in the order of names, for errors.
        walk: walk that handed it out.
        budget: count of what the input has been unpacked to so far, with its limits.
        passed: count that takes the reason where it is no image.

    Raises:
        InputError: a limit is passed, or the archive that holds it is damaged.
    """
    name = PurePosixPath(entry.member).name
    promised = is_image_name(name)
    if not is_plain_name(name):
        name = f"file {position} in the order of names"
    if not is_dicom(entry.head):
        if promised and entry.kind in (TEXT, UNKNOWN):
            return _damage(name, "no DICOM file", entry, None)
        passed.add(entry.kind)
        return None
    if isinstance(entry.source, OnDisk):
        # Files may be large, and their headers are at the beginning.
        with entry.source.path.open("rb") as stream:
            length = stream.seek(0, SEEK_END)
            budget.demand_file_size(length)
            stream.seek(0)
            digest = file_digest(stream, "sha256").digest()
            found = _parsed(entry, name, stream, length, entry.source, budget, passed)
            return (*found, digest) if isinstance(found, tuple) else found
    held = walk.hold(entry)
    found = _parsed(entry, name, held.open(), held.spooled.length, held.spooled, budget, passed)
    if entry.source is not None or not isinstance(found, tuple):
        walk.drop(held)
    return (*found, held.digest) if isinstance(found, tuple) else found


def _parsed(
    entry: Entry,
    name: str,
    stream: BinaryIO,
    length: int,
    copy: Source,
    budget: Budget,
    passed: PassedOver,
) -> tuple[pydicom.Dataset, Source, int] | Damaged | None:
    """Header, place and bytes after the pixels of an image; None for a file that is none."""
    try:
        header = parse(stream, length, budget)
        tail = after_pixels(header, stream, length)
        # Elements are parsed on access: touch them all, so that a cut header fails here and names its file.
        with silence():
            if read_all(header):
                passed.add("private element that cannot be read, in an image that can be read otherwise")
            # The file meta group comes first and survives truncation: it tells a cut image from a DICOMDIR or a report.
            announced = header.file_meta.get("MediaStorageSOPClassUID", header.get("SOPClassUID"))
    except UNREADABLE:
        if not _has_preamble(entry.head) and not is_image_name(entry.member):
            passed.add(entry.kind)
            return None
        return _damage(name, "a damaged DICOM header", entry, stream)
    if "Rows" in header and "SOPClassUID" in header:
        return header, entry.source or copy, tail
    if not _has_preamble(entry.head) and not is_image_name(entry.member):
        passed.add(entry.kind)
        return None
    uid = UID(str(announced or ""), validation_mode=IGNORE)
    if not _is_something_else(header, uid):
        return _damage(name, "a truncated DICOM image", entry, stream)
    passed.add("DICOMDIR" if uid == MediaStorageDirectoryStorage else "DICOM object without pixels, such as a report")
    return None


def _has_preamble(head: bytes) -> bool:
    return head[128:132] == b"DICM"


def _damage(name: str, found: str, entry: Entry, stream: BinaryIO | None) -> Damaged:
    """Return a damaged file, with what its beginning says of series and study."""
    error = InputError(name, found=found, expected=COMPLETE, advice=COPY_AGAIN)
    header = pydicom.Dataset()
    if stream is not None:
        stream.seek(0)
        with suppress(*UNREADABLE), silence():
            part = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(_BELONGING))
            for tag in _BELONGING:
                if tag in part:
                    header[tag] = part[tag]
    return Damaged(error, entry.folder, header)


def _is_something_else(header: pydicom.Dataset, announced: UID) -> bool:
    """Return whether a file is meant to have no pixels, by a class of the standard or a maker's own stated twice.

    An image whose class is damaged must not pass for something else: it would be missing without a word.
    """
    if announced.name != announced:
        return "Image Storage" not in announced.name
    return not announced.startswith(_STANDARD_ROOT) and announced != "" and header.get("SOPClassUID") == announced
