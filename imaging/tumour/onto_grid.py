"""Volumes of any date and source, resampled onto the grid of the first scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.files.nifti import StoredVolume, Volume, voxel_indices
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.registration.way import FrameWay

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TumourGrid:
    """Voxels of a history.

    Attributes:
        shape: number of voxels along i, j, k.
        affine_mm: voxel indices to world RAS millimetres of the first scan, shape (4, 4).
    """

    shape: tuple[int, int, int]
    affine_mm: Values

    def points_mm(self, motion: Rigid | FrameWay | None = None) -> Values:
        """Return the world coordinates of the voxels' centres, mm, shape (i, j, k, 3).

        Args:
            motion: motion from the first scan's world to another date's; None for the first scan's own.
        """
        indices = np.moveaxis(np.indices(self.shape, dtype=np.float64), 0, -1)
        points = np.asarray(indices @ self.affine_mm[:3, :3].T + self.affine_mm[:3, 3])
        return points if motion is None else motion.moved(points)

    def _indices(self, volume: Volume | StoredVolume, motion: Rigid | FrameWay | None) -> Values:
        index = voxel_indices(volume.affine_mm, self.points_mm(motion))
        # Equal grids must give equal values: without this, rounding would lose the outermost voxels.
        nearest = np.rint(index)
        return np.where(np.abs(index - nearest) < 1e-4, nearest, index)

    def covered(self, volume: Volume | StoredVolume, motion: Rigid | FrameWay | None = None) -> NDArray[np.bool_]:
        """Return the voxels whose centres lie in the volume's field of view, shape (i, j, k)."""
        index = self._indices(volume, motion)
        return np.asarray(np.all((index >= -0.5) & (index <= np.array(volume.values.shape) - 0.5), axis=-1))

    def interpolated(self, volume: Volume, motion: Rigid | FrameWay | None = None, outside: float = np.nan) -> Values:
        """Return the volume's values at the grid's voxels by trilinear interpolation, shape (i, j, k).

        A voxel that is not finite does not count; where less than half of the weight is left, the value is unknown.

        Args:
            volume: volume to be sampled, shape (a, b, c).
            motion: motion from the first scan's world to the volume's.
            outside: value beyond the volume and where the value is unknown.
        """
        known = np.isfinite(volume.values)
        # A voxel reaches half an edge beyond its centre: there the nearest value holds.
        held = np.moveaxis(_held(self._indices(volume, motion), volume), -1, 0)
        weight = ndimage.map_coordinates(known.astype(np.float64), held, order=1)
        total = ndimage.map_coordinates(np.where(known, volume.values, 0.0), held, order=1)
        there = self.covered(volume, motion) & (weight >= 0.5)
        return np.where(there, total / np.where(there, weight, 1.0), outside)

    def nearest(
        self, volume: Volume | StoredVolume, motion: Rigid | FrameWay | None = None, outside: float = 0.0
    ) -> Values:
        """Return the values of the volume's voxels nearest to the grid's voxels, shape (i, j, k).

        Args:
            volume: volume to be sampled, shape (a, b, c).
            motion: motion from the first scan's world to the volume's.
            outside: value beyond the volume.
        """
        held = _held(np.rint(self._indices(volume, motion)), volume).astype(int)
        found = volume.values[tuple(np.moveaxis(held, -1, 0))].astype(np.float64)
        return np.where(self.covered(volume, motion), found, outside)

    def offset(self, volume: Volume, motion: Rigid | FrameWay | None = None) -> Values:
        """Return the offsets of the voxels that `nearest` takes, in voxels along this grid's axes, shape (i, j, k, 3).

        Args:
            volume: volume to be sampled, shape (a, b, c).
            motion: motion from the first scan's world to the volume's.
        """
        index = self._indices(volume, motion)
        away = _held(np.rint(index), volume) - index
        there = np.eye(3) if motion is None else motion.matrix_mm[:3, :3]
        back = np.linalg.solve(there @ self.affine_mm[:3, :3], volume.affine_mm[:3, :3])
        return np.asarray(away @ back.T)


def _held(index: Values, volume: Volume | StoredVolume) -> Values:
    """Return indices, shape (..., 3), kept within a volume."""
    return np.clip(index, 0.0, np.array(volume.values.shape) - 1.0)
