"""Spread that is robust against a few outlying values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MEDIAN_OF_ABSOLUTE_NORMAL = 0.6744897501960817


def robust_std(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation around zero by the median of absolute values, exact for a normal distribution.

    Args:
        values: real numbers, shape (n, ...), n at least one.

    Returns:
        The standard deviation along the first axis, shape (...).
    """
    return np.asarray(np.median(np.abs(values), axis=0) / _MEDIAN_OF_ABSOLUTE_NORMAL)
