"""Kinds of files that are no DICOM images, told by their first bytes, so that a message can name what was found."""

from __future__ import annotations

import struct
import tarfile
from pathlib import PurePosixPath
from typing import Final

HEAD_BYTES: Final = 1024
"""Length of a file's beginning that tells its kind, bytes."""
ZIP, GZIP, BZIP2, XZ, TAR = "zip", "gzip", "bzip2", "xz", "tar"
"""Kinds of archives and compressed files that are opened."""
EMPTY: Final = "empty file"
"""Kind of a file of no bytes."""
UNKNOWN: Final = "file of an unknown kind"
"""Kind of a file that no signature fits."""
TEXT: Final = "text file"
"""Kind of a file of text."""
_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"PK\x03\x04", ZIP),
    (0, b"PK\x05\x06", ZIP),
    (0, b"\x1f\x8b\x08", GZIP),
    (0, b"BZh", BZIP2),
    (0, b"\xfd7zXZ\x00", XZ),
    (257, b"ustar", TAR),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive, a kind that is not read: unpack it"),
    (0, b"Rar!\x1a\x07", "RAR archive, a kind that is not read: unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard archive, a kind that is not read: unpack it"),
    (0, b"\x04\x22\x4d\x18", "LZ4 archive, a kind that is not read: unpack it"),
    (0, b"\x1f\x9d", "compress archive (.Z), a kind that is not read: unpack it"),
    (32769, b"CD001", "disc image, a kind that is not read: unpack it"),
    (0, b"\xff\xd8\xff", "JPEG picture"),
    (0, b"\x89PNG", "PNG picture"),
    (0, b"GIF8", "GIF picture"),
    (0, b"BM", "BMP picture"),
    (0, b"II*\x00", "TIFF picture"),
    (0, b"MM\x00*", "TIFF picture"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000 picture"),
    (0, b"%PDF", "PDF document"),
    (0, b"\x89HDF", "HDF5 file"),
    (0, b"MATLAB 5.0", "MATLAB file"),
    (0, b"NRRD", "NRRD file"),
    (0, b"MZ", "program"),
    (0, b"\x7fELF", "program"),
    (0, b"SQLite format", "database"),
    (0, b"/annex/objects/", "git-annex pointer (the file itself is elsewhere: fetch it with git annex get)"),
    (0, b"version https://git-lfs", "git-lfs pointer (the file itself is elsewhere: fetch it with git lfs pull)"),
)
_COMPRESSED: Final = (GZIP, BZIP2, XZ)
_IMAGE_NAMES: Final = (".dcm", ".ima", ".dicom")


def kind_of(head: bytes, name: str) -> str:
    """Return the kind of a file by its first bytes, and by its name only where those show none.

    Args:
        head: the first bytes, at most HEAD_BYTES of them.
        name: the file's base name.
    """
    if not head:
        return EMPTY
    for start, magic, what in _MAGIC:
        if head[start : start + len(magic)] == magic:
            return what
    if _is_tar(head):
        return TAR
    if _is_nifti(head):
        return "NIfTI file (not DICOM)"
    if PurePosixPath(name).suffix.lower() == ".mgh":
        return "MGH volume (not DICOM)"
    return TEXT if _is_text(head) else UNKNOWN


def is_archive(kind: str) -> bool:
    """Return whether a kind is one that is opened: zip, tar, or one compressed file."""
    return kind in (ZIP, TAR) or is_compressed(kind)


def is_compressed(kind: str) -> bool:
    """Return whether a kind is one compressed file, a tar archive among them."""
    return kind in _COMPRESSED


def is_image_name(name: str) -> bool:
    """Return whether a file's name promises a DICOM image."""
    return PurePosixPath(name).suffix.lower() in _IMAGE_NAMES


def _is_tar(head: bytes) -> bool:
    """Return whether old tar archives begin like this: they have no magic bytes, but a checksum."""
    if len(head) < tarfile.BLOCKSIZE:
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _is_nifti(head: bytes) -> bool:
    first = head[:4].ljust(4, b"\0")
    sizes = {struct.unpack(order + "i", first)[0] for order in "<>"}
    return (348 in sizes and head[344:347] in (b"n+1", b"ni1")) or 540 in sizes


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return head[:2] in (b"\xff\xfe", b"\xfe\xff")
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return control == 0
