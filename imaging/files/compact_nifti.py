"""Small NIfTI files in memory, for a page that contains its images."""

from __future__ import annotations

import gzip
from typing import Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

_INT16_TOP: Final = 32000
NO_NUMBER: Final = -32768
"""Stored value of a voxel without a number in `compact_hundredths`."""


def compact_map(values: NDArray[np.floating], affine_mm: NDArray[np.float64]) -> bytes:
    """Return a NIfTI of non-negative numbers as 16-bit integers with a scale; NaN becomes 0.

    The rounding error is at most 1/64000 of the largest value.

    Args:
        values: numbers to store, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).

    Returns:
        The bytes of a .nii.gz file; equal input gives equal bytes.
    """
    filled = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    slope = float(filled.max()) / _INT16_TOP or 1.0
    return _packed(np.round(filled / slope).astype(np.int16), affine_mm, slope)


def compact_hundredths(values: NDArray[np.floating], affine_mm: NDArray[np.float64]) -> bytes:
    """Return a NIfTI of numbers as whole hundredths, the precision of two decimals; NaN becomes NO_NUMBER.

    Ties go to the even hundredth, as in Python's own formatting: 100 x is exact in double precision for a float32.

    Args:
        values: numbers to store, shape (i, j, k), float32; none is -327.68.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).

    Returns:
        The bytes of a .nii.gz file, int16 where all hundredths fit, else float32; equal input gives equal bytes.
    """
    known = np.isfinite(values)
    hundredths = np.rint(100.0 * np.where(known, values, 0.0).astype(np.float64))
    fits = not known.any() or float(np.abs(hundredths).max()) < -NO_NUMBER
    stored = np.where(known, hundredths, NO_NUMBER).astype(np.int16 if fits else np.float32)
    return _packed(stored, affine_mm, 1.0)


def compact_image(values: NDArray[np.generic], affine_mm: NDArray[np.float64]) -> bytes:
    """Return a NIfTI of a grey image or a mask as 8-bit integers.

    Args:
        values: image or mask, shape (i, j, k), uint8 or bool.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).

    Returns:
        The bytes of a .nii.gz file; equal input gives equal bytes.
    """
    return _packed(values.astype(np.uint8), affine_mm, 1.0)


def _packed(stored: NDArray[np.generic], affine_mm: NDArray[np.float64], slope: float) -> bytes:
    """Return the bytes of a compressed NIfTI file whose values are slope * stored."""
    image = nib.Nifti1Image(stored, affine_mm)
    image.set_sform(affine_mm, code="scanner")
    image.header.set_xyzt_units("mm")
    image.header["scl_slope"] = 1.0
    image.header["scl_inter"] = 0.0
    content = bytearray(image.to_bytes())
    # nibabel chooses the scale of integer data itself; the header field (offset 112) is written after it.
    content[112:116] = np.array(slope, dtype=image.header.structarr["scl_slope"].dtype).tobytes()
    return gzip.compress(bytes(content), compresslevel=9, mtime=0)
