"""The correlation of stiffness with distance: Matern fields of order 1/2 and 3/2 in given shares."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.hyperparameters import PriorScale


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
    ijk: NDArray[np.int64] | NDArray[np.float64], voxel_size_mm: NDArray[np.float64], scale: PriorScale
) -> NDArray[np.float64]:
    """Correlation of one field between voxels, shape (n, n), read-only.

    Zones of one shape share the matrix; few are kept, so that memory does not grow with the organ.

    Args:
        ijk: voxel indices, shape (n, 3).
        voxel_size_mm: shape (3,).
        scale: its length and roughness count.
    """
    place_mm = (ijk - ijk.min(axis=0)) * voxel_size_mm
    return _correlation(place_mm.tobytes(), scale.length_mm, scale.roughness)


@lru_cache(maxsize=8)
def _correlation(places_mm: bytes, length_mm: float, roughness: float) -> NDArray[np.float64]:
    place = np.frombuffer(places_mm).reshape(-1, 3)
    square = np.sum(place**2, axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2.0 * place @ place.T, 0.0))
    np.fill_diagonal(distance, 0.0)
    values = matern(distance, length_mm, roughness)
    values.setflags(write=False)
    return values
