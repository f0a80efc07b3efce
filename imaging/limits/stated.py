"""Units and directions as files and arguments state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

METRES_PER_UNIT: Final[Mapping[str, float]] = {
    "nm": 1e-9,
    "um": 1e-6,
    "\N{MICRO SIGN}m": 1e-6,
    "\N{GREEK SMALL LETTER MU}m": 1e-6,
    "mm": 1e-3,
    "m": 1.0,
}
"""Metres of each unit of length that a sidecar may state."""

_SPACE: Final = 3
_UNIT: Final = 1e-2
"""Largest difference from 1 of the length of a unit vector that is written with few digits."""


def unit_vectors(value: object, count: int) -> NDArray[np.float64] | None:
    """Return unit vectors of exact length; None where the value holds no such vectors.

    Args:
        value: list of lists of numbers.
        count: n, number of the vectors.

    Returns:
        The vectors, shape (n, 3).
    """
    rows = numbers_in(value)
    if rows is None or rows.shape != (count, _SPACE):
        return None
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if np.any(np.abs(lengths - 1.0) >= _UNIT):
        return None
    return np.asarray(rows / lengths)


def numbers_in(value: object) -> NDArray[np.float64] | None:
    """Return a list, or list of lists, of finite numbers as an array; None for anything else."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if isinstance(value, list) and array.size and np.all(np.isfinite(array)) else None
