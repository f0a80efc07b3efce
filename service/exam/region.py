"""Choice of the part of a region that counts in the report: with a value, away from edges and vessels, confident.

Near the edge of an organ waves are reflected and refracted, and a slice mixes tissues. Readers of elastograms draw
about 1 cm or half a wavelength away from it, beside vessels, and where the scanner's confidence exceeds 0.95. A drawn
region may have been drawn so already: to take its edge off again leaves little of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.anatomy.wave_region import unlike_surroundings

EDGE_MM: Final = 10.0
"""Width of an organ's edge: half a wavelength at 60 Hz and 1.5 kPa."""
LEAST_LEFT: Final = 0.1
"""Share of a region that must be left within its edge; of thinner regions the edge counts as well."""
_IN_PLANE: Final = ndimage.generate_binary_structure(3, 1) & np.array([False, True, False])
"""Neighbours of a voxel within its slice."""


@dataclass(frozen=True, slots=True)
class ReportedRegion:
    """Region and the part of it that counts.

    Attributes:
        region: the region as drawn or gated, shape (i, j, k).
        shares: share of each voxel that counts, 0 to 1, shape (i, j, k).
        left_out: number of voxels left out, by reason, in the order of the steps.
        edge_mm: width of the edge that was left out, mm; 0 where it counts.
        thin: whether the edge counts because the region is thin.
    """

    region: NDArray[np.bool_]
    shares: NDArray[np.float64]
    left_out: dict[str, int]
    edge_mm: float
    thin: bool


def reported_region(
    region: NDArray[np.bool_],
    covered: NDArray[np.bool_],
    voxel_mm: NDArray[np.float64],
    *,
    edge_mm: float,
    magnitude: NDArray[np.float64] | None,
    confident: NDArray[np.float64] | None,
) -> ReportedRegion:
    """Return what of a region counts.

    Args:
        region: region as drawn or gated, shape (i, j, k).
        covered: voxels with a posterior, shape (i, j, k).
        voxel_mm: edges of a voxel along i, j, k, mm, shape (3,).
        edge_mm: width of the edge to leave out, mm.
        magnitude: mean signal, shape (i, j, k), by which vessels and voids are left out; None keeps them.
        confident: share of each voxel with sufficient confidence, shape (i, j, k); None counts all.
    """
    with_value = region & covered
    inner = with_value & away_from_edge(region, voxel_mm, edge_mm)
    thin = np.count_nonzero(inner) < LEAST_LEFT * np.count_nonzero(with_value)
    inner = with_value if thin else inner
    even = inner if magnitude is None else inner & ~unlike_surroundings(magnitude, with_value, voxel_mm)
    shares = even.astype(np.float64) if confident is None else np.where(even, confident, 0.0)
    steps = {"no value": with_value, "edge": inner, "vessel or void": even, "low confidence": shares > 0.0}
    counts = [int(one.sum()) for one in (region, *steps.values())]
    left_out = {name: before - after for name, before, after in zip(steps, counts, counts[1:], strict=False)}
    return ReportedRegion(region, shares, left_out, 0.0 if thin else edge_mm, bool(thin))


def away_from_edge(region: NDArray[np.bool_], voxel_mm: NDArray[np.float64], edge_mm: float) -> NDArray[np.bool_]:
    """Return the voxels of a region around whose centre no voxel outside it has its centre within a distance.

    The edge is that within each slice, and across slices only where they are closer to each other than the distance.
    Holes within a slice that are smaller than a disc of that radius are vessels and no edge, and neither is the border
    of the images.

    Args:
        region: region, shape (i, j, k).
        voxel_mm: edges of a voxel along i, j, k, mm, shape (3,).
        edge_mm: the distance, mm.
    """
    if edge_mm <= 0.0:
        return region.copy()
    filled = _without_small_holes(region, np.pi * edge_mm**2 / float(np.prod(voxel_mm[:2])))
    spacing = np.where(voxel_mm < edge_mm, voxel_mm, 1e6)
    if filled.all():
        return region.copy()
    return np.asarray(region & (ndimage.distance_transform_edt(filled, sampling=spacing) > edge_mm))


def _without_small_holes(region: NDArray[np.bool_], most_voxels: float) -> NDArray[np.bool_]:
    """Return a region with the holes of fewer voxels within a slice filled."""
    holes = ndimage.binary_fill_holes(region, _IN_PLANE) & ~region
    labels, count = ndimage.label(holes, _IN_PLANE)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    small = sizes < most_voxels
    small[0] = False
    return np.asarray(region | small[labels])
