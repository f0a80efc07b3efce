"""The maximum of the joint posterior over all zones, by Gauss-Newton steps with a line search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.progress import track
from palpate.solvers.inversion.evidence import ZoneEvidence, fit_prior
from palpate.solvers.inversion.joint import JointPosterior, ZoneCurvature
from palpate.solvers.inversion.local_spread import update_relative_spread
from palpate.solvers.inversion.prior import FIELDS, MaternField, PriorScale
from palpate.solvers.inversion.zone_solver import ZoneSolver, ZoneState

EVIDENCE_ZONES = 6
"""How many zones, spread over the organ, set the prior's hyper-parameters."""

SMALLEST_STEP = 1.0 / 16.0

REFITS = 3
"""How often the prior is refitted; a fourth changes it by less than its own uncertainty."""

SWEEPS = 2
"""Fixed-point updates of the local spread at a refit."""

PROBES = 12
"""Random signs behind the gains of a refit."""

NEAR = 0.1
"""Root mean square change of m below which the linearisation is good enough to fit hyper-parameters to."""

SMALL = 0.02
"""Root mean square change of m that is taken without asking whether the objective fell: near the maximum it changes by
less than what the compressed Hessian leaves out."""

LONGEST_CHANGE = 0.5
"""Largest root mean square change of m in one step: G* by a factor of 1.6."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One Gauss-Newton step.

    Attributes:
        objective: misfit / 2 + prior / 2 after the step.
        misfit: twice the negative log-likelihood, all zones, after the step.
        step: length of the step taken, 1 = full.
        change: root mean square change of m in the step.
    """

    objective: float
    misfit: float
    step: float
    change: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The end of the iterations: value, status and statistics.

    Attributes:
        parameters: m at the maximum, shape (2 N,).
        posterior: the Gaussian posterior of m around it.
        prior: the prior that was used.
        converged: whether the last step was small.
        iterations: history.
        zones: this rank's zone states at the last linearisation, at the stated noise.
        inflation: factor on the noise variance, above 1 where the model cannot explain the waves at the stated noise.
        misfit_ratio: misfit over the misfit of noise alone, at the stated noise.
    """

    parameters: NDArray[np.float64]
    posterior: JointPosterior
    prior: MaternField
    converged: bool
    iterations: tuple[Iteration, ...]
    zones: tuple[ZoneState, ...] = field(repr=False)
    inflation: float
    misfit_ratio: float


@dataclass(frozen=True, slots=True)
class Problem:
    """What is inverted.

    Attributes:
        solvers: this rank's zones.
        zone_count: zones on all ranks.
        mask: shape (i, j, k); N voxels.
        voxel_size_mm: shape (3,).
        centre: prior means of ln G'/g and ln G''/g.
        comm: the ranks.
    """

    solvers: Sequence[ZoneSolver]
    zone_count: int
    mask: NDArray[np.bool_]
    voxel_size_mm: NDArray[np.float64]
    centre: NDArray[np.float64]
    comm: MPI.Comm

    @property
    def voxels(self) -> int:
        """N."""
        return int(np.count_nonzero(self.mask))

    def local(self, solver: ZoneSolver, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The parameters m on a zone's voxels from the deviation x on all, shape (2 n,)."""
        fields = x.reshape(FIELDS, -1)[:, solver.voxels] + self.centre[:, None]
        return np.asarray(fields.ravel())


def maximise(
    problem: Problem,
    scale: PriorScale,
    *,
    fit_hyperparameters: bool,
    limit: int,
    tolerance: float,
    report: Callable[[int, Iteration], None],
) -> Fit:
    """Find the maximum of the posterior.

    Args:
        problem: zones, data and ranks.
        scale: hyper-parameters to start with.
        fit_hyperparameters: whether they are refitted by the evidence once the steps are small.
        limit: most steps.
        tolerance: root mean square change of m below which a full step counts as converged.
        report: called after every step.
    """
    x = w = np.zeros(FIELDS * problem.voxels)
    history: list[Iteration] = []
    refits = REFITS
    comparable = True  # whether w belongs to x under the present prior, so that objectives can be compared
    inflation = 1.0
    prior = MaternField(problem.mask, problem.voxel_size_mm, scale, np.ones(problem.voxels))
    states, misfit = _evaluate(problem, x, inflation)
    while True:
        if refits and history and history[-1].change < NEAR:
            states, misfit, inflation = _reweigh(problem, states, misfit, inflation)
            prior = _refit(problem, states, x, prior, first=refits == REFITS) if fit_hyperparameters else prior
            refits, comparable = refits - 1 if fit_hyperparameters else 0, False
        posterior = _posterior(problem, states, prior)
        converged = bool(history) and comparable and history[-1].step == 1.0 and history[-1].change < tolerance
        if converged or len(history) == limit:
            break
        target, weights = posterior.improve(_information(problem, states, x))
        before = 0.5 * misfit + 0.5 * float(x @ w) if comparable else None
        step, states, misfit = _search(problem, (x, w), (target, weights), before, inflation)
        change = step * _rms(target - x)
        x, w = x + step * (target - x), w + step * (weights - w)
        comparable = comparable or step == 1.0
        history.append(Iteration(0.5 * misfit + 0.5 * float(x @ w), misfit, step, change))
        report(len(history), history[-1])
    m = (x.reshape(FIELDS, -1) + problem.centre[:, None]).ravel()
    raw = tuple(state.tempered(1.0 / inflation) for state in states)
    return Fit(m, posterior, prior, converged, tuple(history), raw, inflation, _misfit_ratio(problem, raw))


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _evaluate(problem: Problem, x: NDArray[np.float64], inflation: float) -> tuple[list[ZoneState], float]:
    solvers = track(problem.solvers, "zones of this rank", len(problem.solvers))
    states = [solver.evaluate(problem.local(solver, x)).tempered(inflation) for solver in solvers]
    return states, float(problem.comm.allreduce(sum(state.misfit for state in states)))


def _misfit_ratio(problem: Problem, states: Sequence[ZoneState]) -> float:
    misfit = problem.comm.allreduce(sum(state.misfit for state in states))
    return float(misfit / problem.comm.allreduce(sum(state.expected_misfit for state in states)))


def _reweigh(
    problem: Problem, states: Sequence[ZoneState], misfit: float, inflation: float
) -> tuple[list[ZoneState], float, float]:
    """Inflate the noise variance until the misfit is what noise would leave; never below the stated noise."""
    stated = [state.tempered(1.0 / inflation) for state in states]
    renewed = max(1.0, _misfit_ratio(problem, stated))
    return [state.tempered(renewed) for state in stated], misfit * inflation / renewed, renewed


def _posterior(problem: Problem, states: Sequence[ZoneState], prior: MaternField) -> JointPosterior:
    zones = [
        ZoneCurvature(solver.voxels, solver.data.zone.ijk, state.half_hessian)
        for solver, state in zip(problem.solvers, states, strict=True)
    ]
    return JointPosterior(prior, zones, problem.comm)


def _zone_information(solver: ZoneSolver, state: ZoneState, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector b = H x - gradient of one zone."""
    own = x.reshape(FIELDS, -1)[:, solver.voxels].ravel()
    return np.asarray(state.half_hessian @ (state.half_hessian.T @ own) - state.gradient)


def _information(problem: Problem, states: Sequence[ZoneState], x: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros((FIELDS, problem.voxels))
    for solver, state in zip(problem.solvers, states, strict=True):
        total[:, solver.voxels] += _zone_information(solver, state, x).reshape(FIELDS, -1)
    problem.comm.Allreduce(MPI.IN_PLACE, total)
    return total.ravel()


def _refit(
    problem: Problem, states: Sequence[ZoneState], x: NDArray[np.float64], prior: MaternField, *, first: bool
) -> MaternField:
    """The prior from the data: first its hyper-parameters, from zones spread over the organ, then its local spread."""
    chosen = set(np.linspace(0, problem.zone_count - 1, min(EVIDENCE_ZONES, problem.zone_count)).round().astype(int))
    zones = [
        ZoneEvidence(
            solver.data.zone.ijk,
            prior.relative_spread[solver.voxels],
            state.half_hessian,
            _zone_information(solver, state, x),
        )
        for solver, state in zip(problem.solvers, states, strict=True)
        if solver.number in chosen
    ]
    scale = fit_prior(zones, problem.voxel_size_mm, prior.scale, problem.comm, every_length=first)
    fitted = replace(prior, scale=scale)
    information = _information(problem, states, x)
    for sweep in range(SWEEPS):
        posterior = _posterior(problem, states, fitted)
        _, weights = posterior.improve(information)
        energy = posterior.field_part(weights) * weights
        gains = posterior.gains(PROBES, sweep)
        relative = update_relative_spread(fitted.relative_spread, energy, gains, problem.mask, problem.voxel_size_mm)
        fitted = replace(fitted, relative_spread=relative)
    return fitted


def _search(
    problem: Problem,
    start: tuple[NDArray[np.float64], NDArray[np.float64]],
    target: tuple[NDArray[np.float64], NDArray[np.float64]],
    before: float | None,
    inflation: float,
) -> tuple[float, list[ZoneState], float]:
    """The longest of 1, 1/2, ... that lowers the objective; without `before` (the prior just changed) the full step.

    `start` and `target` are pairs (x, w) with x = C w, so that the prior's part of the objective is x w / 2.
    """
    move = target[0] - start[0]
    step = min(1.0, LONGEST_CHANGE / max(_rms(move), 1e-12))
    smallest = SMALLEST_STEP * step
    trusted = before is None or step * _rms(move) < SMALL
    while True:
        trial = start[0] + step * move
        states, misfit = _evaluate(problem, trial, inflation)
        prior = float(trial @ (start[1] + step * (target[1] - start[1])))
        if trusted or step <= smallest or before is None or 0.5 * (misfit + prior) <= before * (1.0 + 1e-9):
            return step, states, misfit
        step *= 0.5
