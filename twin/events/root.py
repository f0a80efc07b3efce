"""Roots of rising functions of many draws at once, between two times that enclose them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

_ROUNDS: Final = 60
_CLOSE: Final = 1e-12
"""Width at which an enclosure ends, days."""


def root(excess: Callable[[Values], Values], low: Values, high: Values) -> Values:
    """Return the times at which a function of each draw turns positive, by false position (Illinois), shape (draws,).

    Args:
        excess: function of the draws' times, negative at `low` and not negative at `high`, shape (draws,).
        low: lower ends, shape (draws,).
        high: upper ends, shape (draws,).
    """
    if not len(low):
        return high
    a, b = low, high
    fa, fb = excess(a), excess(b)
    for _ in range(_ROUNDS):
        if np.all((b - a <= _CLOSE) | (fb == 0.0)):
            break
        gap = np.where(fb > fa, fb - fa, 1.0)
        middle = np.clip(b - fb * (b - a) / gap, a, b)
        found = excess(middle)
        above = found >= 0.0
        # An end that stays has its value halved, so that the other one moves next time.
        fa, fb = np.where(above, 0.5 * fa, found), np.where(above, found, 0.5 * fb)
        a, b = np.where(above, a, middle), np.where(above, middle, b)
        if np.all(np.abs(found) <= _CLOSE):
            return np.asarray(middle)
    return np.asarray(b)
