"""All rungs of one patient's tumour, from its history or its calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.biology import with_markers
from palpate.twin.calibration.calibrate import Calibration, prepared
from palpate.twin.calibration.posterior import CalibrationProblem
from palpate.twin.dynamics import Events, events_of
from palpate.twin.outline import apparent_density
from palpate.twin.pharmacology import of_patient
from palpate.twin.rungs.from_history import ball_radius_mm, seen_on, volume_ml
from palpate.twin.rungs.frozen_stress import frozen_stress
from palpate.twin.rungs.lattice import LatticeModel, lattice_parameters
from palpate.twin.rungs.logistic import LogisticModel, logistic_model
from palpate.twin.rungs.radial import RadialModel, radial_model
from palpate.twin.stress import elastic
from palpate.units import mm_to_m

type Values = NDArray[np.float64]


def small_rungs(history: TumourHistory, settings: TwinSettings) -> tuple[LogisticModel, RadialModel]:
    """Return the logistic and the radial rung of a tumour, as its first scan shows it.

    Args:
        history: history of the tumour, on any grid.
        settings: settings of the twin.
    """
    seen = seen_on(history, history.scans[0].day)
    density = apparent_density(history.scans[0], history.tissue, history.edges_mm)[history.tissue]
    burden_ml = float(density.sum() * np.prod(history.edges_mm)) * 1e-3
    radius_mm = ball_radius_mm(volume_ml(seen, history.edges_mm))
    white = float(history.white[seen].mean())
    own = with_markers(of_patient(settings, history.markers)[0], history.markers)
    return logistic_model(own, burden_ml), radial_model(own, radius_mm, white=white)


def lattice_rung(history: TumourHistory, settings: TwinSettings, until: float = 0.0) -> LatticeModel:
    """Return the lattice rung of a tumour before any calibration; theta has its prior.

    Stress, where the twin has mechanics, is that of the densities that the images suggest, and follows the prior's
    median tumour after the last scan.

    Args:
        history: history on the lattice, with its stiffness or none, and with planned treatment.
        settings: settings of the twin.
        until: last day for which the stress is computed; later ones keep it.
    """
    problem = prepared(history, settings)
    xi = np.zeros(problem.dynamics.unknowns.size)
    return _rung(problem, history, xi, problem.states(xi)[-1], until)


def calibrated_lattice(
    calibration: Calibration, problem: CalibrationProblem, until: float
) -> tuple[LatticeModel, Values, Values]:
    """Return the lattice rung of a calibrated tumour, its states on the day of the last scan, and theta, of all draws.

    Args:
        calibration: calibration of the tumour (palpate.twin.calibration.calibrate.calibrated).
        problem: problem that it solves, with all voxels on this rank.
        until: last day for which the stress is computed; later ones keep it.
    """
    drawn, layout = calibration.draws, calibration.unknowns
    mean = np.clip(drawn.density.mean(axis=0, dtype=np.float64), 0.0, 1.0)
    model = _rung(problem, calibration.history, calibration.mode, mean, until)
    past = layout.drift_slice()
    drifts = drawn.xi[:, past] @ problem.dynamics.drift[-1] if layout.drifts else np.zeros(len(drawn.xi))
    xi = np.delete(drawn.xi, np.arange(past.start, past.stop), axis=1)
    parts = [drawn.density.astype(np.float64), drifts[:, None]]
    if not model.centres:
        return model, np.concatenate(parts, axis=1), xi
    size = model.parameters[-1]
    q = (np.log(mm_to_m(drawn.front_error_mm)) - size.mean) / size.std
    return model, np.concatenate([*parts, drawn.front_error], axis=1), np.concatenate([xi, q[:, None]], axis=1)


def events(history: TumourHistory, settings: TwinSettings | None = None) -> Events:
    """Return all treatment of a history on the lattice, as the lattice rung takes it.

    Args:
        history: history on the lattice.
        settings: settings of the twin; None for the defaults.
    """
    return events_of(history, settings or TwinSettings())


def _rung(
    problem: CalibrationProblem, history: TumourHistory, xi: Values, density: Values, until: float
) -> LatticeModel:
    own, settings = problem.dynamics, problem.observations.settings
    layout = replace(own.unknowns, drifts=0)
    stress = None
    if problem.stress is not None:
        system = problem.elastic_system or elastic(history, settings, own.place, problem.stress.log_moduli[0])
        stress = frozen_stress(problem, problem.stress, system, xi, density, events(history, settings), until)
    return LatticeModel(
        replace(own, unknowns=layout),
        history,
        problem.observations.field,
        settings,
        lattice_parameters(layout, settings),
        stress,
    )
