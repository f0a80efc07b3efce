"""Laplace approximation of the posterior: Gauss-Newton to the most probable xi, and the Gaussian around it.

    minimise  phi(xi) = r^T R^-1 r / 2 + xi^T xi / 2,     r = y - F(xi),     H = 1 + J^T R^-1 J.

R depends on how steep fronts are. Their slope is first taken from the images. It is renewed twice from the model, near
the minimum of the previous phi, and then kept: if R were renewed without end, R and xi might not converge. The stress
is renewed at the same times (twin.stress), and so is q, the size of the front model error, which maximises the evidence
of the linearised problem times its prior,

    -2 ln p(y | q) = r_0^T (R + J J^T)^-1 r_0 + ln det(R + J J^T),     r_0 = y - F + J xi.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from palpate.solvers.growth.mechanics.coupling import Mechanics
from palpate.twin.dynamics import Dynamics
from palpate.twin.observation.errors import FrontErrors, SharedErrors
from palpate.twin.observation.likelihood import Observations
from palpate.twin.priors import SLOWING
from palpate.twin.stress import Stress, followed, pattern

type Values = NDArray[np.float64]

LOOSE: Final = 0.5
"""Tolerance of the minima near which q is renewed, in posterior standard deviations."""
RENEWALS: Final = 2
"""Number of renewals of the errors R and of q near the minimum."""
GRID: Final = tuple(float(x) for x in np.exp(np.linspace(-1.5, 1.5, 7)))
"""Multiples of the configured q that are tried."""
LONGEST: Final = 4.0
"""Longest step in any unknown, in prior standard deviations: a first, linearised step may ask for growth by e^6."""
_HALVINGS: Final = 8


@dataclass(frozen=True, slots=True)
class CalibrationProblem:
    """Inverse problem: the model of a tumour, its scans, and the errors of both.

    Attributes:
        dynamics: model of the tumour, a function of xi.
        observations: observations of all scans.
        front_error_mm: size q of the front model error, mm after 100 days.
        stress: stress that slows invasion; None if the twin has no mechanics.
        elastic_system: elastic system with which the stress is renewed; None keeps the stress as it is.
    """

    dynamics: Dynamics
    observations: Observations
    front_error_mm: float
    stress: Stress | None = None
    elastic_system: Mechanics | None = None

    def states(self, xi: Values) -> tuple[Values, ...]:
        """Return the densities at the scans on all tissue voxels, on every rank, shape (n,) each. Collective."""
        return tuple(self.dynamics.place.space.halo.gathered(one) for one in self.dynamics.states(xi))

    def tangents(self, xi: Values) -> tuple[tuple[Values, ...], Values]:
        """Return the densities at the scans, shape (n,) each, and the Jacobian J of F, shape (m, p). Collective."""
        states, by = self.dynamics.tangents(xi)
        halo = self.dynamics.place.space.halo
        whole = tuple(halo.gathered(one) for one in states)
        changes = tuple(halo.gathered(one) for one in by)
        return whole, self.observations.derivative(whole, changes, xi, self.dynamics.unknowns)

    def stressed(self, xi: Values) -> CalibrationProblem:
        """Return this problem with the stress computed along the growth at xi, whose invasion it slows. Collective."""
        if self.elastic_system is None or self.stress is None:
            return self
        own, modes = self.dynamics, self.stress.log_moduli[1:]
        slowing = own.unknowns.natural(xi, SLOWING)
        state, _ = own.start(xi)
        patterns = np.zeros_like(self.stress.patterns)
        for interval, model in enumerate(own.models):
            free = own.unstressed(xi, interval)
            mean, state = followed(self.elastic_system, slowing, model, free, state, own.fronts)
            patterns[interval] = pattern(self.elastic_system, mean, modes)
        return self.under(replace(self.stress, patterns=patterns))

    def under(self, stress: Stress | None) -> CalibrationProblem:
        """Return this problem under a known stress."""
        own = self.dynamics if stress is None else self.dynamics.with_stress(stress.patterns)
        return replace(self, dynamics=own, stress=stress)

    def residual(self, states: tuple[Values, ...], xi: Values) -> Values:
        """Return r = y - F(xi), shape (m,)."""
        return self.observations.values - self.observations.predicted(states, xi, self.dynamics.unknowns)

    def errors(self) -> SharedErrors:
        """Return the covariance R of the errors."""
        return self.observations.errors(self.front_error_mm)

    def front_errors(self) -> FrontErrors:
        """Return R for every q of the grid; for the configured q alone if there is one scan or no front model error."""
        settings = self.observations.settings
        alone = len(self.observations.days) < 2 or settings.front_error_mm == 0.0
        factors = np.array((1.0,) if alone else GRID)
        q = factors * settings.front_error_mm
        log_prior = -0.5 * (np.log(factors) / settings.front_error_log_std) ** 2
        return FrontErrors(q, log_prior, tuple(self.observations.errors(float(one)) for one in q))

    def agreed[T](self, own: T) -> T:
        """Return rank 0's value on every rank. Collective.

        Every rank computes the same, but not to the last bit where machines or libraries differ. If one rank took
        another branch for that reason, the others would wait for it for ever.
        """
        agreed: T = self.dynamics.place.space.halo.comm.bcast(own)
        return agreed


@dataclass(frozen=True, slots=True)
class Statistics:
    """Convergence, work and misfit of a calibration.

    Attributes:
        converged: whether the last step was within the tolerance.
        iterations: Gauss-Newton steps.
        forecasts: number of runs of the model, where one tangent counts as three.
        objective: objective phi at the end.
        misfit: r^T R^-1 r over the number of data.
        data: number m of data.
    """

    converged: bool
    iterations: int
    forecasts: int
    objective: float
    misfit: float
    data: int


@dataclass(frozen=True, slots=True)
class Laplace:
    """Laplace approximation N(xi, H^-1) of the posterior, with the covariance of the errors at its mode.

    Attributes:
        mode: most probable xi, shape (p,).
        covariance: H^-1, shape (p, p).
        front_error_mm: size q of the front model error, mm after 100 days.
        stress: stress under which the mode was found; None if the twin has no mechanics.
        errors: R at the mode.
        front_errors: R for each q of the grid.
        statistics: convergence, work and misfit.
    """

    mode: Values
    covariance: Values
    front_error_mm: float
    stress: Stress | None
    errors: SharedErrors
    front_errors: FrontErrors
    statistics: Statistics

    def draws(self, count: int, rng: np.random.Generator) -> Values:
        """Draw xi from the Gaussian, shape (count, p)."""
        half = np.linalg.cholesky(self.covariance)
        return np.asarray(self.mode + rng.standard_normal((count, len(self.mode))) @ half.T)


def objective(residual: Values, xi: Values, errors: SharedErrors) -> float:
    """Return phi without its constant."""
    return 0.5 * (errors.misfit(residual) + float(xi @ xi))


def gradient_and_hessian(residual: Values, jacobian: Values, xi: Values, errors: SharedErrors) -> tuple[Values, Values]:
    """Return the gradient of phi and its Gauss-Newton Hessian H, shapes (p,) and (p, p)."""
    weighted = errors.solve(jacobian)
    hessian = np.eye(len(xi)) + jacobian.T @ weighted
    return xi - weighted.T @ residual, 0.5 * (hessian + hessian.T)


def laplace(problem: CalibrationProblem, renewals: int = RENEWALS) -> Laplace:
    """Find the mode and the Gaussian around it. Collective.

    Args:
        problem: inverse problem with the configured q, which is estimated if there are several scans.
        renewals: number of renewals of R, q and the stress; zero keeps them as they are.
    """
    settings = problem.observations.settings
    xi = np.zeros(problem.dynamics.unknowns.size)
    states, jacobian = problem.tangents(xi)
    at, work = _Point(xi, states, jacobian, problem.errors()), _Work(settings.max_iterations, 3 * len(xi))
    front_errors = problem.front_errors()
    for _ in range(renewals):
        at, _ = _minimised(problem, at, work, LOOSE)
        if problem.elastic_system is not None:
            problem = problem.stressed(at.xi)
            states, jacobian = problem.tangents(at.xi)
            at = replace(at, states=states, jacobian=jacobian)
            work.forecasts += 3 * len(xi)
        around = problem.observations.around(at.states, problem.dynamics.unknowns)
        problem = replace(problem, observations=around)
        front_errors = problem.front_errors()
        best = _best(problem, front_errors, at)
        problem = replace(problem, front_error_mm=float(front_errors.front_error_mm[best]))
        at = replace(at, errors=front_errors.errors[best])
    at, done = _minimised(problem, at, work, settings.tolerance)
    xi, jacobian, errors = at.xi, at.jacobian, at.errors
    residual = problem.residual(at.states, xi)
    _, hessian = gradient_and_hessian(residual, jacobian, xi, errors)
    covariance = problem.agreed(cho_solve(cho_factor(hessian), np.eye(len(xi))))
    misfit = errors.misfit(residual) / len(residual)
    taken = settings.max_iterations - work.left
    statistics = Statistics(done, taken, work.forecasts, objective(residual, xi, errors), misfit, len(residual))
    return Laplace(
        xi,
        0.5 * (covariance + covariance.T),
        problem.front_error_mm,
        problem.stress,
        errors,
        front_errors,
        statistics,
    )


@dataclass(frozen=True, slots=True)
class _Point:
    """Some xi, what the model makes of it, and R."""

    xi: Values
    states: tuple[Values, ...]
    jacobian: Values
    errors: SharedErrors


@dataclass(slots=True)
class _Work:
    """Gauss-Newton steps that are left, and forecasts so far."""

    left: int
    forecasts: int


def _minimised(problem: CalibrationProblem, at: _Point, work: _Work, tolerance: float) -> tuple[_Point, bool]:
    """Gauss-Newton (Levenberg-Marquardt where that fails) with R fixed, and whether it converged."""
    damping, size = 0.0, len(at.xi)
    while work.left > 0:
        work.left -= 1
        residual = problem.residual(at.states, at.xi)
        here = objective(residual, at.xi, at.errors)
        gradient, hessian = gradient_and_hessian(residual, at.jacobian, at.xi, at.errors)
        if problem.agreed(float(gradient @ cho_solve(cho_factor(hessian), gradient)) < tolerance**2 * size):
            return at, True
        for _ in range(_HALVINGS):
            move = -problem.agreed(cho_solve(cho_factor(hessian + damping * np.diag(np.diag(hessian))), gradient))
            move *= min(1.0, LONGEST / float(np.abs(move).max(initial=LONGEST)))
            ahead = problem.states(at.xi + move)
            work.forecasts += 1
            there = objective(problem.residual(ahead, at.xi + move), at.xi + move, at.errors)
            predicted = float(-gradient @ move - 0.5 * move @ hessian @ move)
            if problem.agreed(bool(np.isfinite(there) and here - there >= 0.1 * predicted)):
                damping = 0.0 if damping < 0.02 else damping / 5.0
                break
            damping = max(0.05, 5.0 * damping)
        else:
            return at, False
        states, jacobian = problem.tangents(at.xi + move)
        work.forecasts += 3 * size
        at = _Point(at.xi + move, states, jacobian, at.errors)
    return at, False


def _best(problem: CalibrationProblem, front_errors: FrontErrors, at: _Point) -> int:
    """Return which q of the grid has the largest evidence times prior."""
    start = problem.residual(at.states, at.xi) + at.jacobian @ at.xi
    losses = [evidence(start, at.jacobian, errors) for errors in front_errors.errors] - 2.0 * front_errors.log_prior
    return int(problem.agreed(int(np.argmin(losses))))


def evidence(start: Values, jacobian: Values, errors: SharedErrors) -> float:
    """Return -2 ln p(y | q) without its constant, for y - F = start - J xi."""
    weighted = errors.solve(jacobian)
    inner = np.eye(jacobian.shape[1]) + jacobian.T @ weighted
    half = np.linalg.cholesky(inner)
    explained = solve_triangular(half, weighted.T @ start, lower=True)
    fit = errors.misfit(start) - float(explained @ explained)
    return fit + errors.log_determinant + 2.0 * float(np.log(np.diag(half)).sum())
