"""Innovations: how a measurement differs from what was expected before it was known.

e = y - E(y | past),     S = Cov(y | past),     L L^T = S,     normalised innovation L^-1 e ~ N(0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats as stats
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from palpate.twin.state_space.event import Event

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EventInnovation:
    """One measurement beside its prediction.

    Attributes:
        acquired: day of the measurement.
        stream: name of its stream.
        value: measured numbers y, shape (m,).
        predicted: predictive mean, shape (m,).
        covariance: predictive covariance S with the errors of measurement, shape (m, m).
        log_density: logarithm of the predictive density at y.
    """

    acquired: float
    stream: str
    value: Values
    predicted: Values
    covariance: Values
    log_density: float

    @property
    def normalised(self) -> Values:
        """Whitened innovation L^-1 (y - predicted), shape (m,): independent N(0, 1) where the model is right."""
        lower = np.linalg.cholesky(self.covariance)
        return np.asarray(solve_triangular(lower, self.value - self.predicted, lower=True))

    @property
    def probability(self) -> float:
        """Probability of an innovation as large as this one or larger, by chi-square of m degrees of freedom."""
        return float(stats.chi2.sf(np.sum(self.normalised**2), len(self.value)))


def innovation(
    event: Event, predicted: Values, covariance: Values, log_density: float | None = None
) -> EventInnovation:
    """Return the innovation of a measurement.

    Args:
        event: the measurement.
        predicted: predictive mean, shape (m,).
        covariance: predictive covariance, shape (m, m).
        log_density: logarithm of the predictive density; None for that of the normal distribution.
    """
    if log_density is None:
        log_density = float(log_normal(event.value - predicted[None], covariance)[0])
    return EventInnovation(event.acquired, event.stream, event.value, predicted, covariance, log_density)


def log_normal(away: Values, covariance: Values) -> Values:
    """Return log N(away; 0, C), shape (N,).

    Args:
        away: distances from the mean, shape (N, m).
        covariance: C, shape (m, m).
    """
    lower = np.linalg.cholesky(covariance)
    white = solve_triangular(lower, away.T, lower=True)
    constant = away.shape[1] * np.log(2.0 * np.pi) + 2.0 * np.log(np.diag(lower)).sum()
    return np.asarray(-0.5 * (np.sum(white**2, axis=0) + constant))
