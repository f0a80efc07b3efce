"""Exponential of diffusion as a mean over random walks, which cannot leave the range of the averaged values.

With a rate q no smaller than any voxel's loss of cells to its neighbours, L = q (1 - P) where P >= 0 has rows of sum
one, and with mu = q t

    exp(-t L) = sum_k p_k P^k,    p_k = exp(-mu) mu^k / k!        (uniformisation; Jensen 1953)

is the mean over a Poisson number of steps. Any weights w_0..w_m >= 0 of sum one conserve bounds and mass exactly; those
whose mean is mu and whose second factorial moment is mu^2 are of second order in t.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

FEWEST: Final = 2
"""Smallest number of products with P, since fewer cannot be of second order."""
ROUNDING: Final = 1e-15
"""Probability of the tail of the Poisson distribution below which the tail is only rounding."""


@lru_cache(maxsize=64)
def stage_weights(mean: float, tolerance: float) -> tuple[float, ...]:
    """Return the fewest weights w_0..w_m >= 0 with the Poisson moments of order 0, 1 and 2 that are close to Poisson's.

    All but the last three are p_k; the last three take over the tail so that the moments are right. The distance
    sum_k |w_k - p_k| over all k bounds the error of a step in the maximum norm, relative to the range of the data.

    Args:
        mean: expected number of steps mu = q t, >= 0.
        tolerance: largest distance.

    Raises:
        ValueError: mu is negative or not finite.
    """
    if not 0.0 <= mean < np.inf:
        raise ValueError(f"mu must be finite and not negative, not {mean}")
    longest = int(mean + 12.0 * np.sqrt(mean) + 40.0)  # the Poisson tail beyond is below rounding
    poisson = _poisson(mean, longest)
    first = max(FEWEST, int(mean))
    for last in range(first, longest):
        tail = float(poisson[last + 1 :].sum())
        if tail <= ROUNDING:  # nothing is left to take over
            return tuple((poisson[: last + 1] / poisson[: last + 1].sum()).tolist())
        weights = _closed(poisson, last)
        if weights.min() >= 0.0 and np.abs(weights - poisson[: last + 1]).sum() + tail <= tolerance:
            return tuple(weights.tolist())
    raise ValueError(f"no {longest} stages reach a distance of {tolerance}")


def _poisson(mean: float, longest: int) -> Values:
    k = np.arange(longest + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    if mean == 0.0:
        return np.where(k == 0, 1.0, 0.0)
    probabilities = np.exp(k * np.log(mean) - mean - log_factorial)
    return np.asarray(probabilities / probabilities.sum())


def _closed(poisson: Values, last: int) -> Values:
    """Return the weights 0..last: Poisson's, but for the last three, to which the tail moves by extrapolation.

    Quadratic extrapolation keeps moments up to the second, without the cancellation that occurs when they are solved
    for.
    """
    tail = poisson[last + 1 :]
    beyond = np.arange(1.0, len(tail) + 1.0)
    weights = poisson[: last + 1].copy()
    weights[-3] += tail @ (beyond * (beyond + 1.0)) / 2.0
    weights[-2] -= tail @ (beyond * (beyond + 2.0))
    weights[-1] += tail @ ((beyond + 1.0) * (beyond + 2.0)) / 2.0
    return weights
