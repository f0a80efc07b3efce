"""Correlation of stiffness between voxels: Matern fields of order 1/2 and 3/2 in given shares, means over voxels.

A voxel's value is the mean over the voxel. A rough field varies much within voxels already, so that neighbours differ
by half as much as points at their centres do; the correlation of points, exp(-r / l), becomes for voxels of edge h

    exp(-(sqrt(r^2 + e^2) - e) / l),    e = 0.72 h,

to 0.006 of the integral over two cubes (tests/solvers/inversion/test_correlation.py). As sqrt(r^2 + e^2) is a Bernstein
function of r^2 this is a correlation in any dimension (Schoenberg 1938). Smooth fields hardly change (0.03 at most).
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

ROUNDING: Final = 0.72
"""Ratio of e to the voxel's edge h."""

_ROWS: Final = 512
"""Number of rows of the matrix that are computed at a time, so that intermediate arrays are a few rows, not
matrices."""


class Correlation(Protocol):
    """Correlation of ln G' (and of ln G'') between two voxels: the seam for another prior covariance.

    A function of this signature, given to `palpate.invert(field, correlation=...)`, takes the place of `matern` in
    the prior, in the evidence of its hyperparameters and in its draws. It must

    - depend on the distance alone, be 1 at distance 0, and be positive definite in three dimensions;
    - be linear in roughness, f(r, l, a) = (1 - a) f(r, l, 0) + a f(r, l, 1), since the evidence mixes the two ends;
    - be hashable and of module level, since zones of one shape share its computed values.

    examples/another_prior.py uses it.
    """

    def __call__(
        self, distance_mm: NDArray[np.float64], length_mm: float, roughness: float, edge_mm: float, /
    ) -> NDArray[np.float64]:
        """Return the correlation at distances, in their shape.

        Args:
            distance_mm: distance r, mm, any shape.
            length_mm: correlation length l, mm.
            roughness: rough share a of the variance, in [0, 1].
            edge_mm: edge h of the voxels whose means are correlated, mm; 0 for points.
        """

    def __hash__(self) -> int:
        """Return the same number for the same law."""


def edge_of(voxel_size_mm: NDArray[np.float64]) -> float:
    """Return the edge of the cube with a voxel's volume, mm.

    Args:
        voxel_size_mm: edges of a voxel, mm, shape (3,).
    """
    return float(np.prod(voxel_size_mm) ** (1.0 / 3.0))


def matern(distance_mm: NDArray[np.float64], length_mm: float, roughness: float, edge_mm: float) -> NDArray[np.float64]:
    """Return the correlation at distances, in their shape.

    alpha exp(-(sqrt(r^2 + e^2) - e) / l) + (1 - alpha) (1 + s) exp(-s),    s = sqrt(3) r / l.

    Args:
        distance_mm: distance r, mm, any shape.
        length_mm: correlation length l, mm.
        roughness: rough share alpha of the variance, in [0, 1].
        edge_mm: edge h of the voxels whose means are correlated, mm; 0 for points.
    """
    rounding = ROUNDING * edge_mm
    rough = (np.sqrt(np.square(distance_mm) + rounding**2) - rounding) / length_mm
    scaled = np.sqrt(3.0) * distance_mm / length_mm
    return np.asarray(roughness * np.exp(-rough) + (1.0 - roughness) * (1.0 + scaled) * np.exp(-scaled))


def correlation_name(law: Correlation) -> str:
    """Return the name of a correlation as records have it.

    Args:
        law: correlation by distance.
    """
    return str(getattr(law, "__name__", type(law).__name__))


def correlation(
    place_mm: NDArray[np.float64], length_mm: float, roughness: float, edge_mm: float, law: Correlation = matern
) -> NDArray[np.float64]:
    """Return the correlation of one field between voxels, shape (n, n).

    Args:
        place_mm: centres of the voxels, mm, shape (n, 3).
        length_mm: correlation length l, mm.
        roughness: rough share alpha of the variance, in [0, 1].
        edge_mm: edge h of the voxels, mm.
        law: correlation by distance.
    """
    place_mm = place_mm - place_mm.min(axis=0)
    square = np.sum(place_mm**2, axis=1)
    values = np.empty((len(place_mm), len(place_mm)))
    for first in range(0, len(place_mm), _ROWS):
        rows = slice(first, first + _ROWS)
        distance = np.sqrt(np.maximum(square[rows, None] + square - 2.0 * place_mm[rows] @ place_mm.T, 0.0))
        np.fill_diagonal(distance[:, first:], 0.0)
        values[rows] = law(distance, length_mm, roughness, edge_mm)
    return values
