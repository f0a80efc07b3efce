"""NIfTI volumes: read strictly, write plainly. The only module besides maps that touches the file format."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError


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
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise nib.filebasedimages.ImageFileError("another image format")
        dtype = image.get_data_dtype()
        real = dtype.kind in "fiub"
        values = np.asarray(image.dataobj, dtype=np.float64) if real else np.empty(0)
    except (OSError, EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError) as error:
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
    return Volume(values=values, affine_mm=_affine_mm(path, image))


def _affine_mm(path: Path, image: nib.Nifti1Image) -> NDArray[np.float64]:
    """The stated affine, refused where a reader would have to guess it."""
    header = image.header
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise InputError(
            path,
            found="neither sform nor qform",
            expected="the position of the voxels in world RAS millimetres",
            advice="Write the file with its affine.",
        )
    if header.get_xyzt_units()[0] not in ("mm", "unknown"):
        raise InputError(
            path,
            found=f"voxel positions in {header.get_xyzt_units()[0]}",
            expected="millimetres",
            advice="Convert the affine to mm.",
        )
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(
            path,
            found="an affine that is singular or not finite",
            expected="three independent voxel axes",
            advice="Write the file with its true affine.",
        )
    return affine


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


def voxel_indices(affine_mm: NDArray[np.float64], points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Voxel indices, not rounded, of world points, shape (..., 3)."""
    inverse = np.linalg.inv(affine_mm)
    return np.asarray(points_mm @ inverse[:3, :3].T + inverse[:3, 3])
