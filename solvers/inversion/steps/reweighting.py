"""Inversion under errors that are not Gaussian: weights of the data and moduli in turn, until neither changes.

These are steps of expectation and maximisation (Dempster, Laird and Rubin 1977) with the waves integrated out. The
expected square of a datum's error is that of the fit's residual, at the noise of the zone, and the variance that the
fit leaves to the wave,

    q = |d - U - Z c|^2 / (theta sigma^2) + V,    V = (2 sum chi - expected misfit) / sum(chi w) in each zone,

averaged over the zones that hold the datum by their shares chi: a datum has one weight, whichever zone uses it. The
last weights are those of all that follows, the prior's evidence and the draws included. Like the factors theta they are
taken as known there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.progress import say
from palpate.solvers.inversion.steps.gauss_newton import Fit
from palpate.solvers.inversion.steps.linearisation import InversionProblem, sums_by_shares
from palpate.solvers.inversion.steps.problem import USELESS
from palpate.solvers.inversion.steps.state import refit_rounds
from palpate.solvers.inversion.steps.wave_prior_rounds import Fitter, fit_with_wave_priors
from palpate.solvers.inversion.time_left import FROM_OTHER_WEIGHTS
from palpate.solvers.inversion.zone.data_weights import Contaminated, Likelihood, checked_weights, gaussian
from palpate.solvers.inversion.zone.zone_solver import ZoneSolver, ZoneState

ROUNDS: Final = 8
"""Largest number of times that weights are computed and moduli fitted to them."""

SETTLED: Final = 0.01
"""Root mean square change of the weights below which they are kept: an interval's width changes by half of it."""

LITTLE_WEIGHT: Final = 0.5
"""Weight below which a datum counts as one of little weight."""

type Weights = NDArray[np.float64]
"""Weights of all data, shape (frequencies, N, C)."""


def fit_reweighted(
    problem: InversionProblem,
    likelihood: Likelihood,
    fit: Fitter,
    *,
    frequencies: int,
    fit_prior: bool,
) -> tuple[Fit, Weights | None]:
    """Return the fit under a likelihood, and the weights of the data there; None where all are 1. Collective.

    Args:
        problem: problem that is fitted; its zones get the weights.
        likelihood: likelihood of the errors.
        fit: function that fits the moduli at the zones' present weights, from a state or, without one, afresh.
        frequencies: number of wave fields of the run.
        fit_prior: whether the prior is refitted to the data in each round.
    """
    found = fit_with_wave_priors(problem, fit, fit_prior=fit_prior)
    if likelihood is gaussian or isinstance(likelihood, Contaminated):  # voxels were judged on the way
        return found, None
    weights = np.ones((frequencies, problem.voxels, problem.components))
    for number in range(ROUNDS + 1):
        squares = expected_squares(problem, found.zones, frequencies)
        last, weights = weights, np.stack([checked_weights(likelihood, one, USELESS) for one in squares])
        if np.sqrt(np.mean((weights - last) ** 2)) < SETTLED:
            return found, last
        if number == ROUNDS:
            break
        low = float(np.mean(weights < LITTLE_WEIGHT))
        say(f"weights of the data, round {number + 1}: {100 * low:.1f} % are below {LITTLE_WEIGHT:g}")
        for solver in problem.solvers:
            solver.reweigh(weights[solver.dispersion.frequency, solver.voxels].ravel())
        problem.clock.starts_again(FROM_OTHER_WEIGHTS, refits=refit_rounds(int(fit_prior)))
        found = fit(found.state.again(fit_hyperparameters=fit_prior))
    return replace(found, converged=False), last


def expected_squares(problem: InversionProblem, states: tuple[ZoneState, ...], frequencies: int) -> NDArray[np.float64]:
    """Return the expected squares q of the errors of all data, shape (frequencies, N, C). Collective.

    Args:
        problem: zones and ranks.
        states: states of this rank's zones.
        frequencies: number of wave fields of the run.
    """
    zones = zip(problem.solvers, states, strict=True)
    parts = ((solver, solver.data.zone.weight, _squares_in(solver, state)) for solver, state in zones)
    total, covered = sums_by_shares(problem, parts, frequencies)
    return total / np.where(covered > 0.0, covered, 1.0)


def _squares_in(solver: ZoneSolver, state: ZoneState) -> NDArray[np.float64]:
    """Return the expected squares q of one zone's errors, shape (n, C)."""
    components = solver.data.components
    square = (np.abs(state.residual) ** 2).reshape(-1, components) / state.inflation + solver.variance_of_wave(state)
    weights = solver.noise_weights
    return np.asarray(square if weights is None else square * weights.reshape(-1, components))
