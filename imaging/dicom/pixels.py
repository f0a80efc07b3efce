"""Pixels of a DICOM file: decoded where they fit their header, refused with the true cause where they do not."""

from __future__ import annotations

import io
import re
import struct
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.encaps import generate_frames
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEG2000MC,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEG2000MCLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from palpate.errors import InputError
from palpate.imaging.dicom.parsing import UNREADABLE, are_elements, is_deflated, parse, silence, transfer_syntax
from palpate.imaging.limits.input_limits import LIMITS, Budget, Scope

COMPLETE: Final = "a complete DICOM image"
"""Expectation named where pixels cannot be read."""
COPY_AGAIN: Final = "Copy the file from the scanner or archive again."
"""Advice where a file is damaged."""
_UNKNOWN_LENGTH: Final = 0xFFFFFFFF
_BLOCK_BYTES: Final = 512
"""Files are padded with zeros to multiples of this, where they are."""
_WAVELETS: Final = (JPEG2000, JPEG2000Lossless, JPEG2000MC, JPEG2000MCLossless, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)
_ALWAYS_LOSSY: Final = (JPEGBaseline8Bit, JPEGExtended12Bit)
_METHOD: Final = re.compile(r"ISO_\d{4,6}(_\d{1,2})?", re.ASCII)
"""Form of the terms that the standard defines for methods of lossy compression, such as ISO_10918_1."""
_MAY_BE_LOSSY: Final = (JPEG2000, JPEG2000MC, HTJ2K, JPEGLSNearLossless)


def parse_image(content: bytes, padding: int = 0) -> pydicom.FileDataset:
    """Return a DICOM file with its pixels.

    Args:
        content: the file's bytes.
        padding: number of zeros after the pixels that its series' other files have as well.

    Raises:
        InputError: it unpacks to more than the limits allow.
        ValueError: bytes follow the pixels that belong to no element: some were inserted, and all after them are moved.
        Exception: another of UNREADABLE, where the bytes are damaged.
    """
    image = parse(io.BytesIO(content), len(content), Budget("a deflated DICOM file"), pixels=True)
    pixels = image.get_item("PixelData")
    if isinstance(pixels, RawDataElement) and pixels.length != _UNKNOWN_LENGTH and not is_deflated(image):
        rest = content[pixels.value_tell + pixels.length :]
        usual = len(rest) == padding or len(content) % _BLOCK_BYTES == 0
        if rest and not (usual and not rest.strip(b"\0")) and not are_elements(rest, image):
            raise ValueError("bytes after the pixels")
    return image


def decoded(image: pydicom.FileDataset, stored: int, place: str) -> NDArray[np.generic]:
    """Return the stored values, shape (rows, columns), (frame, rows, columns) or with colours as the last axis.

    Args:
        image: a DICOM file with its pixels.
        stored: length of the file, bytes.
        place: name of the file in errors.

    Raises:
        InputError: more pixels than the limits allow, pixels of another size than the header says, or a compression
            that this installation cannot decode.
        Exception: one of UNREADABLE, where the pixels are damaged.
    """
    demand_decodable(image, stored, place)
    with silence():
        return np.asarray(image.pixel_array)


def demand_decodable(image: pydicom.FileDataset, stored: int, place: str) -> None:
    """Refuse pixels that would fill the memory or that nothing installed can decode, before they are decoded.

    Args:
        image: a DICOM file with its pixels.
        stored: length of the file, bytes.
        place: name of the file in errors.

    Raises:
        InputError: the pixels cannot be decoded.
    """
    syntax = transfer_syntax(image)
    if "PixelData" not in image and not ("FloatPixelData" in image or "DoubleFloatPixelData" in image):
        raise InputError(
            place,
            found="pixels that cannot be read: there are none, or the file is truncated",
            expected=COMPLETE,
            advice=COPY_AGAIN,
        )
    _demand_room(image, syntax, stored, place)
    _demand_decoder(syntax, place)
    if syntax.is_encapsulated:
        with silence():
            _demand_own_size(image, syntax, place)


def stored_values(content: bytes, place: str, padding: int = 0) -> NDArray[np.generic]:
    """Return the pixel values of a file, before any rescaling.

    Args:
        content: the file's bytes.
        place: name of the file in errors.
        padding: number of zeros after the pixels that its series' other files have as well.

    Raises:
        InputError: the pixels are missing, truncated, too many, or compressed in a way that cannot be decoded.
    """
    try:
        return decoded(parse_image(content, padding), len(content), place)
    except UNREADABLE as error:
        raise InputError(
            place, found="pixels that cannot be read to their end", expected=COMPLETE, advice=COPY_AGAIN
        ) from error


def is_lossy(header: pydicom.Dataset) -> bool:
    """Return whether an image says, or its transfer syntax means, that compression changed its values.

    A ratio or a method of lossy compression says so as well, whatever the flag states: only such images have them.
    """
    return _said_lossy(header) == "01" or _has_lossy_traces(header) or _syntax(header) in _ALWAYS_LOSSY


def may_be_lossy(header: pydicom.Dataset) -> bool:
    """Return whether an image's transfer syntax allows changed values and nothing says whether they are."""
    return _said_lossy(header) == "" and _syntax(header) in _MAY_BE_LOSSY


def _has_lossy_traces(header: pydicom.Dataset) -> bool:
    """Return whether an image states a ratio above 1, or a standard's method, of lossy compression."""
    methods = header.get("LossyImageCompressionMethod")
    for method in methods if isinstance(methods, MultiValue) else (methods,):
        if _METHOD.fullmatch(str(method or "").strip()):
            return True
    ratios = header.get("LossyImageCompressionRatio")
    for ratio in ratios if isinstance(ratios, MultiValue) else (ratios,):
        try:
            if float(str(ratio)) > 1.0:
                return True
        except (TypeError, ValueError):
            continue
    return False


def _said_lossy(header: pydicom.Dataset) -> str:
    return str(header.get("LossyImageCompression", "") or "")


def _syntax(header: pydicom.Dataset) -> UID:
    return UID("") if getattr(header, "file_meta", None) is None else transfer_syntax(header)


def _demand_room(image: pydicom.Dataset, syntax: UID, stored: int, place: str) -> None:
    """Raise InputError where the header declares more pixels than may be, or than the file can hold."""
    rows, columns, samples, bits = (
        int(image.get(name) or otherwise)
        for name, otherwise in (("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1), ("BitsAllocated", 16))
    )
    frames = max(1, int(image.get("NumberOfFrames") or 1))
    count = rows * columns * frames * samples
    size = f"{rows} x {columns} pixels" + (f" x {frames} frames" if frames > 1 else "")
    if count > LIMITS.pixels:
        raise InputError(
            place,
            found=f"a header that declares {size}",
            expected=f"at most {LIMITS.pixels:.0e} pixels in one file",
            advice="Export the series again; if the image is so large, split it.",
        )
    declared = count * bits // 8
    if syntax.is_encapsulated:
        # RLE and the JPEGs tell nothing of their size before they are decoded.
        Scope(Budget(place), stored).add(declared)
    elif not is_deflated(image) and declared > stored:
        raise InputError(
            place,
            found=f"a header that declares {size} in a file of {stored} bytes, truncated or of a damaged header",
            expected=COMPLETE,
            advice=COPY_AGAIN,
        )


def _demand_decoder(syntax: UID, place: str) -> None:
    """Raise InputError, which names the compression, where nothing installed can decode it."""
    try:
        available = bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        available = False
    if not available:
        name = syntax.name if syntax.name != syntax else "a transfer syntax that the DICOM standard does not know"
        raise InputError(
            place,
            found=f"pixels compressed as {name}, which this installation cannot decode",
            expected="uncompressed pixels, JPEG Lossless, JPEG-LS, JPEG 2000, RLE or deflated",
            advice="Export the series again without compression (Explicit VR Little Endian).",
        )


def _demand_own_size(image: pydicom.Dataset, syntax: UID, place: str) -> None:
    """Raise InputError where compressed frames are of another size than the header says, before they are decoded."""
    if syntax == RLELossless:
        return
    wanted = int(image.Rows), int(image.Columns)
    frames = max(1, int(image.get("NumberOfFrames") or 1))
    for frame in generate_frames(image.PixelData, number_of_frames=frames):
        own = _wavelet_size(frame) if syntax in _WAVELETS else _jpeg_size(frame)
        if own is not None and own != wanted:
            raise InputError(
                place,
                found=f"compressed pixels of {own[0]} x {own[1]} under a header of {wanted[0]} x {wanted[1]}",
                expected=COMPLETE,
                advice=COPY_AGAIN,
            )


def _wavelet_size(frame: bytes) -> tuple[int, int] | None:
    """Return rows and columns of a JPEG 2000 codestream; None where there is none."""
    start = frame.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(frame) < start + 24:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", frame, start + 8)
    return bottom - top, right - left


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """Return rows and columns of a JPEG or JPEG-LS frame; None where it does not say before its first scan."""
    place = 2
    while place + 9 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack_from(">HH", frame, place + 5)
            return int(rows), int(columns)
        if marker == 0xDA:
            return None
        place += 2 + struct.unpack_from(">H", frame, place + 2)[0]
    return None
