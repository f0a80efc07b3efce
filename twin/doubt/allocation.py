"""Shares of a variance that sources have, which sum to one also where sources depend on each other.

Y(S) is the quantity of each draw where the sources in S have the draw's own values and all others a reference. With all
orders in which sources can be let loose equally probable, the share of a source s is

    share_s = sum over S without s of |S|! (n - |S| - 1)! / n! Cov(Y(S + s) - Y(S), Y(all)) / Var(Y(all)).

The increments of an order sum to Y(all) - Y(none), and Y(none) is a constant: so the shares sum to one, exactly. Where
sources are independent and Y is their sum, share_s is Var(Y_s) / Var(Y). A share is negative where a source makes up
for others.

Source: Shapley 1953, Contributions to the Theory of Games 2:307; Owen 2014, SIAM/ASA J Uncertain Quantif 2:245, for
variances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

_RESAMPLED: Final = 400
"""Number of times that the draws are resampled for intervals."""
_SEED: Final = 20261130
"""Seed of the resampling: an interval is the same whenever it is asked for."""


@dataclass(frozen=True, slots=True)
class VarianceShare:
    """Share of a quantity's variance that one source has.

    Attributes:
        source: name of the source.
        share: share, about 0..1; the shares of all sources sum to one.
        lower: lower 95 % bound, over draws that are resampled.
        upper: upper 95 % bound.
    """

    source: str
    share: float
    lower: float
    upper: float


def subsets(sources: Sequence[str]) -> list[frozenset[str]]:
    """Return all sets of sources, the empty one first."""
    return [frozenset(chosen) for size in range(len(sources) + 1) for chosen in combinations(sources, size)]


def allocated(sources: Sequence[str], values: Mapping[frozenset[str], Values]) -> tuple[VarianceShare, ...]:
    """Return the share of each source in the variance of the quantity; none where the variance is zero.

    Args:
        sources: names of the sources.
        values: quantity of each draw for every set of sources, shape (draws,).
    """
    whole = values[frozenset(sources)]
    if not float(np.ptp(whole)) > 0.0:
        return ()
    increments = np.stack([_mean_increment(source, sources, values) for source in sources])
    found = _shares(increments, whole)
    rng = np.random.default_rng(_SEED)
    picked = rng.integers(len(whole), size=(_RESAMPLED, len(whole)))
    again = np.array([_shares(increments[:, at], whole[at]) for at in picked if float(np.ptp(whole[at])) > 0.0])
    lower, upper = np.quantile(again, [0.025, 0.975], axis=0)
    return tuple(
        VarianceShare(source, float(found[at]), float(lower[at]), float(upper[at])) for at, source in enumerate(sources)
    )


def _mean_increment(source: str, sources: Sequence[str], values: Mapping[frozenset[str], Values]) -> Values:
    """Return the change that a source makes to each draw, averaged over all orders, shape (draws,)."""
    count = len(sources)
    others = [one for one in sources if one != source]
    total = np.zeros_like(values[frozenset(sources)])
    for before in subsets(others):
        weight = factorial(len(before)) * factorial(count - len(before) - 1) / factorial(count)
        total += weight * (values[before | {source}] - values[before])
    return total


def _shares(increments: Values, whole: Values) -> Values:
    """Return the covariance of each increment with the whole over the variance of the whole, shape (sources,)."""
    away = whole - whole.mean()
    return np.asarray((increments - increments.mean(axis=1, keepdims=True)) @ away / (away @ away))
