"""Resampling of a posterior on another grid by its joint draws: values are interpolated, not their spread.

A draw of ln G is a field; between voxels it is interpolated trilinearly, and statistics are taken afterwards:

    m(y) = mean_d l_d(T_d^-1 y),     s^2(y) = var_d l_d(T_d^-1 y),     l_d(x) = sum_a w_a(x) l_da,

T_d being the motion from one grid's world to the other's, which differs from draw to draw by its uncertainty. The point
between two voxels with independent errors has the spread s / sqrt(2); interpolation of the spreads themselves
would give s. Where G changes within the error of the motion, s grows by the change.

A few hundred draws determine a voxel's spread to some percent only, and the maps determine it better: each voxel's
draws are shifted and stretched so that they have the mean and spread of the maps, and contribute only their
correlation. On the same grid the result then equals the maps.

Beyond the outermost voxels the value of the nearest one holds, up to half a voxel; no farther points are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.files.nifti import voxel_indices

type Draws = Callable[[], Iterable[NDArray[np.floating]]]
"""Function that yields the draws one after the other, each of shape (N,), anew at every call."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Voxels of a posterior.

    Attributes:
        nearest: number of the posterior's voxel nearest to each voxel of the box, shape (i, j, k).
        inside: whether a voxel of the box is one of the posterior's, same shape.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """

    nearest: NDArray[np.intp]
    inside: NDArray[np.bool_]
    affine_mm: NDArray[np.float64]

    def covers(self, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether the voxel in which a world point lies, shape (..., 3), is one of the posterior's."""
        index = np.rint(voxel_indices(self.affine_mm, points_mm)).astype(np.intp)
        within = np.all((index >= 0) & (index < self.inside.shape), axis=-1)
        within[within] = self.inside[tuple(index[within].T)]
        return np.asarray(within)

    def interpolated(self, values: NDArray[np.floating], points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate values of the posterior's voxels, shape (N,), at world points, shape (M, 3)."""
        index = voxel_indices(self.affine_mm, points_mm)
        box = np.asarray(values, dtype=np.float64)[self.nearest]
        return np.asarray(ndimage.map_coordinates(box, index.T, order=1, mode="nearest"))

    def nearest_values(self, values: NDArray[np.bool_], points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return the truth value of the voxel nearest to each world point, shape (M, 3)."""
        index = np.rint(voxel_indices(self.affine_mm, points_mm)).astype(np.intp)
        index = np.clip(index, 0, np.array(self.nearest.shape) - 1)
        return np.asarray(values[self.nearest[tuple(index.T)]])


def grid_of(voxels: NDArray[np.integer], shape: tuple[int, ...], affine_mm: NDArray[np.float64]) -> Grid:
    """Return the grid of a posterior's voxels.

    Args:
        voxels: indices of the voxels, shape (N, 3), N at least 1.
        shape: shape of the box, (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """
    numbers = np.full(shape, -1, dtype=np.intp)
    numbers[tuple(voxels.T)] = np.arange(len(voxels))
    inside = numbers >= 0
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    where = ndimage.distance_transform_edt(~inside, sampling=edges_mm, return_distances=False, return_indices=True)
    return Grid(numbers[tuple(where)], inside, affine_mm)


def log_moments(
    grid: Grid,
    draws: Draws,
    known: tuple[NDArray[np.float64], NDArray[np.float64]],
    places: Callable[[], Iterable[NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of ln G at points whose place is itself uncertain.

    One draw at a time is held in memory.

    Args:
        grid: grid of the draws.
        draws: draws of ln G, at least two.
        known: mean and standard deviation of ln G in each voxel, shape (N,) each.
        places: function that yields for each draw the points at which it is evaluated, world mm, shape (M, 3).

    Returns:
        Mean and standard deviation, shape (M,) each.
    """
    centre, spread = moments(draws())
    stretch = np.divide(known[1], spread, out=np.zeros_like(spread), where=spread > 0)
    return moments(
        grid.interpolated(known[0] + (draw - centre) * stretch, points_mm)
        for draw, points_mm in zip(draws(), places(), strict=True)
    )


def moments(draws: Iterable[NDArray[np.floating]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation over draws that come one after the other.

    Method: Welford, Technometrics 4 (1962) 419.

    Args:
        draws: draws, two at least, all of one shape.
    """
    stream: Iterator[NDArray[np.floating]] = iter(draws)
    mean = np.asarray(next(stream), dtype=np.float64).copy()
    squares, count = np.zeros_like(mean), 1
    for count, draw in enumerate(stream, start=2):
        step = draw - mean
        mean += step / count
        squares += step * (draw - mean)
    return mean, np.sqrt(squares / max(count - 1, 1))
