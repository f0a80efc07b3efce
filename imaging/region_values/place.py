"""Place of a region on a map: the voxel to which a viewer goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.region_values.weights import WeightedRegion

_INSIDE = 0.5


@dataclass(frozen=True, slots=True)
class RegionSpot:
    """Place of a region on the voxels of a map.

    Attributes:
        region: name of the region.
        number: number of its label, segment or ROI; None where it has none.
        place_mm: centre of the voxel of the region that is nearest to its middle, world R A S millimetres, shape (3,).
    """

    region: str
    number: int | None
    place_mm: NDArray[np.float64]

    def as_record(self) -> dict[str, Any]:
        """Return the JSON object of a record."""
        return {
            "region": self.region,
            "number": self.number,
            "place_mm": [round(float(one), 2) for one in self.place_mm],
        }


def place_of(region: WeightedRegion, voxels: NDArray[np.int32], affine_mm: NDArray[np.float64]) -> RegionSpot:
    """Return a place in a region, near its middle, which may itself lie outside the region.

    Args:
        region: region on the voxels, with a share of one at least.
        voxels: indices of the voxels with draws, shape (N, 3).
        affine_mm: voxel indices to world R A S millimetres, shape (4, 4).
    """
    near = np.flatnonzero(region.shares)
    shares = region.shares[near]
    places_mm = voxels[near] @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    middle_mm = shares @ places_mm / shares.sum()
    inside = shares >= _INSIDE * shares.max()
    distances_mm = np.linalg.norm(places_mm - middle_mm, axis=1)
    nearest = int(np.where(inside, distances_mm, np.inf).argmin())
    return RegionSpot(region.name, region.number, places_mm[nearest])
