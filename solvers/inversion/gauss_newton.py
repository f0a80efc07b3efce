"""The maximum of the joint posterior over all zones, by Gauss-Newton steps with a line search."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.imaging.labels import Regions
from palpate.progress import track
from palpate.solvers.inversion.acceleration import Pair
from palpate.solvers.inversion.checkpoint import Checkpoint
from palpate.solvers.inversion.course import REFIT_BELOW, Course, Iteration
from palpate.solvers.inversion.evidence import ZoneEvidence, fit_prior, join_frequencies
from palpate.solvers.inversion.factors import fit_factors
from palpate.solvers.inversion.joint import JointPosterior, ZoneCurvature
from palpate.solvers.inversion.prior import FIELDS, Hypotheses, MaternField
from palpate.solvers.inversion.surprise import NOTABLE, loosened
from palpate.solvers.inversion.zone_solver import Tally, ZoneSolver, ZoneState

EVIDENCE_ZONES = 6
"""How many zones, spread over the organ, set the prior's hyper-parameters."""

HALVINGS = 4
"""How often a step that does not lower the objective is halved before it is taken anyhow."""

LOOSENINGS = 2
"""How often the last prior is loosened where tissue deviates from what it expects."""

LAST_ROUNDS = 2
"""How often standard deviations and regions' factors are fitted in turn at the last refit: a third time changes them
by a twentieth."""

PROBES = 12
"""Draws behind the posterior's typical spread."""

PATIENCE = 4
"""Steps after which the prior is refitted although they are still long: a prior that is too wide keeps them long where
data say little."""

SMALL = 0.02
"""Root mean square change of m that is taken without asking whether the objective fell: near the maximum it changes by
less than what the compressed Hessian leaves out."""

WAITING = "waiting for other ranks' zones"

LONGEST_CHANGE = 0.5
"""Largest root mean square change of m in one step: G* by a factor of 1.6."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The end of the iterations: value, status and statistics.

    Attributes:
        parameters: m at the maximum, shape (2 N,).
        posterior: the Gaussian posterior of m around it.
        prior: the prior that was used.
        converged: whether what is left to go is small against the posterior's spread.
        course: the end of the iterations, with their history.
        zones: this rank's zone states at the last linearisation, at the stated noise.
        energy: of the prior at the maximum, x^T C^-1 x / 2.
    """

    parameters: NDArray[np.float64]
    posterior: JointPosterior
    prior: MaternField
    converged: bool
    course: Course
    zones: tuple[ZoneState, ...] = field(repr=False)
    energy: float


@dataclass(frozen=True, slots=True)
class Problem:
    """What is inverted.

    Attributes:
        solvers: this rank's zones, one solver for each frequency.
        mask: shape (i, j, k); N voxels.
        voxel_size_mm: shape (3,).
        regions: of the anatomy, R may be 0.
        centre: prior means of ln G'/g and ln G''/g.
        comm: the ranks.
        tally: where to count the work.
        checkpoint: where finished zones and steps are kept.
    """

    solvers: Sequence[ZoneSolver]
    mask: NDArray[np.bool_]
    voxel_size_mm: NDArray[np.float64]
    regions: Regions
    centre: NDArray[np.float64]
    comm: MPI.Comm
    tally: Tally
    checkpoint: Checkpoint

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
    start: Callable[[], Course],
    *,
    limit: int,
    tolerance: float,
    report: Callable[[int, Iteration], None],
) -> Fit:
    """Find the maximum of the posterior.

    Args:
        problem: zones, data and ranks.
        start: where to start, unless an earlier run is gone on with.
        limit: most steps.
        tolerance: size of a full step, in posterior standard deviations, below which the iterations have converged.
        report: called after every step.
    """
    course = problem.checkpoint.resume() or start()
    prior = MaternField(
        problem.mask, problem.voxel_size_mm, course.hypotheses, problem.regions.shares, course.loosening
    )
    point = _evaluate(problem, course.x, course.w)
    course = replace(course, x=point.x, w=point.w)  # an earlier run's, to the last bit
    problem.checkpoint.save(course)
    while True:
        began, history = time.perf_counter(), course.history
        if course.refits and (course.change < REFIT_BELOW[-course.refits] or course.waited == PATIENCE):
            last = course.refits == 1
            prior = replace(prior, hypotheses=_refit(problem, point, prior, rounds=LAST_ROUNDS if last else 1))
            began = problem.tally.timed("hyper-parameters", began)
            if last:
                prior = _loosened(problem, point, prior)
            course = course.under(prior.hypotheses, np.broadcast_to(prior.loosening, problem.voxels))
        posterior = _posterior(problem, point, prior)
        if not course.refits and course.spread is None and course.near:
            course = replace(course, spread=_rms(posterior.draw(PROBES, 0)))
        spread = course.spread if course.comparable else None
        converged = spread is not None and bool(history) and course.remaining < tolerance * spread
        if converged or len(history) == limit:
            break
        target = posterior.improve(_information(problem, point))
        aim = course.acceleration.aim((point.x, point.w), target) if course.comparable else target
        problem.tally.timed("joint posterior", began)
        targets = [aim, target] if course.comparable else [aim]
        step, found = _search(problem, point, targets, comparable=course.comparable)
        objective = _objective(problem, found, found)
        course = course.moved((found.x, found.w), Iteration(objective, found.misfit, step, _rms(found.x - point.x)))
        point = found
        problem.checkpoint.save(course)
        report(len(course.history), course.history[-1])
    m = (point.x.reshape(FIELDS, -1) + problem.centre[:, None]).ravel()
    return Fit(
        parameters=m,
        posterior=posterior,
        prior=prior,
        converged=converged,
        course=course,
        zones=point.states,
        energy=0.5 * float(point.x @ point.w),
    )


@dataclass(frozen=True, slots=True)
class _Point:
    """One set of moduli and what all zones say of it, at the stated noise.

    Attributes:
        x: deviation of m from the prior's centre, shape (2 N,).
        w: weights with x = C w, so that the prior energy is x w.
        states: this rank's zones.
        misfit: of all zones on all ranks.
    """

    x: NDArray[np.float64]
    w: NDArray[np.float64]
    states: tuple[ZoneState, ...]
    misfit: float


def _gather[T](comm: MPI.Comm, own: list[T]) -> list[T]:
    return list(itertools.chain.from_iterable(comm.allgather(own)))


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _evaluate(problem: Problem, x: NDArray[np.float64], w: NDArray[np.float64]) -> _Point:
    x, w = problem.checkpoint.begin(x, w)
    solvers = track(problem.solvers, "zones of this rank", len(problem.solvers))
    states = tuple(problem.checkpoint.evaluate(solver, problem.local(solver, x)) for solver in solvers)
    began = time.perf_counter()
    misfit = problem.comm.allreduce(sum(state.misfit for state in states))
    problem.tally.timed(WAITING, began)
    return _Point(x, w, states, float(misfit))


def _objective(problem: Problem, point: _Point, reference: _Point) -> float:
    """Negative log posterior with each zone's noise factor at its most probable value, up to a constant.

    The reference's expected misfits count the data: the same for all points that are compared.
    """
    zones = zip(point.states, reference.states, strict=True)
    data = sum(here.negative_log_likelihood(there.expected_misfit) for here, there in zones)
    return float(problem.comm.allreduce(data)) + 0.5 * float(point.x @ point.w)


def _posterior(problem: Problem, point: _Point, prior: MaternField) -> JointPosterior:
    zones = [
        ZoneCurvature(
            solver.voxels, solver.data.zone.ijk, state.half_hessian, state.inflation, solver.dispersion.frequency
        )
        for solver, state in zip(problem.solvers, point.states, strict=True)
    ]
    return JointPosterior(prior, zones, problem.comm)


def _zone_information(solver: ZoneSolver, state: ZoneState, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vector b = H x - gradient of one zone, at its inflated noise."""
    own, half = x.reshape(FIELDS, -1)[:, solver.voxels].ravel(), state.half_hessian
    return np.asarray(half @ (half.T @ own) - state.gradient) / state.inflation


def _information(problem: Problem, point: _Point) -> NDArray[np.float64]:
    total = np.zeros((FIELDS, problem.voxels))
    for solver, state in zip(problem.solvers, point.states, strict=True):
        total[:, solver.voxels] += _zone_information(solver, state, point.x).reshape(FIELDS, -1)
    problem.comm.Allreduce(MPI.IN_PLACE, total)
    return total.ravel()


def _evidence_zones(problem: Problem) -> set[int]:
    """Numbers of zones spread over the organ, without the slivers at its surface."""
    sizes = dict(_gather(problem.comm, [(solver.number, len(solver.voxels)) for solver in problem.solvers]))
    large = sorted(number for number, size in sizes.items() if 2 * size >= max(sizes.values()))
    places = np.linspace(0, len(large) - 1, min(EVIDENCE_ZONES, len(large))).round().astype(int)
    return {large[place] for place in places}


def _refit(problem: Problem, point: _Point, prior: MaternField, *, rounds: int) -> Hypotheses:
    """The prior's hyper-parameters from the data of zones spread over the organ, its two halves in turn."""
    chosen = _evidence_zones(problem)
    parts = [
        ZoneEvidence(
            solver.data.zone.ijk,
            problem.regions.shares[solver.voxels],
            state.tempered_half_hessian,
            _zone_information(solver, state, point.x),
            number=solver.number,
        )
        for solver, state in zip(problem.solvers, point.states, strict=True)
        if solver.number in chosen
    ]
    zones = join_frequencies(parts, problem.comm)
    hypotheses = prior.hypotheses
    for _ in range(rounds):
        hypotheses = fit_prior(zones, problem.voxel_size_mm, hypotheses, problem.comm)
        hypotheses = fit_factors(zones, problem.voxel_size_mm, hypotheses, problem.regions.variability, problem.comm)
    return hypotheses


def _loosened(problem: Problem, point: _Point, prior: MaternField) -> MaternField:
    """The prior loosened where its maximum surprises it; the zones' linearisation at the point serves for every prior.

    What an earlier prior was loosened by is forgotten: looser tissue deviates more, and would be loosened on and on.
    """
    information = _information(problem, point)
    prior = replace(prior, loosening=np.ones(problem.voxels))
    for _ in range(LOOSENINGS):
        _, w = _posterior(problem, point, prior).improve(information)
        amplitudes = loosened(prior, w)
        if float(amplitudes.max()) < NOTABLE:
            break
        prior = replace(prior, loosening=amplitudes)
    return prior


def _search(problem: Problem, start: _Point, targets: Sequence[Pair], *, comparable: bool) -> tuple[float, _Point]:
    """The first point that lowers the objective, and the length of its step; the first of all where the prior changed.

    Towards each target in full, then towards the last by 1/2, 1/4, ...; no step is longer than LONGEST_CHANGE.
    """
    before = _objective(problem, start, start)
    lengths = [min(1.0, LONGEST_CHANGE / max(_rms(target[0] - start.x), 1e-12)) for target in targets]
    tries = list(zip(targets, lengths, strict=True))
    tries += [(targets[-1], lengths[-1] * 0.5**halving) for halving in range(1, HALVINGS + 1)]
    for (x, w), length in tries[problem.checkpoint.rejected() :]:
        move = length * (x - start.x)
        found = _evaluate(problem, start.x + move, start.w + length * (w - start.w))
        trusted = not comparable or _rms(move) < SMALL
        if trusted or _objective(problem, found, start) <= before + 1e-9 * abs(before):
            break
    return length, found
