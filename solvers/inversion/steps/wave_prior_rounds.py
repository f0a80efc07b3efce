"""Moduli and the priors of the zones' displacement in turn, where data do not determine the displacement alone.

A zone's prior has the size of greatest evidence and a linearised determinant, both around some moduli (wave_prior.py).
They are found at the prior's centre, and once more at the first fit, from which the second begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

import numpy as np

from palpate.progress import say
from palpate.solvers.inversion.stages import FIRST_CALIBRATION, zone_cost
from palpate.solvers.inversion.steps.gauss_newton import Fit
from palpate.solvers.inversion.steps.linearisation import InversionProblem, Linearisation, posterior_of
from palpate.solvers.inversion.steps.state import GaussNewtonState, refit_rounds
from palpate.solvers.inversion.time_left import FROM_OTHER_PRIORS
from palpate.solvers.inversion.zone.zone_solver import ZoneSolver

FIRST_STEPS: Final = 5
"""Largest number of steps under priors that were found at the prior's centre, where the moduli may be far away."""


class Fitter(Protocol):
    """Function that fits the moduli to the zones as they are, from a state or, without one, afresh."""

    def __call__(self, start: GaussNewtonState | None, limit: int | None = None, /) -> Fit:
        """Return the fit.

        Args:
            start: state to begin with; None to begin afresh.
            limit: largest number of steps; None for that of the settings.
        """


def fit_with_wave_priors(problem: InversionProblem, fit: Fitter, *, fit_prior: bool) -> Fit:
    """Return the fit, with priors of the displacement where zones need them. Collective.

    Args:
        problem: problem that is fitted; its zones get the priors.
        fit: function that fits the moduli.
        fit_prior: whether the prior of the moduli is refitted in each round.
    """
    if problem.complete:
        return fit(None)
    _calibrate(problem, np.zeros(2 * problem.voxels))
    found = fit(None, FIRST_STEPS)
    say(f"prior of the waves, after {len(found.state.history)} steps")
    problem.clock.starts_again(FROM_OTHER_PRIORS, refits=refit_rounds(int(fit_prior)))
    _calibrate(problem, found.state.x)
    return _by_information(problem, fit(found.state.again(fit_hyperparameters=fit_prior)))


def _by_information(problem: InversionProblem, found: Fit) -> Fit:
    """The fit with the posterior by the information of data in place of the Gauss-Newton Hessian.

    Steps keep the Hessian, which holds them back where the information is small and the evidence nearly flat.
    """
    zones = tuple(
        replace(state, hessian_factor=np.sqrt(solver.information_share) * state.hessian_factor)
        for solver, state in zip(problem.solvers, found.zones, strict=True)
    )
    point = Linearisation(found.state.x, found.state.w, zones, 0.0)
    return replace(found, zones=zones, posterior=posterior_of(problem, point, found.prior))


def _calibrate(problem: InversionProblem, x: np.ndarray) -> None:
    for solver in problem.clock.calibrations(problem.solvers, [_cost(solver) for solver in problem.solvers]):
        solver.calibrate(problem.local(solver, x))


def _cost(solver: ZoneSolver) -> float:
    """Return the cost of finding the prior of a zone's waves, over that of finding it again, in units of zone_cost."""
    return zone_cost(solver.data.zone.work) * (FIRST_CALIBRATION if solver.data.wave_prior is None else 1.0)
