"""Few numbers that a scan's thousands of data come to, and their derivatives by the data.

    regions       ln visible volume, centroid of the visible tumour (3, mm), three modes of its front (mm)
    cellularity   ln burden within the regions

With the direction (x, y, z) from the centroid along the axes of the images, the modes are the a in

    eta = a_1 (z^2 - x^2) + a_2 (y^2 - x^2) + a_3 2 x y,

eta being the front's distance outwards: how much longer, wider or more skew a tumour is. They are found from the
volume that a front displaced by eta adds to each block, dV = eta dA, on a ball of the tumour's volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.observation.readings import Reading
from palpate.twin.priors import ENHANCING_ABOVE, GAIN, INFILTRATED_ABOVE

type Values = NDArray[np.float64]

REGIONS: Final = "regions"
"""Stream of the numbers that contours give."""
CELLULARITY: Final = "cellularity"
"""Stream of the number that cellularity gives."""
LEAST_ML: Final = 0.2
"""Smallest volume of which numbers are told: about that of a block. A smaller tumour has no shape."""
_MODE_VARIANCE: Final = 4.0 / 15.0
"""Mean square of each mode over the directions."""


@dataclass(frozen=True, slots=True)
class ScanNumbers:
    """Numbers of a stream at some data, and how they follow from the data.

    Attributes:
        stream: stream of the numbers, REGIONS or CELLULARITY.
        names: names of the numbers, with their units.
        values: numbers t, shape (k,).
        derivative: derivative G of the numbers by the scan's data, shape (k, m).
    """

    stream: str
    names: tuple[str, ...]
    values: Values
    derivative: Values


def summaries(
    its: tuple[Reading, ...], data: Values, around: Values, voxel_ml: float
) -> tuple[tuple[ScanNumbers, ScanNumbers], ...]:
    """Return the numbers of each stream, as data and as prediction have them; none where either is below LEAST_ML.

    Args:
        its: readings of the scan.
        data: data of which the numbers are told, shape (m,).
        around: predicted data, shape (m,): centroid, modes and derivatives are those around them.
        voxel_ml: volume of a voxel, mL.
    """
    kinds = {one.kind for one in its}
    outer = INFILTRATED_ABOVE if INFILTRATED_ABOVE in kinds else ENHANCING_ABOVE
    found, first = [], 0
    for one in its:
        rows = slice(first, first + len(one.values))
        first = rows.stop
        if one.kind not in (outer, GAIN):
            continue
        weights = one.voxels * voxel_ml
        if min(float(weights @ data[rows]), float(weights @ around[rows])) < LEAST_ML:
            continue
        of = _regions if one.kind == outer else _burden
        every = [of(one, weights, (each[rows], around[rows]), rows, len(data)) for each in (data, around)]
        found.append((every[0], every[1]))
    return tuple(found)


def _regions(one: Reading, weights: Values, pair: tuple[Values, Values], rows: slice, size: int) -> ScanNumbers:
    """Return ln volume, centroid and modes of the front by the shares of blocks."""
    shares, around = pair
    volume_ml = float(weights @ around)
    centroid_mm = (weights * around) @ one.points_mm / volume_ml
    away = one.points_mm - centroid_mm
    x, y, z = (away / np.maximum(np.linalg.norm(away, axis=1), 1e-9)[:, None]).T
    modes = np.stack([z**2 - x**2, y**2 - x**2, 2.0 * x * y])
    radius_mm = (3.0 * 1e3 * volume_ml / (4.0 * np.pi)) ** (1.0 / 3.0)
    by_volume = weights / volume_ml  # dV / V of a block's share; a ball's surface is 3 V / r
    linear = np.concatenate([by_volume * away.T, by_volume * modes * radius_mm / (3.0 * _MODE_VARIANCE)])
    values = np.concatenate([[np.log(weights @ shares)], linear @ shares])
    values[1:4] += centroid_mm
    derivative = np.zeros((len(values), size))
    derivative[:, rows] = np.concatenate([by_volume[None], linear])
    axes = tuple(f"centroid {axis}, mm" for axis in "ijk")
    names = ("ln visible volume, mL", *axes, *(f"front mode {number}, mm" for number in (1, 2, 3)))
    return ScanNumbers(REGIONS, names, values, derivative)


def _burden(one: Reading, weights: Values, pair: tuple[Values, Values], rows: slice, size: int) -> ScanNumbers:
    """Return ln burden by the cellularity of blocks."""
    del one
    cells, around = pair
    derivative = np.zeros((1, size))
    derivative[0, rows] = weights / (weights @ around)
    return ScanNumbers(CELLULARITY, ("ln burden, mL",), np.array([np.log(weights @ cells)]), derivative)
