"""Neighbourhood of a region on the grid: its surroundings, and how far what lies beyond the threshold extends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.findings.excursion import Sign

_FACES: Final = ndimage.generate_binary_structure(3, 1)
"""Neighbours of a voxel by faces."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Box around a region, with the distance of its voxels from the region.

    Attributes:
        box: part of the grid.
        distance_mm: distance of each voxel's centre from the nearest voxel of the region, 0 inside, shape of the box.
    """

    box: tuple[slice, ...]
    distance_mm: NDArray[np.float64]

    @classmethod
    def around(cls, region: NDArray[np.bool_], affine_mm: NDArray[np.float64], reach_mm: float) -> Self:
        """Return the neighbourhood up to a distance.

        Args:
            region: voxels of the region, at least one, shape (i, j, k).
            affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
            reach_mm: largest distance, mm.
        """
        size_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
        margin = np.floor(reach_mm / size_mm).astype(int)
        (tight,) = ndimage.find_objects(region.astype(np.int8))
        box = tuple(slice(max(0, one.start - more), one.stop + more) for one, more in zip(tight, margin, strict=True))
        return cls(box, ndimage.distance_transform_edt(~region[box], sampling=size_mm))

    @property
    def core(self) -> NDArray[np.bool_]:
        """Voxels of the region, shape of the box."""
        return np.asarray(self.distance_mm == 0.0)

    def shell(self, allowed: NDArray[np.bool_], gap_mm: float, width_mm: float) -> NDArray[np.bool_]:
        """Return the surroundings: allowed voxels between two distances from the region, shape (i, j, k).

        Args:
            allowed: voxels that may belong to surroundings, shape (i, j, k).
            gap_mm: distance at which they begin, mm.
            width_mm: width, mm.
        """
        found = np.zeros(allowed.shape, dtype=np.bool_)
        within = (self.distance_mm > gap_mm) & (self.distance_mm <= gap_mm + width_mm)
        found[self.box] = within & allowed[self.box]
        return found

    def extents(
        self, values: NDArray[np.float32], places: NDArray[np.int32], sign: Sign, threshold: float, reach_mm: float
    ) -> NDArray[np.int64]:
        """Return how many voxels lie beyond the threshold and are connected with the region, in each draw.

        Voxels are connected by faces, and those up to a distance count, so that stiff tissue elsewhere does not.

        Args:
            values: draws, shape (count, N).
            places: place of each voxel of the grid among the N, -1 for none, shape (i, j, k).
            sign: side of the threshold.
            threshold: threshold, in the unit of the draws.
            reach_mm: largest distance from the region, mm.

        Returns:
            Numbers of voxels, shape (count,); 0 where no voxel of the region lies beyond.
        """
        here = places[self.box]
        counted = (here >= 0) & (self.distance_mm <= reach_mm)
        at, core = here[counted], self.core
        beyond = np.zeros(here.shape, dtype=np.bool_)
        found = np.zeros(len(values), dtype=np.int64)
        for number, draw in enumerate(values):
            beyond[counted] = sign * draw[at] > threshold
            pieces, _ = ndimage.label(beyond, structure=_FACES)
            touched = np.unique(pieces[core & beyond])
            found[number] = np.bincount(pieces.ravel())[touched].sum()
        return found
