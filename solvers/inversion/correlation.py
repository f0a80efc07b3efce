"""The correlation of stiffness with distance: Matern fields of order 1/2 and 3/2 in given shares."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROWS: Final = 512
"""Of the matrix at a time: what is needed on the way to them is a few more rows, not a few more matrices."""


def matern(distance_mm: NDArray[np.float64], length_mm: float, roughness: float) -> NDArray[np.float64]:
    """Correlation at a distance, alpha exp(-r / l) + (1 - alpha) (1 + sqrt(3) r / l) exp(-sqrt(3) r / l), any shape.

    Args:
        distance_mm: r.
        length_mm: l.
        roughness: alpha in [0, 1].
    """
    rough, scaled = distance_mm / length_mm, np.sqrt(3.0) * distance_mm / length_mm
    return np.asarray(roughness * np.exp(-rough) + (1.0 - roughness) * (1.0 + scaled) * np.exp(-scaled))


def correlation(
    ijk: NDArray[np.int64] | NDArray[np.float64],
    voxel_size_mm: NDArray[np.float64],
    length_mm: float,
    roughness: float,
) -> NDArray[np.float64]:
    """Correlation of one field between voxels, shape (n, n).

    Args:
        ijk: voxel indices, shape (n, 3).
        voxel_size_mm: shape (3,).
        length_mm: l.
        roughness: alpha in [0, 1].
    """
    place_mm = (ijk - ijk.min(axis=0)) * voxel_size_mm
    square = np.sum(place_mm**2, axis=1)
    values = np.empty((len(place_mm), len(place_mm)))
    for first in range(0, len(place_mm), _ROWS):
        rows = slice(first, first + _ROWS)
        distance = np.sqrt(np.maximum(square[rows, None] + square - 2.0 * place_mm[rows] @ place_mm.T, 0.0))
        np.fill_diagonal(distance[:, first:], 0.0)
        values[rows] = matern(distance, length_mm, roughness)
    return values
