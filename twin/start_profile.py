"""Mean over a voxel of the front's profile sigma(z)^2 at the first scan, where z falls linearly across the voxel.

    M(z, L) = (g(z + L / 2) - g(z - L / 2)) / L,        g(z) = ln(1 + e^z) - sigma(z),        g' = sigma^2.

A cube seen along any direction has the variance h^2 / 12 of an interval of length h, so that L = h / w for a front of
width w. Values at the voxels' middles in place of means leave out most of a narrow front's tail, and the front lags.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

_LEAST: Final = 1e-3
"""Length L below which the mean is the value at the middle, to 1e-7."""
_TAIL: Final = -8.0
"""Value of z below which g is summed as a series, since its two parts cancel."""


def voxel_mean(z: Values, length: Values) -> tuple[Values, Values, Values]:
    """Return M and its derivatives by z and by ln L, of the shape of z.

    Args:
        z: argument of the profile at the voxels' middles.
        length: change L of z across a voxel, same shape; 0 for the value at the middle.
    """
    known = np.maximum(length, _LEAST)
    upper, lower = z + 0.5 * known, z - 0.5 * known
    mean = (_integral(upper) - _integral(lower)) / known
    ends = _square(upper), _square(lower)
    by_z, by_log = (ends[0] - ends[1]) / known, 0.5 * (ends[0] + ends[1]) - mean
    root = _sigma(z)
    point = length < _LEAST
    return (
        np.where(point, root**2, mean),
        np.where(point, 2.0 * root**2 * (1.0 - root), by_z),
        np.where(point, 0.0, by_log),
    )


def _sigma(z: Values) -> Values:
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)))


def _square(z: Values) -> Values:
    return _sigma(z) ** 2


def _integral(z: Values) -> Values:
    """Return g, to a relative 1e-9."""
    tail = np.exp(np.minimum(z, _TAIL))
    series = tail**2 * (1.0 / 2.0 - tail * (2.0 / 3.0 - tail * (3.0 / 4.0)))
    return np.where(z < _TAIL, series, np.logaddexp(0.0, z) - _sigma(z))
