"""Position of DICOM images in the world. LPS, the axes of DICOM, becomes RAS here and nowhere else."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.series import numbers

LPS_TO_RAS: Final[NDArray[np.float64]] = np.diag([-1.0, -1.0, 1.0])
"""Conversion of vectors from DICOM's axes (left, posterior, superior) to NIfTI's, shape (3, 3)."""


def slice_axes(instance: Instance) -> NDArray[np.float64]:
    """Return unit vectors along columns (i), rows (j) and slice normal (i x j), as matrix columns in LPS, shape (3, 3).

    Raises:
        InputError: the orientation is missing or its two vectors are not orthogonal unit vectors.
    """
    row, column = numbers(instance, "ImageOrientationPatient", 6).reshape(2, 3)
    gram = np.array([row @ row, column @ column, row @ column])
    if not np.allclose(gram, [1.0, 1.0, 0.0], atol=1e-3):
        raise InputError(
            instance.place,
            found="an Image Orientation that is not two orthogonal unit vectors",
            expected="direction cosines of rows and columns",
            advice="Export the series again with its full headers.",
        )
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)], axis=1)


def pixel_spacing_mm(instance: Instance) -> NDArray[np.float64]:
    """Return the distances between neighbouring voxels along i (within a row) and j, millimetres, shape (2,).

    Raises:
        InputError: Pixel Spacing is missing or not positive.
    """
    between_rows, within_row = numbers(instance, "PixelSpacing", 2)
    if min(between_rows, within_row) <= 0:
        raise InputError(
            instance.place,
            found="a Pixel Spacing that is not positive",
            expected="millimetres",
            advice="Export the series again with its full headers.",
        )
    return np.array([within_row, between_rows])


def affine_from(
    axes_lps: NDArray[np.float64], edges_mm: NDArray[np.float64], corner_lps_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the affine from voxel indices (i, j, k) to world RAS millimetres.

    Args:
        axes_lps: unit vectors of i, j, k as columns, in LPS, shape (3, 3).
        edges_mm: distances between voxels along i, j, k, shape (3,).
        corner_lps_mm: centre of voxel (0, 0, 0) in LPS, shape (3,).

    Returns:
        The affine, shape (4, 4).
    """
    affine = np.eye(4)
    affine[:3, :3] = LPS_TO_RAS @ (axes_lps * edges_mm)
    affine[:3, 3] = LPS_TO_RAS @ corner_lps_mm
    return affine


def mosaic_corner_mm(
    corner_lps_mm: NDArray[np.float64],
    axes_lps: NDArray[np.float64],
    spacing_mm: NDArray[np.float64],
    mosaic_shape: tuple[int, int],
    tile_shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Return the centre of the first voxel of the first slice of a mosaic, in LPS, millimetres, shape (3,).

    The header of a Siemens mosaic describes one slice with the whole mosaic's field of view around the slice's centre:
    corner + sum over i, j of (mosaic - tile)/2 * spacing * axis.

    Args:
        corner_lps_mm: ImagePositionPatient of the mosaic, shape (3,).
        axes_lps: unit vectors of i, j, k as columns, shape (3, 3).
        spacing_mm: voxel distances along i and j, shape (2,).
        mosaic_shape: rows and columns of the mosaic.
        tile_shape: rows and columns of one slice.
    """
    surplus = np.array([mosaic_shape[1] - tile_shape[1], mosaic_shape[0] - tile_shape[0]]) / 2.0
    return np.asarray(corner_lps_mm + axes_lps[:, :2] @ (surplus * spacing_mm))


def split_mosaic(mosaic: NDArray[np.float64], n_slices: int) -> NDArray[np.float64]:
    """Return the slices of a mosaic as a volume, shape (i, j, k) with i along rows' direction (columns of pixels).

    Args:
        mosaic: shape (rows, columns), both divisible by the grid.
        n_slices: number of slices; the remaining tiles are empty.
    """
    return np.ascontiguousarray(mosaic_tiles(mosaic, tiles_per_side(n_slices))[..., :n_slices])


def mosaic_tiles(mosaic: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return all tiles of a mosaic, left to right, then top to bottom, shape (i, j, tile).

    Args:
        mosaic: shape (rows, columns), both divisible by the side.
        side: number of tiles beside each other, and below each other.
    """
    rows, columns = mosaic.shape[0] // side, mosaic.shape[1] // side
    tiles = mosaic.reshape(side, rows, side, columns).transpose(0, 2, 3, 1).reshape(-1, columns, rows)
    return tiles.transpose(1, 2, 0)


def tiles_per_side(n_slices: int) -> int:
    """Return ceil(sqrt(n_slices)), the side of the square of tiles in a mosaic."""
    side = int(np.sqrt(n_slices))
    return side if side * side >= n_slices else side + 1
