"""Weighted draws: how many they are worth, and equally probable ones taken from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]


def effective(log_weights: Values) -> float:
    """Return the effective number of weighted draws over their number, (sum w)^2 / (N sum w^2)."""
    w = np.exp(log_weights - log_weights.max())
    return float(w.sum() ** 2 / (len(w) * (w**2).sum()))


def systematic(log_weights: Values, rng: np.random.Generator, count: int | None = None) -> NDArray[np.int64]:
    """Return indices of draws; each occurs in proportion to its weight, to within one (systematic resampling).

    Args:
        log_weights: logarithms of the weights, shape (n,).
        rng: generator of random numbers.
        count: number of indices; None for n.
    """
    w = np.exp(log_weights - log_weights.max())
    ends = np.cumsum(w / w.sum())
    wanted = len(w) if count is None else count
    places = (np.arange(wanted) + rng.random()) / wanted
    return np.minimum(np.searchsorted(ends, places), len(w) - 1)
