"""Excursion sets: the largest set of voxels that lie beyond a threshold all at once with a stated probability.

Method of Bolin and Lindgren (J R Stat Soc B 77 (2015) 85): the candidates are a family of nested sets with one
parameter t, here {v: q_v > t} with a low marginal quantile q_v of each voxel, and the largest one whose joint probability
reaches the level is taken. Threshold and level do not change q, so that the set of a higher threshold or level lies
within that of a lower one.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

type Sign = Literal[1, -1]
"""Side of the threshold: 1 for above, -1 for below its mirror image."""
type Values = NDArray[np.float64]

_QUANTILE: Final = 2.33
"""Standard deviations from the mean down to q, the 1 % quantile of a normal law: sets of some ten to some hundred
voxels end near this marginal probability."""
_AT_ONCE: Final = 1024
"""Voxels that are looked at together, so that no second copy of all draws is made."""


def joint_set(values: NDArray[np.float32], sign: Sign, threshold: float, level: float) -> NDArray[np.bool_]:
    """Return whether each voxel belongs to the excursion set, shape (N,).

    Draw d leaves the family at t_d = max q_v(d) over the voxels in which it does not lie beyond, where q_v(d) is the
    quantile of the other draws. Among n + 1 exchangeable fields, n draws and the truth, the truth is one of the m with
    the largest t with probability m / (n + 1). The set {v: q_v > t_(m)}, with the m-th largest and
    m = floor((1 - level) (n + 1)), therefore lies beyond in the truth with the probability of the level. A draw must
    not take part in its own order: with 200 draws of independent voxels, sets would hold in 87 % instead of 90 %.

    Args:
        values: draws of a nearly normal quantity, shape (count, N); a value that is not finite lies beyond nothing.
        sign: 1 for voxels with values above the threshold, -1 for those with values below -threshold.
        threshold: threshold, in the unit of the values.
        level: probability that all voxels of the set lie beyond.

    Returns:
        The set; empty where there are too few draws for the level.
    """
    count, voxels = values.shape
    quantile, leaves = np.full(voxels, -np.inf), np.full(count, -np.inf)
    for first in range(0, voxels, _AT_ONCE):
        here = slice(first, first + _AT_ONCE)
        draws = sign * values[:, here].astype(np.float64)
        quantile[here], others = _quantiles(draws)
        np.maximum(leaves, np.where(draws > threshold, -np.inf, others).max(axis=1), out=leaves)
    allowed = int(np.floor((1.0 - level) * (count + 1) + 1e-9))
    limit = np.sort(leaves)[-allowed] if allowed else np.inf
    return np.asarray(quantile > limit)


def joint_probability(values: NDArray[np.float32], voxels: NDArray[np.integer], sign: Sign, threshold: float) -> float:
    """Return the share of draws in which all given voxels lie beyond a threshold.

    Args:
        values: draws, shape (count, N).
        voxels: places of the voxels, shape (n,).
        sign: side that is looked for.
        threshold: threshold, in the unit of the draws.
    """
    return float((sign * values[:, voxels] > threshold).all(axis=1).mean())


def _quantiles(draws: Values) -> tuple[Values, Values]:
    """Return the low quantile of each voxel, shape (n,), and that of all draws but one, shape (count, n).

    It is -inf where a draw is not finite.
    """
    count = len(draws)
    with np.errstate(invalid="ignore"):
        mean = draws.mean(axis=0)
        apart = draws - mean
        squares = (apart**2).sum(axis=0)
        quantile = mean - _QUANTILE * np.sqrt(squares / (count - 1))
        left = np.maximum(squares - apart**2 * count / (count - 1), 0.0)
        others = mean - apart / (count - 1) - _QUANTILE * np.sqrt(left / (count - 2))
    return np.where(np.isfinite(quantile), quantile, -np.inf), np.where(np.isfinite(others), others, -np.inf)
