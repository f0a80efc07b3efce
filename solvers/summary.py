"""Summary of a posterior that maps show, voxel by voxel: mean, standard deviation and 95 % credible interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INTERVAL_95 = 1.959963984540054
"""Half the width of a 95 % interval in standard deviations of a normal distribution."""

OUTSIDE_95 = (0.025, 0.975)
"""Quantiles at the ends of a 95 % interval."""

NODES = 16
"""Number of nodes of the Gauss-Hermite rule; a bounded function that varies on the scale of one needs fewer."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Posterior of one quantity, voxel by voxel, each field of shape (N,).

    Attributes:
        mean: posterior mean.
        std: posterior standard deviation.
        lower: lower end of the 95 % credible interval.
        upper: upper end of the 95 % credible interval.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def log_normal(centre: NDArray[np.float64], std: NDArray[np.float64]) -> Summary:
    """Return the summary of exp(t), t normal.

    Args:
        centre: mean of t, shape (N,).
        std: standard deviation of t, shape (N,).
    """
    mean, spread = np.exp(centre + 0.5 * std**2), INTERVAL_95 * std
    return Summary(mean, mean * np.sqrt(np.expm1(std**2)), np.exp(centre - spread), np.exp(centre + spread))


def of_draws(draws: NDArray[np.float64]) -> Summary:
    """Return the summary of a quantity whose distribution is known by draws alone.

    Args:
        draws: draws of the quantity, shape (N, count).
    """
    lower, upper = np.quantile(draws, OUTSIDE_95, axis=1, method="weibull")
    return Summary(draws.mean(axis=1), draws.std(axis=1, ddof=1), lower, upper)


def of_increasing(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    centre: NDArray[np.float64],
    std: NDArray[np.float64],
) -> Summary:
    """Return the summary of f(t), f bounded and increasing, t normal.

    The ends of the interval are exact, the moments by Gauss-Hermite quadrature.

    Args:
        function: the function f.
        centre: mean of t, shape (N,).
        std: standard deviation of t, shape (N,).
    """
    places, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    values = function(centre + std * places[:, None])
    mean = weights @ values
    spread = INTERVAL_95 * std
    return Summary(mean, np.sqrt(weights @ (values - mean) ** 2), function(centre - spread), function(centre + spread))
