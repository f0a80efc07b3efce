"""Beliefs of the filters: what is known of the joint state z = (x, theta, memories) on one day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GaussianBelief:
    """Normal distribution of z.

    Attributes:
        mean: mean, shape (n,).
        covariance: covariance, shape (n, n).
        memory: regimes that z remembers, in its order.
    """

    mean: Values
    covariance: Values
    memory: tuple[str, ...] = ()

    def moments(self) -> tuple[Values, Values]:
        """Return mean and covariance."""
        return self.mean, self.covariance

    def is_finite(self) -> bool:
        """Return whether all numbers are finite."""
        return bool(np.isfinite(self.mean).all() and np.isfinite(self.covariance).all())

    def draws(self, count: int, rng: np.random.Generator) -> Values:
        """Return draws of z, shape (count, n).

        Args:
            count: number of draws.
            rng: generator of random numbers.
        """
        return self.mean + rng.standard_normal((count, len(self.mean))) @ root(self.covariance).T


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleBelief:
    """Equally probable members.

    Attributes:
        members: z of each member, shape (N, n).
        memory: regimes that z remembers, in its order.
    """

    members: Values
    memory: tuple[str, ...] = ()

    def moments(self) -> tuple[Values, Values]:
        """Return mean and covariance."""
        return self.members.mean(axis=0), np.atleast_2d(np.cov(self.members, rowvar=False))

    def is_finite(self) -> bool:
        """Return whether all numbers are finite."""
        return bool(np.isfinite(self.members).all())

    def draws(self, count: int, rng: np.random.Generator) -> Values:
        """Return members in random order, all of them once before any twice, shape (count, n).

        Args:
            count: number of draws.
            rng: generator of random numbers.
        """
        return self.members[np.resize(rng.permutation(len(self.members)), count)]


@dataclass(frozen=True, slots=True, eq=False)
class ParticleBelief:
    """Weighted particles, each with all random numbers of its path.

    Attributes:
        z: joint state of each particle, shape (N, n).
        chances: standard normal numbers xi that make a particle's path: its parameters on day 0, then the noise of
            each transition in order, shape (N, d).
        log_weights: logarithms of the weights, whose sum is one, shape (N,).
        log_likelihood: log density of all measurements so far, given the path, shape (N,).
        memory: regimes that z remembers, in its order.
    """

    z: Values
    chances: Values
    log_weights: Values
    log_likelihood: Values
    memory: tuple[str, ...] = ()

    def moments(self) -> tuple[Values, Values]:
        """Return mean and covariance."""
        return weighted_moments(self.z, self.log_weights)

    def is_finite(self) -> bool:
        """Return whether the particles that have a weight are finite."""
        return bool(np.isfinite(self.z[np.isfinite(self.log_weights)]).all() and np.isfinite(self.log_weights).any())

    def draws(self, count: int, rng: np.random.Generator) -> Values:
        """Return particles by their weights, shape (count, n).

        Args:
            count: number of draws.
            rng: generator of random numbers.
        """
        return self.z[rng.choice(len(self.z), size=count, p=np.exp(self.log_weights - logsumexp(self.log_weights)))]


type Belief = GaussianBelief | EnsembleBelief | ParticleBelief


def weighted_moments(values: Values, log_weights: Values) -> tuple[Values, Values]:
    """Return mean and covariance of weighted draws.

    Args:
        values: draws, shape (N, n).
        log_weights: logarithms of weights whose sum is one, shape (N,).
    """
    weights = np.exp(log_weights)
    mean = weights @ values
    away = values - mean
    return mean, (weights[:, None] * away).T @ away


def root(covariance: Values) -> Values:
    """Return A with A A^T = C of a positive semidefinite C; rounding below zero counts as zero.

    Args:
        covariance: C, shape (n, n).
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
