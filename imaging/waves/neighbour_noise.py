"""Noise of a wave field from the field itself, by differences between neighbouring voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.waves.robust import robust_std

_THIRD_DIFFERENCE = np.array([-1.0, 3.0, -3.0, 1.0])


def measured_noise(displacement_m: NDArray[np.complex128], mask: NDArray[np.bool_]) -> float:
    """Return the standard deviation of white noise from third differences, along which waves are nearly flat.

    The median over voxels and axes resists edges. The remainder of the waves is counted as noise, never the reverse.

    Args:
        displacement_m: displacement U, metres, shape (i, j, k, n).
        mask: tissue, shape (i, j, k).
    """
    estimates = [one for axis in range(3) if (one := noise_along(displacement_m, mask, axis)) is not None]
    return min(estimates) if estimates else 0.0


def third_difference_share(correlation: float) -> float:
    """Return by how much third differences are smaller where the noise of neighbours is correlated; 1 for white noise.

    Args:
        correlation: correlation rho of next neighbours; that of neighbours n voxels apart is taken for rho^(n^2), as of
            noise under a Gaussian filter.
    """
    rho = max(correlation, 0.0)
    share = (10.0 - 15.0 * rho + 6.0 * rho**4 - rho**9) / 10.0
    return float(np.sqrt(max(share, 0.0)))


def noise_along(displacement_m: NDArray[np.complex128], mask: NDArray[np.bool_], axis: int) -> float | None:
    """Return the standard deviation of white noise from third differences along one axis; None for a short axis.

    Args:
        displacement_m: displacement U, metres, shape (i, j, k, n).
        mask: tissue, shape (i, j, k).
        axis: axis of the differences: 0, 1 or 2.
    """
    moved = np.moveaxis(displacement_m, axis, 0)
    inside = np.moveaxis(mask, axis, 0)
    length = len(moved) - len(_THIRD_DIFFERENCE) + 1
    if length < 1:
        return None
    difference = sum(c * moved[i : i + length] for i, c in enumerate(_THIRD_DIFFERENCE))
    valid = np.logical_and.reduce([inside[i : i + length] for i in range(len(_THIRD_DIFFERENCE))])
    values = difference[valid]
    if not values.size:
        return None
    parts = np.concatenate([values.real.ravel(), values.imag.ravel()])
    return float(robust_std(parts) / np.linalg.norm(_THIRD_DIFFERENCE))
