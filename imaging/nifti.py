"""NIfTI volumes: read strictly, write plainly. The only module besides maps that touches the file format."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.input_limits import demand_gzip_fits

# What nibabel raises on damaged bytes; it promises no common class.
_UNREADABLE: Final = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
    nib.spatialimages.ImageDataError,
)
_BEST_COMPRESSION: Final = 1032
"""No gzip file holds more than this many times its own size."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxel values and where they lie.

    Attributes:
        values: real numbers, shape (i, j, k) or (i, j, k, component).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """

    values: NDArray[np.float64]
    affine_mm: NDArray[np.float64]


def read_nifti(path: Path) -> Volume:
    """Read a NIfTI file of real numbers whose position in the world is stated.

    Raises:
        InputError: missing, truncated or not NIfTI; complex or colour voxels; no usable affine; not millimetres.
    """
    if not path.exists():
        raise InputError(path, found="no such file", expected="a NIfTI file", advice="Check the path.")
    try:
        _demand_checksum(path)
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise nib.filebasedimages.ImageFileError("another image format")
        dtype = image.get_data_dtype()
        _demand_room(path, image)
        real = dtype.kind in "fiub"
        values = np.asarray(image.dataobj, dtype=np.float64) if real else np.empty(0)
        affine_mm = np.asarray(image.affine, dtype=np.float64)
        unit = image.header.get_xyzt_units()[0]
    except _UNREADABLE as error:
        raise InputError(
            path,
            found="a file that cannot be read to its end as NIfTI",
            expected="a complete .nii or .nii.gz",
            advice="Copy or write the file again; it may be truncated.",
        ) from error
    if not real:
        raise InputError(
            path,
            found=f"voxels of type {dtype}",
            expected="real numbers",
            advice="Write real and imaginary parts apart.",
        )
    _demand_position(path, image.header, unit, affine_mm)
    return Volume(values=values, affine_mm=affine_mm)


def _demand_checksum(path: Path) -> None:
    """Raise what gzip raises where a compressed file is damaged: nibabel stops at the last voxel, before the sum.

    Raises:
        InputError: it states or unpacks to more than the limits allow.
    """
    if path.suffix.lower() == ".gz":
        demand_gzip_fits(path, _stated_bytes)


def _stated_bytes(head: bytes) -> int | None:
    """The size that a NIfTI header states; None where it is none."""
    try:
        order = "<" if struct.unpack_from("<i", head)[0] in (348, 540) else ">"
        if struct.unpack_from(order + "i", head)[0] == 540:
            bits = struct.unpack_from(order + "h", head, 14)[0]
            count, *lengths = struct.unpack_from(order + "8q", head, 16)
        else:
            bits = struct.unpack_from(order + "h", head, 72)[0]
            count, *lengths = struct.unpack_from(order + "8h", head, 40)
    except struct.error:
        return None
    return int(math.prod(max(one, 0) for one in lengths[: max(0, min(count, 7))]) * max(bits, 0) // 8)


def _demand_room(path: Path, image: nib.Nifti1Image) -> None:
    """Raise ValueError where a damaged header states more voxels than the file can hold, before memory is taken."""
    stated = math.prod(image.shape) * image.get_data_dtype().itemsize
    if stated > path.stat().st_size * (_BEST_COMPRESSION if path.suffix == ".gz" else 1):
        raise ValueError("more voxels than bytes")


def _demand_position(path: Path, header: nib.Nifti1Header, unit: str, affine: NDArray[np.float64]) -> None:
    """Raise InputError where a reader would have to guess the place of the voxels."""
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise InputError(
            path,
            found="neither sform nor qform",
            expected="the position of the voxels in world RAS millimetres",
            advice="Write the file with its affine.",
        )
    if unit not in ("mm", "unknown"):
        raise InputError(
            path,
            found=f"voxel positions in {unit}",
            expected="millimetres",
            advice="Convert the affine to mm.",
        )
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(
            path,
            found="an affine that is singular or not finite",
            expected="three independent voxel axes",
            advice="Write the file with its true affine.",
        )


def write_nifti(path: Path, values: NDArray[np.generic], affine_mm: NDArray[np.float64]) -> None:
    """Write an array as it is, in its own type, with its affine as scanner coordinates.

    Args:
        path: .nii.gz; it is replaced.
        values: shape (i, j, k) or (i, j, k, component).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    image = nib.Nifti1Image(values, affine_mm)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine_mm, code="scanner")
    image.set_qform(affine_mm, code="scanner")
    nib.save(image, path)


def same_grid(
    first_mm: NDArray[np.float64], second_mm: NDArray[np.float64], shape: tuple[int, ...], tolerance_voxel: float = 0.01
) -> bool:
    """Whether two affines put all corners of a voxel grid at the same place, to a share of the smallest voxel edge."""
    top = np.asarray(shape, dtype=np.float64) - 1.0
    corners = np.array([[x, y, z, 1.0] for x in (0.0, top[0]) for y in (0.0, top[1]) for z in (0.0, top[2])])
    distance = np.linalg.norm((corners @ (first_mm - second_mm).T)[:, :3], axis=1)
    edge = float(np.linalg.norm(first_mm[:3, :3], axis=0).min())
    return bool(distance.max() <= tolerance_voxel * edge)


WITHIN_A_VOXEL: Final = np.array(list(product((-1.0, 0.0, 1.0), repeat=3))) / 3.0
"""Points within a voxel, for means over it, in voxels from its centre, shape (27, 3)."""


def voxel_indices(affine_mm: NDArray[np.float64], points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Voxel indices, not rounded, of world points, shape (..., 3)."""
    inverse = np.linalg.inv(affine_mm)
    return np.asarray(points_mm @ inverse[:3, :3].T + inverse[:3, 3])
