"""Forward model alone: one run of a tumour's growth with given parameters, in the form of a calibration with one draw.

Nothing is fitted. The tumour starts as the first scan draws it, with the prior's median width and plateau, and grows
through all scans and treatments; chance has no part, neither in the rates nor in the front.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.calibration.calibrate import Calibration, prepared, whole_history
from palpate.twin.calibration.draws import Draws
from palpate.twin.calibration.posterior import CalibrationProblem, Statistics
from palpate.twin.given_parameters import standardised
from palpate.twin.lattice import TwinLattice
from palpate.twin.stress import elastic

RENEWALS: Final = 3
"""Number of renewals of the stress, each along the course under the one before."""
_WITHOUT_CHANCE: Final = {"proliferation_log_std_per_100_days": 0.0, "front_error_mm": 0.0}


def forward_from_history(
    history: TumourHistory, given: Mapping[str, float], where: Path, settings: TwinSettings | None = None
) -> Calibration:
    """Run the forward model from the images' history.

    Args:
        history: images and treatments on the images' grid.
        given: numbers by their names in a file (twin.given_parameters).
        where: file of the numbers, named in errors.
        settings: settings of the twin; None for the defaults.

    Raises:
        InputError: an unknown name, a number outside its range, or a history that cannot be used.
    """
    chosen = (settings or TwinSettings()).model_copy(update=_WITHOUT_CHANCE)
    grid, coarse = whole_history(history, chosen)
    return _run(prepared(coarse, chosen), grid, coarse, given, where)


def forward_from_calibration(calibration: Calibration, given: Mapping[str, float], where: Path) -> Calibration:
    """Run the forward model on the lattice, under the treatments and with the stiffness of a calibration.

    Args:
        calibration: calibration of the tumour, whose posterior plays no part.
        given: numbers by their names in a file (twin.given_parameters).
        where: file of the numbers, named in errors.

    Raises:
        InputError: an unknown name, or a number outside its range.
    """
    history, chosen = calibration.history, calibration.settings.model_copy(update=_WITHOUT_CHANCE)
    problem = prepared(history, chosen)
    if calibration.stress is not None:
        unknown = replace(problem.dynamics.unknowns, modes=calibration.stress.modes)
        system = elastic(history, chosen, problem.dynamics.place, calibration.stress.log_moduli[0])
        problem = replace(problem, dynamics=replace(problem.dynamics, unknowns=unknown), elastic_system=system)
        problem = problem.under(calibration.stress)
    return _run(problem, calibration.grid, history, given, where)


def _run(
    problem: CalibrationProblem, grid: TwinLattice, coarse: TumourHistory, given: Mapping[str, float], where: Path
) -> Calibration:
    """Grow the tumour to its last scan."""
    unknown = problem.dynamics.unknowns
    xi = standardised(given, unknown, where)
    for _ in range(RENEWALS):
        problem = problem.stressed(xi)
    states = np.stack(problem.states(xi)).astype(np.float32)
    residual = problem.residual(problem.states(xi), xi)
    misfit = problem.errors().misfit(residual) / len(residual)
    stress = problem.stress
    if stress is not None:
        mean = stress.log_draws.mean(axis=0, keepdims=True)
        stress = replace(stress, log_draws=mean)
    centres = len(problem.observations.field.centres_mm)
    draws = Draws(xi[None], states[-1:], states[None], np.zeros(1), np.zeros((1, centres)), 1.0, 0, 1.0)
    return Calibration(
        problem.observations.settings,
        grid,
        replace(coarse, stiffness=None),
        unknown,
        xi,
        np.zeros((unknown.size, unknown.size)),
        0.0,
        stress,
        problem.observations.field,
        draws,
        Statistics(True, 0, RENEWALS + 1, 0.5 * misfit * len(residual), misfit, len(residual)),
        given=dict(given),
    )
