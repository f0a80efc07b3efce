"""Spread that a few wild values do not move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MEDIAN_OF_ABSOLUTE_NORMAL = 0.6744897501960817


def robust_std(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation around zero by the median of absolute values, exact for a normal distribution.

    Args:
        values: real, shape (n, ...), n at least one.

    Returns:
        Along the first axis, shape (...).
    """
    return np.asarray(np.median(np.abs(values), axis=0) / _MEDIAN_OF_ABSOLUTE_NORMAL)
