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

PATIENCE = 4
"""Steps after which the prior is refitted although they are still long: a prior that is too wide keeps them long where
data say little."""

SMALL = 0.02
"""Root mean square change of m that is taken without asking whether the objective fell: near the maximum it changes by
less than what the compressed Hessian leaves out."""

LONGEST_CHANGE = 0.5
"""Largest root mean square change of m in one step: G* by a factor of 1.6."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One Gauss-Newton step.

    Attributes:
        objective: negative log posterior after the step, noise factor included, up to a constant.
        misfit: twice the negative log-likelihood at the stated noise, all zones, after the step.
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
    prior = MaternField(problem.mask, problem.voxel_size_mm, scale, np.ones(problem.voxels))
    nowhere = np.zeros(FIELDS * problem.voxels)
    point = _evaluate(problem, nowhere, nowhere)
    history: list[Iteration] = []
    refits, waited = REFITS if fit_hyperparameters else 0, 0
    comparable = True  # whether w belongs to x under the present prior, so that objectives can be compared
    while True:
        if refits and history and (history[-1].change < NEAR or waited == PATIENCE):
            prior = _refit(problem, point, prior, first=refits == REFITS)
            refits, waited, comparable = refits - 1, 0, False
        posterior = _posterior(problem, point, prior)
        converged = bool(history) and comparable and history[-1].step == 1.0 and history[-1].change < tolerance
        if (converged and not refits) or len(history) == limit:
            break
        target = posterior.improve(_information(problem, point))
        step, found = _search(problem, point, target, comparable=comparable)
        history.append(Iteration(found.objective(found), found.misfit, step, step * _rms(target[0] - point.x)))
        point, waited = found, waited + 1
        comparable = comparable or step == 1.0
        report(len(history), history[-1])
    m = (point.x.reshape(FIELDS, -1) + problem.centre[:, None]).ravel()
    return Fit(m, posterior, prior, converged, tuple(history), point.states, point.inflation, point.ratio)


@dataclass(frozen=True, slots=True)
class _Point:
    """One set of moduli and what all zones say of it, at the stated noise.

    Attributes:
        x: deviation of m from the prior's centre, shape (2 N,).
        w: weights with x = C w, so that the prior energy is x w.
        states: this rank's zones.
        misfit: of all zones on all ranks.
        expected_misfit: what noise alone would leave there.
    """

    x: NDArray[np.float64]
    w: NDArray[np.float64]
    states: tuple[ZoneState, ...]
    misfit: float
    expected_misfit: float

    @property
    def ratio(self) -> float:
        """Misfit over what noise alone would leave."""
        return self.misfit / self.expected_misfit

    @property
    def inflation(self) -> float:
        """The most probable factor on the noise variance; never below the stated noise."""
        return max(1.0, self.ratio)

    def objective(self, reference: _Point) -> float:
        """Negative log posterior with the noise factor at its most probable value, up to a constant.

        Args:
            reference: whose expected misfit counts the data, the same for all points that are compared.
        """
        count = reference.expected_misfit
        inflation = max(1.0, self.misfit / count)
        return 0.5 * (self.misfit / inflation + count * float(np.log(inflation)) + float(self.x @ self.w))

    def tempered(self) -> list[ZoneState]:
        """The zones at the inflated noise."""
        return [state.tempered(self.inflation) for state in self.states]


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _evaluate(problem: Problem, x: NDArray[np.float64], w: NDArray[np.float64]) -> _Point:
    solvers = track(problem.solvers, "zones of this rank", len(problem.solvers))
    states = tuple(solver.evaluate(problem.local(solver, x)) for solver in solvers)
    own = np.array([[state.misfit, state.expected_misfit] for state in states]).reshape(-1, 2).sum(axis=0)
    misfit, expected = problem.comm.allreduce(own)
    return _Point(x, w, states, float(misfit), float(expected))


def _posterior(problem: Problem, point: _Point, prior: MaternField) -> JointPosterior:
    zones = [
        ZoneCurvature(solver.voxels, solver.data.zone.ijk, state.half_hessian)
        for solver, state in zip(problem.solvers, point.tempered(), strict=True)
    ]
    return JointPosterior(prior, zones, problem.comm)


def _zone_information(solver: ZoneSolver, state: ZoneState, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector b = H x - gradient of one zone."""
    own = x.reshape(FIELDS, -1)[:, solver.voxels].ravel()
    return np.asarray(state.half_hessian @ (state.half_hessian.T @ own) - state.gradient)


def _information(problem: Problem, point: _Point) -> NDArray[np.float64]:
    total = np.zeros((FIELDS, problem.voxels))
    for solver, state in zip(problem.solvers, point.tempered(), strict=True):
        total[:, solver.voxels] += _zone_information(solver, state, point.x).reshape(FIELDS, -1)
    problem.comm.Allreduce(MPI.IN_PLACE, total)
    return total.ravel()


def _refit(problem: Problem, point: _Point, prior: MaternField, *, first: bool) -> MaternField:
    """The prior from the data: first its hyper-parameters, from zones spread over the organ, then its local spread."""
    chosen = set(np.linspace(0, problem.zone_count - 1, min(EVIDENCE_ZONES, problem.zone_count)).round().astype(int))
    zones = [
        ZoneEvidence(
            solver.data.zone.ijk,
            prior.relative_spread[solver.voxels],
            state.half_hessian,
            _zone_information(solver, state, point.x),
        )
        for solver, state in zip(problem.solvers, point.tempered(), strict=True)
        if solver.number in chosen
    ]
    scale = fit_prior(zones, problem.voxel_size_mm, prior.scale, problem.comm, every_length=first)
    fitted = replace(prior, scale=scale)
    information = _information(problem, point)
    for sweep in range(SWEEPS):
        posterior = _posterior(problem, point, fitted)
        _, weights = posterior.improve(information)
        energy = posterior.field_part(weights) * weights
        gains = posterior.gains(PROBES, sweep)
        relative = update_relative_spread(fitted.relative_spread, energy, gains, problem.mask, problem.voxel_size_mm)
        fitted = replace(fitted, relative_spread=relative)
    return fitted


def _search(
    problem: Problem, start: _Point, target: tuple[NDArray[np.float64], NDArray[np.float64]], *, comparable: bool
) -> tuple[float, _Point]:
    """The longest of 1, 1/2, ... that lowers the objective; the full step where the prior just changed.

    `target` is the pair (x, w) that Gauss-Newton asks for.
    """
    move = (target[0] - start.x, target[1] - start.w)
    size = _rms(move[0])
    step = min(1.0, LONGEST_CHANGE / max(size, 1e-12))
    smallest = SMALLEST_STEP * step
    trusted = not comparable or step * size < SMALL
    before = start.objective(start)
    while True:
        trial = _evaluate(problem, start.x + step * move[0], start.w + step * move[1])
        if trusted or step <= smallest or trial.objective(start) <= before + 1e-9 * abs(before):
            return step, trial
        step *= 0.5
