"""Gauss points on panels that know when doses were given: exact to rounding, whatever the time step.

After a dose exponentials start whose rates are known. Panels behind it first double in length, from 1/r of the fastest
rate r, up to 4/r; when that one has decayed they go on doubling up to 4/r of the slowest. Twelve points then integrate
the exponentials, and saturating functions of them, whose poles are at least pi/r away from the real axis. Panels hang
on the doses and are cut, not moved, by the interval, so that intervals add up.
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
"""Of a panel, in units of 1/r."""
_HALVINGS: Final = 20
"""Of the panels towards a dose, where a saturating effect rises within a tiny part of 1/r."""
_DECAYED: Final = 45.0
"""In units of 1/r; exp(-45) is below rounding."""
_GROWTH_S: Final = days_to_s(2.0)
"""Longest panel without a drug: growth, a few per cent a day, is smooth on this scale."""


def panels(
    start_s: float, end_s: float, doses_s: Sequence[float], rates_1_s: Sequence[float], *, steep: bool = False
) -> Values:
    """Edges of panels between two times, ascending, both included.

    Args:
        start_s: beginning.
        end_s: end, later.
        doses_s: times after which something decays.
        rates_1_s: the rates at which.
        steep: whether the function may rise within a millionth of 1/r behind a dose, as a saturating effect does.
    """
    behind = _behind(max(rates_1_s), min(rates_1_s), steep)
    edges = np.add.outer(np.array([dose for dose in doses_s if dose < end_s]), behind).ravel()
    edges = np.unique(np.concatenate([[start_s, end_s], edges[(edges > start_s) & (edges < end_s)]]))
    parts = np.ceil(np.diff(edges) / _GROWTH_S).astype(int)
    cut = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(edges[:-1], edges[1:], parts, strict=True)]
    return np.concatenate([*cut, [end_s]])


@lru_cache
def _behind(fast_1_s: float, slow_1_s: float, steep: bool) -> Values:  # noqa: FBT001
    """Edges after a dose at time zero."""
    edges = [0.0, *(2.0 ** np.arange(-_HALVINGS if steep else 0, 1) / fast_1_s)]
    while edges[-1] < _DECAYED / slow_1_s:
        rate = fast_1_s if edges[-1] < _DECAYED / fast_1_s else slow_1_s
        edges.append(edges[-1] + min(edges[-1], _LONGEST / rate))
    return np.array(edges)


def gauss(edges: Values) -> tuple[Values, Values]:
    """Points and weights of all panels, shape (12 panels,) each, ascending.

    Args:
        edges: ascending.
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
    """Integral of a function from a start to each of the times, same shape.

    Args:
        rate: of times, any shape.
        start_s: beginning.
        times_s: not before it.
        doses_s: times after which exponentials start.
        rates_1_s: their rates.
    """
    total = np.zeros(times_s.size)
    for i, end_s in enumerate(times_s.ravel()):
        if end_s > start_s:
            points, weights = gauss(panels(start_s, float(end_s), doses_s, rates_1_s, steep=True))
            total[i] = weights @ rate(points)
    return total.reshape(times_s.shape)
