"""Voxel grid of the MRE slices, tilted against the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.config.phantom import PhantomSettings
from palpate.imaging.anatomy.atlas import Atlas


@dataclass(frozen=True, slots=True)
class ScanGrid:
    """Voxel grid in the order DICOM stores it: i along a row, j down the rows, k over the slices.

    The axes point towards the patient's left, posterior and superior, apart from the tilt of the slices.

    Attributes:
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        shape: number of voxels along i, j, k.
    """

    affine_mm: NDArray[np.float64]
    shape: tuple[int, int, int]

    @property
    def voxel_mm(self) -> NDArray[np.float64]:
        """Voxel edges along i, j, k, millimetres."""
        return np.asarray(np.linalg.norm(self.affine_mm[:3, :3], axis=0))

    @property
    def axes(self) -> NDArray[np.float64]:
        """Unit vectors along i, j, k as columns, world RAS, shape (3, 3)."""
        return np.asarray(self.affine_mm[:3, :3] / self.voxel_mm)

    @property
    def points_mm(self) -> NDArray[np.float64]:
        """World RAS coordinates of the voxel centres, shape (i, j, k, 3)."""
        indices = np.moveaxis(np.indices(self.shape, dtype=np.float64), 0, -1)
        return np.asarray(indices @ self.affine_mm[:3, :3].T + self.affine_mm[:3, 3])


def scan_grid(settings: PhantomSettings, atlas: Atlas) -> ScanGrid:
    """Return the grid of the imaged block, or of the whole brain with one empty voxel around it."""
    axes = rotation(settings.tilt_deg) @ np.diag([-1.0, -1.0, 1.0])
    if settings.extent == "region":
        shape = settings.shape
        centre = np.asarray(settings.centre_mm)
    else:
        along = atlas.points_mm[atlas.brain] @ axes
        low, high = along.min(axis=0), along.max(axis=0)
        counts = np.ceil((high - low) / settings.voxel_mm).astype(int) + 2
        shape = (int(counts[0]), int(counts[1]), int(counts[2]))
        centre = axes @ (low + high) / 2
    return block(centre, axes, shape, settings.voxel_mm)


def block(
    centre_mm: NDArray[np.float64], axes: NDArray[np.float64], shape: tuple[int, int, int], voxel_mm: float
) -> ScanGrid:
    """Return a grid of cubic voxels around a centre; `axes` holds the unit vectors along i, j, k as columns."""
    affine = np.eye(4)
    affine[:3, :3] = axes * voxel_mm
    affine[:3, 3] = centre_mm - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return ScanGrid(affine, shape)


def rotation(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return the matrix of a rotation about R, then A, then S by the given angles, shape (3, 3)."""
    a, b, c = np.deg2rad(degrees)
    about_r = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_a = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_s = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_s @ about_a @ about_r)
