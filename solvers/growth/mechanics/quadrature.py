"""Gauss points on panels placed after the times of doses: exact to rounding, whatever the time step.

After a dose exponentials start whose rates are known. Panels after it first double in length, from 1/r of the fastest
rate r, up to 4/r; when that exponential has decayed they continue to double up to 4/r of the slowest rate. Twelve
points then integrate the exponentials, and saturating functions of them, whose poles are at least pi/r away from the
real axis. Panels are fixed by the doses, and an interval cuts but does not move them, so that integrals over intervals
add up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.units import days_to_s

type Values = NDArray[np.float64]

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_LONGEST: Final = 4.0
"""Longest panel, in units of 1/r."""
_HALVINGS: Final = 20
"""Number of halvings of the panels towards a dose, where a saturating effect rises within a tiny part of 1/r."""
_DECAYED: Final = 45.0
"""Time after which an exponential has decayed, in units of 1/r; exp(-45) is below rounding."""
_GROWTH_S: Final = days_to_s(2.0)
"""Longest panel, seconds: growth, a few per cent a day, is smooth on this scale."""


def panels(
    start_s: float, end_s: float, doses_s: Sequence[float], rates_1_s: Sequence[float], *, steep: bool = False
) -> Values:
    """Return the edges of panels between two times, ascending, seconds; both times are included.

    Args:
        start_s: beginning, seconds.
        end_s: end, later than the beginning, seconds.
        doses_s: times after which exponentials decay, seconds.
        rates_1_s: rates of decay, 1/s.
        steep: whether the function may rise within a millionth of 1/r after a dose, as a saturating effect does.
    """
    behind = _behind(max(rates_1_s), min(rates_1_s), steep)
    edges = np.add.outer(np.array([dose for dose in doses_s if dose < end_s]), behind).ravel()
    edges = np.unique(np.concatenate([[start_s, end_s], edges[(edges > start_s) & (edges < end_s)]]))
    parts = np.ceil(np.diff(edges) / _GROWTH_S).astype(int)
    cut = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(edges[:-1], edges[1:], parts, strict=True)]
    return np.concatenate([*cut, [end_s]])


@lru_cache
def _behind(fast_1_s: float, slow_1_s: float, steep: bool) -> Values:  # noqa: FBT001
    """Return edges after a dose at time zero."""
    edges = [0.0, *(2.0 ** np.arange(-_HALVINGS if steep else 0, 1) / fast_1_s)]
    while edges[-1] < _DECAYED / slow_1_s:
        rate = fast_1_s if edges[-1] < _DECAYED / fast_1_s else slow_1_s
        edges.append(edges[-1] + min(edges[-1], _LONGEST / rate))
    return np.array(edges)


def gauss(edges: Values) -> tuple[Values, Values]:
    """Return the Gauss points and weights of all panels, shape (12 panels,) each, ascending.

    Args:
        edges: edges of the panels, ascending.
    """
    half = 0.5 * np.diff(edges)[:, None]
    middle = 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (middle + half * _POINTS).ravel(), (half * _WEIGHTS).ravel()


def cumulative(
    rate: Callable[[Values], Values],
    start_s: float,
    times_s: Values,
    doses_s: Sequence[float],
    rates_1_s: Sequence[float],
) -> Values:
    """Return the integral of a function from a start to each of the times, in the shape of the times.

    Args:
        rate: function of times of any shape.
        start_s: beginning, seconds.
        times_s: ends of the integrals, not before the beginning, seconds.
        doses_s: times after which exponentials decay, seconds.
        rates_1_s: rates of decay, 1/s.
    """
    total = np.zeros(times_s.size)
    for i, end_s in enumerate(times_s.ravel()):
        if end_s > start_s:
            points, weights = gauss(panels(start_s, float(end_s), doses_s, rates_1_s, steep=True))
            total[i] = weights @ rate(points)
    return total.reshape(times_s.shape)
