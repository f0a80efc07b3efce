"""Voxels that do not measure the wave: their probability by the fit, and the zones' shares that follow from it.

Under the contaminated normal distribution (data_weights.py) the data of a voxel count by the probability w that the
voxel is sound. That is the step of expectation of Dempster, Laird and Rubin (1977); the Gauss-Newton steps that follow
are those of maximisation. A likelihood to the power w has the share chi w of a zone in place of chi, so that misfit,
curvature, the misfit of noise alone and draws are those of what is left. The expected square of a voxel's error,

    q = |d - U - Z c|^2 / (theta sigma^2) + V,

holds the variance V that the fit leaves to the wave (reweighting.py). The zone's factor theta on the noise variance is
the ratio of high quantiles of residual and probe here: the mean square would grow with the spot, which would then hide
itself, while a quantile leaves a model that misfits everywhere to the factor.

Voxels that do not belong to their neighbours' wave (outliers.py) begin with almost no share, and come back where the
wave explains them. The probability is computed near the maximum alone: far from it sound data misfit as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.inversion.steps.linearisation import InversionProblem, Linearisation, sums_by_shares
from palpate.solvers.inversion.steps.state import GaussNewtonState
from palpate.solvers.inversion.zone.data_weights import PARTS, Contaminated, Likelihood
from palpate.solvers.inversion.zone.zone_solver import ZoneSolver, ZoneState

MOST_JUDGEMENTS: Final = 6
"""Largest number of times that the probabilities change: a spot that neighbours share is found from the outside in."""

DOUBTFUL: Final = 0.3
"""Change of a zone's data, in voxels, above which it is solved anew."""

SPREAD_QUANTILE: Final = 0.9
"""Quantile of a zone's residuals that its noise is estimated by: a spot may be as large as a tenth of the zone."""

MEASURED: Final = 1e-3
"""Sum of zones' shares below which a voxel has no data, which are neither sound nor wrong."""

LEAST: Final = 1e-6
"""Least probability, as a zone's corner could be left without equation; less for errors so large that they would
matter all the same."""

HARMLESS: Final = 0.01
"""Square of an error, times its probability, that does not matter beside a sound datum's 2."""

WRONG: Final = 1e-3
"""Probability below which a voxel is certainly wrong."""

SOLVABLE: Final = 1e-10
"""Probability below which rounding would take over."""

type Judge = Callable[[InversionProblem, Linearisation, GaussNewtonState], GaussNewtonState]
"""Function that returns the state with the voxels' probabilities at a point of linearisation. Collective."""


def judge_of(likelihood: Likelihood, *, frequencies: int, fit_prior: bool) -> Judge | None:
    """Return the function that judges voxels under a likelihood; None where all of them count as sound.

    Args:
        likelihood: likelihood of the errors.
        frequencies: number of wave fields of the run.
        fit_prior: whether the prior is refitted once voxels have lost or regained their share.
    """
    if not isinstance(likelihood, Contaminated):
        return None
    return partial(_judged, likelihood=likelihood, frequencies=frequencies, fit_prior=fit_prior)


def restore(problem: InversionProblem, state: GaussNewtonState) -> None:
    """Give the zones the shares of a state.

    Args:
        problem: zones and ranks.
        state: state of the iterations.
    """
    if state.soundness is not None:
        _believe(problem, state.soundness)


def squares_of(problem: InversionProblem, states: tuple[ZoneState, ...], frequencies: int) -> NDArray[np.float64]:
    """Return the expected squares q of all data's errors, shape (frequencies, N, C); 0 without data. Collective.

    Args:
        problem: zones and ranks.
        states: states of this rank's zones.
        frequencies: number of wave fields of the run.
    """
    zones = zip(problem.solvers, states, strict=True)
    parts = ((solver, solver.share, _expected_squares(solver, state)) for solver, state in zones)
    total, covered = sums_by_shares(problem, parts, frequencies)
    return np.where(covered > MEASURED, total / np.where(covered > MEASURED, covered, 1.0), 0.0)


def counted(law: Contaminated, squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability with which each voxel's data count, above 0, shape (frequencies, N).

    Args:
        law: likelihood of the errors.
        squares: expected squares q of the errors, shape (frequencies, N, C).
    """
    size = np.maximum(squares.sum(axis=-1), 1.0)
    return np.maximum(law.soundness(squares), np.clip(HARMLESS / size, SOLVABLE, LEAST))


def _judged(
    problem: InversionProblem,
    point: Linearisation,
    state: GaussNewtonState,
    *,
    likelihood: Contaminated,
    frequencies: int,
    fit_prior: bool,
) -> GaussNewtonState:
    """Return the state with new probabilities where they change the data of any zone; else the state itself."""
    if state.refits or not state.near or state.judgements == MOST_JUDGEMENTS:
        return state
    squares = squares_of(problem, point.states, frequencies)
    soundness = counted(likelihood, squares)
    # What is left of a wrong voxel matters by the misfit that it makes, in sound data.
    importance = np.where(soundness < WRONG, np.maximum(1.0, squares.sum(axis=-1) / PARTS), 1.0)
    changed = [_changed(solver, soundness, importance) for solver in problem.solvers]
    if not problem.comm.allreduce(any(changed), MPI.LOR):
        return state
    _believe(problem, soundness)
    for solver in itertools.compress(problem.solvers, changed):
        solver.forget()
    return state.with_soundness(soundness, refits=int(fit_prior and state.judgements == 0))


def _changed(solver: ZoneSolver, soundness: NDArray[np.float64], importance: NDArray[np.float64]) -> bool:
    """Whether a zone has to be solved anew."""
    at = (solver.dispersion.frequency, solver.voxels)
    return solver.doubts(soundness[at], importance[at]) > DOUBTFUL


def _believe(problem: InversionProblem, soundness: NDArray[np.float64]) -> None:
    for solver in problem.solvers:
        solver.believe(soundness[solver.dispersion.frequency, solver.voxels])


def _expected_squares(solver: ZoneSolver, state: ZoneState) -> NDArray[np.float64]:
    """Return the expected squares q of a zone's data, in units of their noise, shape (n, C)."""
    components, weights = solver.data.components, solver.noise_weights
    residual, probe = (
        (np.abs(values) ** 2 * (1.0 if weights is None else weights)).reshape(-1, components)
        for values in (state.residual, state.probe_residual)
    )
    measured = solver.share > MEASURED * solver.share.max()
    spread, expected = (
        float(np.quantile(values[measured].sum(axis=1), SPREAD_QUANTILE)) for values in (residual, probe)
    )
    left = solver.variance_of_wave(state) * (1.0 if weights is None else weights.reshape(-1, components))
    return np.asarray(residual / max(1.0, spread / expected) + left)
