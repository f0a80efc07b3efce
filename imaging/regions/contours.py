"""Shape of closed contours on parallel planes, at any angle to the images.

Each plane stands for the slab that reaches halfway to its neighbours. Planes that are more than 1.5 times the usual
distance apart leave a gap between their slabs: the part between was not drawn. On a plane the even-odd rule holds: a
contour within another one cuts a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.regions.polygon import Polygons

GAP: Final = 1.5
"""Distance of neighbouring planes over the usual one above which what lies between was not drawn."""


@dataclass(frozen=True, slots=True)
class ContourShape:
    """Shape of contours.

    Attributes:
        axes: unit vectors along two axes of the planes and along their normal, as rows, RAS, shape (3, 3).
        planes_mm: positions of the planes along the normal, ascending, shape (p,).
        below_mm: thickness of each slab on the side of lower positions, shape (p,).
        above_mm: thickness of each slab on the other side, shape (p,).
        polygons: closed contours of each plane, in the coordinates of the first two axes, mm.
    """

    axes: NDArray[np.float64]
    planes_mm: NDArray[np.float64]
    below_mm: NDArray[np.float64]
    above_mm: NDArray[np.float64]
    polygons: Sequence[Polygons]

    @property
    def volume_mm3(self) -> float:
        """Volume, cubic millimetres: area by thickness, summed over the planes."""
        areas = np.array([one.area for one in self.polygons])
        return float(areas @ (self.below_mm + self.above_mm))

    @property
    def box_mm(self) -> NDArray[np.float64]:
        """Lowest and highest corner of a box that holds the slabs, world RAS millimetres, shape (2, 3)."""
        ends = zip(self.planes_mm - self.below_mm, self.planes_mm + self.above_mm, self.polygons, strict=True)
        corners_mm = np.concatenate(
            [np.insert(one.begin, 2, height, axis=1) for low, high, one in ends for height in (low, high)]
        )
        corners_mm = corners_mm @ self.axes
        return np.stack([corners_mm.min(axis=0), corners_mm.max(axis=0)])

    def shares(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 1 for points inside and 0 for others, shape (...).

        Args:
            points_mm: points in world RAS millimetres, shape (..., 3).
        """
        flat = points_mm.reshape(-1, 3) @ self.axes.T
        starts = self.planes_mm - self.below_mm
        plane = np.searchsorted(starts, flat[:, 2], side="right") - 1
        within = (plane >= 0) & (flat[:, 2] < (self.planes_mm + self.above_mm)[plane])
        found = np.zeros(len(flat))
        for one in np.unique(plane[within]):
            chosen = np.flatnonzero(within & (plane == one))
            found[chosen] = self.polygons[one].enclose(flat[chosen, :2])
        return found.reshape(points_mm.shape[:-1])


def slabs_mm(planes_mm: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return the thickness below and above each of two planes or more, and the number of gaps.

    Args:
        planes_mm: positions of the planes along their normal, ascending, shape (p,).
    """
    steps = np.diff(planes_mm)
    usual = float(np.median(steps))
    gaps = steps > GAP * usual
    halves = np.where(gaps, usual, steps) / 2.0
    return np.append(usual / 2.0, halves), np.append(halves, usual / 2.0), int(gaps.sum())
