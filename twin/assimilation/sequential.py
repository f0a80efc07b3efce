"""Sequential Monte Carlo: the posterior itself, for any model, up to the number of particles.

All randomness of a path is one vector of standard normal numbers xi: the parameters on day 0 and the noise of each
transition. The path follows from xi, so that the posterior of xi is

    p(xi | y) ~ N(xi; 0, 1) prod_k p(y_k | h(z_k(xi))).

A measurement's likelihood is applied in powers, each the largest that leaves half of the particles effective. Before
each further power particles are resampled and moved. The proposal

    xi' = m + sqrt(1 - b^2) (xi - m) + b C^1/2 w,     w ~ N(0, 1),

with mean m and covariance C of the particles leaves N(m, C) invariant. It is accepted by the ratio of p(xi | y) to
N(m, C), its path is run anew from day 0, and so parameters and past are renewed as the posterior wants them (Del Moral,
Doucet, Jasra 2006).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from palpate.twin.assimilation.belief import ParticleBelief, weighted_moments
from palpate.twin.assimilation.course import Look, Operation, RegimeSwitch
from palpate.twin.assimilation.innovation import EventInnovation, innovation, log_normal
from palpate.twin.assimilation.joint_state import JointModel, Memory
from palpate.twin.assimilation.random_numbers import generator
from palpate.twin.weighted_draws import effective, systematic

type Values = NDArray[np.float64]

EFFECTIVE: Final = 0.5
"""Effective share of the particles below which they are resampled and moved."""
ACCEPTED: Final = 0.3
"""Share of accepted proposals to which the length of the moves is adapted."""
RENEWED: Final = 2.0
"""Sum of b^2 times the accepted share over the moves after which particles count as renewed."""
MOST_MOVES: Final = 40
"""Largest number of moves after one power."""
LEAST_POWER: Final = 1e-9
"""Smallest power: where most particles have no density at all, any power leaves them out."""


@dataclass(frozen=True, slots=True, eq=False)
class PathEnd:
    """End of each particle's path.

    Attributes:
        z: joint state, shape (N, n).
        log_likelihood: log density of all measurements on the way, shape (N,).
        memory: regimes that z remembers.
    """

    z: Values
    log_likelihood: Values
    memory: Memory


class SequentialMonteCarlo[U]:
    """Particles that are weighed, resampled and moved.

    Args:
        joint: model of the joint state.
    """

    def __init__(self, joint: JointModel[U]) -> None:
        self._joint = joint
        self._seed, self._count = joint.setup.filter.seed, joint.setup.filter.members

    @property
    def least(self) -> float:
        """Effective share of the particles below which they are renewed."""
        return EFFECTIVE

    def begin(self) -> ParticleBelief:
        """Return what is known before any measurement."""
        chances = generator(self._seed, "parameters").standard_normal((self._count, self._joint.parameters))
        even = np.full(self._count, -np.log(self._count))
        return ParticleBelief(self._joint.begin(chances), chances, even, np.zeros(self._count))

    def apply(
        self, belief: ParticleBelief, operation: Operation, past: tuple[Operation, ...]
    ) -> tuple[ParticleBelief, EventInnovation | None]:
        """Return the belief after an operation, and the innovation where it is a measurement.

        Args:
            belief: belief before.
            operation: operation to apply.
            past: all operations before, from day 0 on.
        """
        if isinstance(operation, Look):
            return self._looked(belief, operation, past)
        day = operation.day if isinstance(operation, RegimeSwitch) else operation.end
        rng = generator(self._seed, type(operation).__name__, float(day))
        noise = rng.standard_normal((self._count, self._joint.noises(operation, belief.memory)))
        return replace(
            belief,
            z=self._joint.move(belief.z, operation, belief.memory, noise),
            chances=np.concatenate([belief.chances, noise], axis=1),
            memory=self._joint.remembered(operation, belief.memory),
        ), None

    def run(
        self,
        chances: Values,
        operations: tuple[Operation, ...],
        power: float = 1.0,
        seen: list[Values] | None = None,
    ) -> PathEnd:
        """Run paths from day 0 on.

        Args:
            chances: standard normal numbers of each path, shape (N, d).
            operations: operations in order.
            power: power of the likelihood of the last operation, where it is a measurement.
            seen: list that takes the whitened differences of each measurement from its prediction, shape (N, m) each;
                None where they are not wanted.
        """
        at = self._joint.parameters
        memory: Memory = ()
        z, total = self._joint.begin(chances[:, :at]), np.zeros(len(chances))
        for number, operation in enumerate(operations, 1):
            if isinstance(operation, Look):
                total += self._log_density(z, operation) * (power if number == len(operations) else 1.0)
                if seen is not None:
                    seen.append(self._whitened(z, operation))
                continue
            width = self._joint.noises(operation, memory)
            z = self._joint.move(z, operation, memory, chances[:, at : at + width])
            memory, at = self._joint.remembered(operation, memory), at + width
        return PathEnd(z, total, memory)

    def _log_density(self, z: Values, look: Look) -> Values:
        found = log_normal(look.event.value - self._joint.look(look.event.stream, z), look.event.error)
        return np.where(np.isfinite(found), found, -np.inf)

    def _whitened(self, z: Values, look: Look) -> Values:
        lower = np.linalg.cholesky(look.event.error)
        away = self._joint.look(look.event.stream, z) - look.event.value
        return np.asarray(solve_triangular(lower, away.T, lower=True).T)

    def _looked(
        self, belief: ParticleBelief, look: Look, past: tuple[Operation, ...]
    ) -> tuple[ParticleBelief, EventInnovation]:
        event = look.event
        rng = generator(self._seed, "moves", event.stream, float(event.acquired))
        predicted, spread = weighted_moments(self._joint.look(event.stream, belief.z), belief.log_weights)
        density, power = 0.0, 0.0
        while power < 1.0:
            added = self._log_density(belief.z, look)
            step = min(1.0 - power, largest_power(belief.log_weights, added, self.least))
            density += float(logsumexp(belief.log_weights + step * added))
            power = min(1.0, power + step)
            weights = belief.log_weights + step * added
            belief = replace(
                belief,
                log_weights=weights - logsumexp(weights),
                log_likelihood=belief.log_likelihood + step * added,
            )
            if power < 1.0 or effective(belief.log_weights) < self.least:
                belief = self._renewed(belief, (*past, look), power, rng)
        return belief, innovation(event, predicted, spread + event.error, density)

    def _renewed(
        self, belief: ParticleBelief, operations: tuple[Operation, ...], power: float, rng: np.random.Generator
    ) -> ParticleBelief:
        """Return resampled and moved particles; their distribution, reached so far, stays as it is."""
        chosen = systematic(belief.log_weights, rng)
        chances, end = belief.chances[chosen], PathEnd(belief.z[chosen], belief.log_likelihood[chosen], belief.memory)
        mean, lower = _fitted(belief.chances, belief.log_weights)
        b, renewed = 0.5, 0.0
        score = end.log_likelihood + _over_gaussian(chances, mean, lower)
        for _ in range(MOST_MOVES):
            away = np.sqrt(1.0 - b**2) * (chances - mean) + b * rng.standard_normal(chances.shape) @ lower.T
            proposed = mean + away
            other = self.run(proposed, operations, power)
            ahead = other.log_likelihood + _over_gaussian(proposed, mean, lower)
            taken = np.log(rng.random(self._count)) < ahead - score
            chances = np.where(taken[:, None], proposed, chances)
            end = PathEnd(
                np.where(taken[:, None], other.z, end.z),
                np.where(taken, other.log_likelihood, end.log_likelihood),
                end.memory,
            )
            score = np.where(taken, ahead, score)
            share = float(taken.mean())
            renewed += b**2 * share
            b = float(np.clip(b * np.exp(share - ACCEPTED), 0.05, 1.0))
            if renewed >= RENEWED:
                break
        even = np.full(self._count, -np.log(self._count))
        return ParticleBelief(end.z, chances, even, end.log_likelihood, end.memory)


def largest_power(log_weights: Values, added: Values, share: float) -> float:
    """Return the largest power up to one of a likelihood that leaves a share of the particles effective.

    Args:
        log_weights: logarithms of the weights before, shape (N,).
        added: logarithm of the likelihood, shape (N,).
        share: effective share to leave.

    Raises:
        RuntimeError: no particle has a finite likelihood.
    """
    if not np.isfinite(added).any():
        raise RuntimeError("no particle gives the measurement a finite density")
    if effective(log_weights + added) >= share:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(log_weights + middle * added) >= share else (low, middle)
    return max(low, LEAST_POWER)


def _fitted(chances: Values, log_weights: Values) -> tuple[Values, Values]:
    """Return mean and Cholesky factor of the particles' covariance, correlations shrunk as far as N is small."""
    count, size = chances.shape
    mean, covariance = weighted_moments(chances, log_weights)
    kept = count / (count + 2.0 * size)
    shrunk = kept * covariance + (1.0 - kept) * np.diag(np.diag(covariance))
    return mean, np.linalg.cholesky(shrunk + 1e-12 * np.eye(size))


def _over_gaussian(chances: Values, mean: Values, lower: Values) -> Values:
    """Return log N(xi; 0, 1) - log N(xi; m, C) but for a constant, shape (N,)."""
    white = solve_triangular(lower, (chances - mean).T, lower=True)
    return np.asarray(0.5 * np.sum(white**2, axis=0) - 0.5 * np.sum(chances**2, axis=1))
