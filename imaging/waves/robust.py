"""Spread and mean that are robust against a few outlying values."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_MEDIANS: Final = 10.0
"""Multiple of the median beyond which a size is counted as this multiple: waves in tissue stay within a few medians."""

_MEDIAN_OF_ABSOLUTE_NORMAL = 0.6744897501960817


def robust_std(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation around zero by the median of absolute values, exact for a normal distribution.

    Args:
        values: real numbers, shape (n, ...), n at least one.

    Returns:
        The standard deviation along the first axis, shape (...).
    """
    return np.asarray(np.median(np.abs(values), axis=0) / _MEDIAN_OF_ABSOLUTE_NORMAL)


def bounded_mean(sizes: NDArray[np.float64]) -> float:
    """Return the mean of sizes, each counted with no more than MOST_MEDIANS times the median.

    Args:
        sizes: numbers of at least 0, any shape; their plain mean where none is larger.
    """
    return float(np.minimum(sizes, MOST_MEDIANS * float(np.median(sizes))).mean())
