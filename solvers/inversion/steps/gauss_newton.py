"""Maximum of the joint posterior over all zones, by Gauss-Newton steps with a line search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.posterior.joint import JointPosterior
from palpate.solvers.inversion.prior.hyperparameters import FIELDS
from palpate.solvers.inversion.prior.prior import MaternField
from palpate.solvers.inversion.steps.acceleration import Pair
from palpate.solvers.inversion.steps.expected_steps import ZoneMoves, expected_steps
from palpate.solvers.inversion.steps.linearisation import (
    InversionProblem,
    Linearisation,
    evaluate,
    information_of,
    objective_of,
    posterior_of,
)
from palpate.solvers.inversion.steps.refit import refitted, with_local_scale
from palpate.solvers.inversion.steps.sound_voxels import Judge, restore
from palpate.solvers.inversion.steps.state import LAST_ROUNDS, PATIENCE, REFIT_BELOW, GaussNewtonState, Iteration
from palpate.solvers.inversion.zone.zone_solver import ZoneState

HALVINGS = 4
"""Number of times that a step that does not lower the objective is halved before it is taken anyhow."""

PROBES = 12
"""Number of draws that estimate the posterior's typical standard deviation."""

SMALL = 0.02
"""Root mean square change of m below which a step is taken whether or not the objective fell: near the maximum the
objective changes by less than the error of the compressed Hessian."""

LONGEST_CHANGE = 0.5
"""Largest root mean square change of m in one step: G* by a factor of 1.6."""


@dataclass(frozen=True, slots=True)
class Fit:
    """End of the iterations: value, status and statistics.

    Attributes:
        parameters: parameters m at the maximum, shape (2 N,).
        posterior: Gaussian posterior of m around the maximum.
        prior: prior that was used.
        converged: whether the estimated error is small against the posterior's standard deviation.
        state: state of the iterations at the end, with their history.
        zones: this rank's zone states at the last linearisation, at the stated noise.
        energy: energy of the prior at the maximum, x^T C^-1 x / 2.
    """

    parameters: NDArray[np.float64]
    posterior: JointPosterior
    prior: MaternField
    converged: bool
    state: GaussNewtonState
    zones: tuple[ZoneState, ...] = field(repr=False)
    energy: float


def maximise(
    problem: InversionProblem,
    begin: Callable[[], GaussNewtonState],
    *,
    limit: int,
    tolerance: float,
    report: Callable[[Iteration], str],
    judge: Judge | None = None,
) -> Fit:
    """Find the maximum of the posterior.

    Args:
        problem: zones, data and ranks.
        begin: function that returns the start; it is not called where an earlier run is resumed.
        limit: largest number of steps.
        tolerance: size of a full step, in posterior standard deviations, below which the iterations have converged.
        report: function that describes a step in words.
        judge: function that finds voxels which do not measure the wave; None where all count as they do at the start.
    """
    state = problem.checkpoint.resume() or begin()
    prior = MaternField(
        problem.mask, problem.voxel_size_mm, state.hypotheses, problem.regions.fractions, state.local_scale
    )
    restore(problem, state)
    point = evaluate(problem, state.x, state.w)
    state = replace(state, x=point.x, w=point.w)  # an earlier run's, to the last bit
    problem.checkpoint.save(state)
    while True:
        began, history = time.perf_counter(), state.history
        if state.refits and (state.change < REFIT_BELOW[-state.refits] or state.steps_since_refit == PATIENCE):
            last = state.refits == 1
            prior = replace(prior, hypotheses=refitted(problem, point, prior, rounds=LAST_ROUNDS if last else 1))
            began = problem.counter.timed("hyper-parameters", began)
            if last:
                prior = with_local_scale(problem, point, prior)
            state = state.with_prior(prior.hypotheses, np.broadcast_to(prior.local_scale, problem.voxels))
        state = state if judge is None else judge(problem, point, state)
        alone = time.perf_counter()
        posterior = posterior_of(problem, point, prior)
        joint_s = time.perf_counter() - alone
        if not state.refits and state.spread is None and state.near:
            state = replace(state, spread=_rms(posterior.draw(PROBES, 0)))
        spread = state.spread if state.comparable else None
        converged = spread is not None and bool(history) and state.estimated_error < tolerance * spread
        if converged or len(history) == limit:
            break
        alone = time.perf_counter()
        target = posterior.improve(information_of(problem, point))
        problem.clock.joined(joint_s + time.perf_counter() - alone)
        aim = state.acceleration.aim((point.x, point.w), target) if state.comparable else target
        problem.counter.timed("joint posterior", began)
        coming = expected_steps(state, _moves(problem, aim[0] - point.x), limit=limit, tolerance=tolerance)
        problem.clock.begin_step(len(history) + 1, coming.costs, refits=coming.refits)
        targets = [aim, target] if state.comparable else [aim]
        start = point.without_hessians()
        del posterior, point  # they hold the Hessians of all zones, which are about to be solved for anew
        step, point = _search(problem, start, targets, comparable=state.comparable)
        objective = objective_of(problem, point, point)
        state = state.moved((point.x, point.w), Iteration(objective, point.misfit, step, _rms(point.x - start.x)))
        problem.checkpoint.save(state)
        problem.clock.finished(report(state.history[-1]))
    m = (point.x.reshape(FIELDS, -1) + problem.centre[:, None]).ravel()
    return Fit(
        parameters=m,
        posterior=posterior,
        prior=prior,
        converged=converged,
        state=state,
        zones=point.states,
        energy=0.5 * float(point.x @ point.w),
    )


def _moves(problem: InversionProblem, step: NDArray[np.float64]) -> ZoneMoves:
    """Return the moves of this rank's zones in a step, shape (2 N,), which is cut short where it is too long."""
    length = min(1.0, LONGEST_CHANGE / max(_rms(step), 1e-12))
    fields = length * step.reshape(FIELDS, -1)
    moves = [_rms(fields[:, solver.voxels]) for solver in problem.solvers]
    return ZoneMoves(_rms(fields), np.array(moves), np.array(problem.clock.work))


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _search(
    problem: InversionProblem, start: Linearisation, targets: Sequence[Pair], *, comparable: bool
) -> tuple[float, Linearisation]:
    """Return the first point that lowers the objective, and its step length; the first of all where the prior changed.

    Towards each target in full, then towards the last by 1/2, 1/4, ...; no step is longer than LONGEST_CHANGE.
    """
    before = objective_of(problem, start, start)
    lengths = [min(1.0, LONGEST_CHANGE / max(_rms(target[0] - start.x), 1e-12)) for target in targets]
    tries = list(zip(targets, lengths, strict=True))
    tries += [(targets[-1], lengths[-1] * 0.5**halving) for halving in range(1, HALVINGS + 1)]
    for (x, w), length in tries[problem.checkpoint.rejected() :]:
        move = length * (x - start.x)
        found = evaluate(problem, start.x + move, start.w + length * (w - start.w))
        trusted = not comparable or _rms(move) < SMALL
        if trusted or objective_of(problem, found, start) <= before + 1e-9 * abs(before):
            break
    return length, found
