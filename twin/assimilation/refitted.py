"""Sequential Monte Carlo whose particles are drawn anew from a fit of the whole path.

A linear update of a state, as Kalman filters and ensembles make it, fails where the state follows from few numbers in a
curved manner: moved densities of a front are no density of a moved front. All randomness xi of a path has the exact
posterior p(xi | y) of palpate.twin.assimilation.sequential. Where a measurement leaves too few particles, its mode m
and curvature H are found by Gauss and Newton's method,

    H = 1 + J^T J,     J the derivative of the whitened predictions of all measurements so far,

new particles are drawn from Student's distribution around m with scale H^-1, and each is weighed by p(xi | y) over the
density that it was drawn from. Weights correct what the fit has wrong. Where they are uneven, the distribution takes
the weighted particles' moments, more are drawn, and all together are weighed by the mean density of all distributions
(Cornuet et al. 2012). Where that does not help either, particles are moved as in sequential Monte Carlo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import logsumexp

from palpate.twin.assimilation.belief import ParticleBelief, weighted_moments
from palpate.twin.assimilation.course import Look, Operation
from palpate.twin.assimilation.innovation import EventInnovation, innovation
from palpate.twin.assimilation.random_numbers import generator
from palpate.twin.assimilation.sequential import PathEnd, SequentialMonteCarlo, largest_power
from palpate.twin.weighted_draws import effective, systematic

type Values = NDArray[np.float64]

KEPT: Final = 0.2
"""Effective share of the particles down to which they are weighed and kept."""
GOOD: Final = 0.5
"""Effective number of new particles, over N, from which on their distribution is not adapted further."""
ENOUGH_NEW: Final = 0.1
"""Effective number of new particles, over N, below which they are left to the moves; the next refit does not rest on
them."""
ROUNDS: Final = 10
"""Largest number of distributions that particles are drawn from."""
FREEDOM: Final = 10.0
"""Degrees of freedom of these distributions."""
STEPS: Final = 8
"""Largest number of Gauss-Newton steps."""
STEP: Final = 1e-3
"""Step of the finite differences, prior standard deviations."""
ENOUGH: Final = 0.1
"""Decrease of -ln p(xi | y) below which the steps end."""
LONGEST: Final = 2.0
"""Longest step in any number, prior standard deviations."""
DAMPING: Final = (0.0, 0.03, 0.3, 3.0, 30.0)
"""Multiples of the curvature's diagonal, of which the best is taken at each step (Levenberg, Marquardt)."""


@dataclass(frozen=True, slots=True, eq=False)
class PathFit:
    """Distribution that particles are drawn from: Student's, whose tails hold what a normal one would miss.

    Attributes:
        mean: mean m, shape (d,).
        lower: Cholesky factor of the scale matrix, shape (d, d).
    """

    mean: Values
    lower: Values

    def drawn(self, count: int, rng: np.random.Generator) -> Values:
        """Return draws, shape (count, d).

        Args:
            count: number of draws.
            rng: generator of random numbers.
        """
        wide = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, (count, 1)))
        return np.asarray(self.mean + wide * rng.standard_normal((count, len(self.mean))) @ self.lower.T)

    def log_density(self, chances: Values) -> Values:
        """Return the logarithm of the density but for a constant that all fits share, shape (N,).

        Args:
            chances: standard normal numbers of each path, shape (N, d).
        """
        white = solve_triangular(self.lower, (chances - self.mean).T, lower=True)
        power = 0.5 * (FREEDOM + len(self.mean))
        return np.asarray(-power * np.log1p(np.sum(white**2, axis=0) / FREEDOM) - np.log(np.diag(self.lower)).sum())


@dataclass(frozen=True, slots=True, eq=False)
class ParticlePool:
    """Particles that were drawn from several distributions in turn.

    Attributes:
        chances: standard normal numbers of each path, shape (N, d).
        end: ends of the paths.
    """

    chances: Values
    end: PathEnd

    def joined(self, other: ParticlePool) -> ParticlePool:
        """Return both pools as one."""
        end, more = self.end, other.end
        return ParticlePool(
            np.concatenate([self.chances, other.chances]),
            PathEnd(
                np.concatenate([end.z, more.z]),
                np.concatenate([end.log_likelihood, more.log_likelihood]),
                more.memory,
            ),
        )

    def chosen(self, at: NDArray[np.int64]) -> ParticleBelief:
        """Return some of the particles as equally probable ones."""
        even = np.full(len(at), -np.log(len(at)))
        return ParticleBelief(self.end.z[at], self.chances[at], even, self.end.log_likelihood[at], self.end.memory)

    def log_weights(self, fits: list[PathFit]) -> Values:
        """Return logarithms of the weights, by the density of all distributions together (Cornuet 2012), shape (N,).

        Args:
            fits: distributions, from each of which as many particles were drawn.
        """
        drawn = logsumexp([fit.log_density(self.chances) for fit in fits], axis=0)
        found = self.end.log_likelihood - 0.5 * np.sum(self.chances**2, axis=1) - drawn
        return np.asarray(np.where(np.isfinite(found), found, -np.inf))


class RefittedMonteCarlo[U](SequentialMonteCarlo[U]):
    """Particles that are weighed, and drawn anew from a fit where few count."""

    def _looked(
        self, belief: ParticleBelief, look: Look, past: tuple[Operation, ...]
    ) -> tuple[ParticleBelief, EventInnovation]:
        event = look.event
        added = self._log_density(belief.z, look)
        weights = belief.log_weights + added
        if np.isfinite(added).any() and effective(weights) >= KEPT:
            return super()._looked(belief, look, past)
        found = self._refitted(belief, look, past, added)
        if found is None:
            return super()._looked(belief, look, past)
        predicted, spread = weighted_moments(self._joint.look(event.stream, belief.z), belief.log_weights)
        density = bridged(belief.log_weights, added, found.log_weights, self._log_density(found.z, look))
        return found, innovation(event, predicted, spread + event.error, density)

    @property
    def least(self) -> float:
        """See SequentialMonteCarlo."""
        return KEPT

    def _refitted(
        self, belief: ParticleBelief, look: Look, past: tuple[Operation, ...], added: Values
    ) -> ParticleBelief | None:
        """Return new particles, equally probable ones; None where too few of those that were drawn count."""
        operations = (*past, look)
        rng = generator(self._seed, "fit", look.event.stream, float(look.event.acquired))
        fits = [self._mode(self._near(belief, added), operations)]
        pool: ParticlePool | None = None
        while True:
            chances = fits[-1].drawn(self._count, rng)
            drawn = ParticlePool(chances, self.run(chances, operations))
            pool = drawn if pool is None else pool.joined(drawn)
            weights = pool.log_weights(fits)
            number = len(weights) * effective(weights)
            if number >= GOOD * self._count or len(fits) == ROUNDS:
                break
            fits.append(adapted(fits[0], pool.chances, weights))
        if number < ENOUGH_NEW * self._count:
            return None
        return pool.chosen(systematic(weights, rng, self._count))

    def _near(self, belief: ParticleBelief, added: Values) -> Values:
        """Return the most probable particle, to begin the fit at, shape (d,).

        A mean of particles may lie where a volume is below what is visible and has no derivative.
        """
        score = belief.log_likelihood + np.where(np.isfinite(added), added, -np.inf)
        score = score - 0.5 * np.sum(belief.chances**2, axis=1)
        return np.asarray(belief.chances[int(np.argmax(score))])

    def _mode(self, start: Values, operations: tuple[Operation, ...]) -> PathFit:
        """Return the distribution at the mode of p(xi | y), by Gauss and Newton's method."""
        xi, size = start, len(start)
        factor = None
        for _ in range(STEPS):
            many = self._residuals(np.concatenate([xi[None], xi + STEP * np.eye(size)]), operations)
            jacobian = (many[1:] - many[0]).T / STEP
            gradient, hessian = xi + jacobian.T @ many[0], np.eye(size) + jacobian.T @ jacobian
            factor = cho_factor(hessian)
            if 0.5 * gradient @ cho_solve(factor, gradient) < ENOUGH:
                break
            tried = np.stack([xi + _damped(hessian, gradient, one) for one in DAMPING])
            phi = 0.5 * (np.sum(self._residuals(tried, operations) ** 2, axis=1) + np.sum(tried**2, axis=1))
            now = 0.5 * float(many[0] @ many[0] + xi @ xi)
            if not phi.min() < now:
                break
            xi = tried[int(np.argmin(phi))]
            if now - phi.min() < ENOUGH:
                break
        assert factor is not None
        return PathFit(xi, np.linalg.cholesky(cho_solve(factor, np.eye(size))))

    def _residuals(self, chances: Values, operations: tuple[Operation, ...]) -> Values:
        """Return whitened differences of all measurements from their predictions, shape (N, m)."""
        found: list[Values] = []
        self.run(chances, operations, seen=found)
        return np.concatenate(found, axis=1)


def adapted(fit: PathFit, chances: Values, log_weights: Values) -> PathFit:
    """Return the distribution with the weighted particles' moments, shrunk to the fit as far as few count.

    Args:
        fit: distribution that the particles were drawn from.
        chances: standard normal numbers of each path, shape (N, d).
        log_weights: logarithms of the weights, up to a constant, shape (N,).
    """
    count, size = chances.shape
    even = np.full(count, -np.log(count))
    power = largest_power(even, log_weights, 0.3)
    weights = power * log_weights - logsumexp(power * log_weights)
    mean, covariance = weighted_moments(chances, weights)
    number = count * effective(weights)
    kept = number / (number + 2.0 * size)
    return PathFit(mean, np.linalg.cholesky(kept * covariance + (1.0 - kept) * fit.lower @ fit.lower.T))


def bridged(before: Values, added: Values, after: Values, ahead: Values) -> float:
    """Return the logarithm of a measurement's predictive density from particles before and after it.

    It is the ratio of two distributions' constants, by the bridge of least variance (Meng and Wong 1996).

    Args:
        before: logarithms of the weights before, whose sum is one, shape (N,).
        added: log density of the measurement given each particle before, shape (N,).
        after: logarithms of the weights after, whose sum is one, shape (M,).
        ahead: log density of the measurement given each particle after, shape (M,).
    """
    ratio = float(np.sum(np.exp(after) * ahead))
    for _ in range(50):
        above = logsumexp(before + added - np.logaddexp(added, ratio))
        below = logsumexp(after - np.logaddexp(ahead, ratio))
        found = float(above - below)
        if abs(found - ratio) < 1e-6:
            break
        ratio = found
    return ratio


def _damped(hessian: Values, gradient: Values, damping: float) -> Values:
    wider = hessian + damping * np.diag(np.diag(hessian))
    step = -cho_solve(cho_factor(wider), gradient)
    return np.asarray(step * min(1.0, LONGEST / float(np.abs(step).max(initial=LONGEST))))
