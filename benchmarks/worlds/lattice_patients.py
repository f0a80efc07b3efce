"""Simulated patients on the rung `lattice`: tumours of the twin's own model, whose scans it draws itself.

A block of 13 x 13 x 13 voxels of 4 mm, five scans, radiotherapy and temozolomide. Model and truth are the same, errors
are those of the likelihood: what is tested with it is the statistics of the dates, not the physics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from worlds.clock_cases import DAYS, kept, one_scan

from palpate.config.twin import TwinSettings
from palpate.imaging.tumour.history import ENHANCING, NON_ENHANCING, DrugDose, Irradiation, TumourHistory, TumourScan
from palpate.twin.calibration.calibrate import prepared
from palpate.twin.calibration.posterior import CalibrationProblem, laplace
from palpate.twin.clocks.dated_history import scan_stream
from palpate.twin.clocks.lattice_fit import DatedTumour, clock_posterior
from palpate.twin.clocks.mixture import Mixture
from palpate.twin.clocks.shift import AS_DATED, TREATMENTS, Shift
from palpate.twin.priors import ALPHA

type Values = NDArray[np.float64]

SHAPE: Final = (13, 13, 13)
EDGE_MM: Final = 4.0
SETTINGS: Final = TwinSettings(voxel_mm=EDGE_MM, block_mm=8.0, outline_modes=4, mechanics=False, max_iterations=30)
LEVELS: Final = tuple(float(x) for x in np.linspace(0.01, 0.99, 99))


@dataclass(frozen=True, slots=True)
class LatticePatient:
    """A simulated patient.

    Attributes:
        history: history with every date right; what its scans show is not used.
        problem: problem with the data that the model drew.
        xi: true unknowns.
    """

    history: TumourHistory
    problem: CalibrationProblem
    xi: Values


def lattice_patient(seed: int, number: int) -> LatticePatient:
    """Return a patient; it depends on seed and number alone."""
    for attempt in range(100):
        rng = np.random.default_rng([seed, 7, number, attempt])
        history = _history(rng)
        own = prepared(history, SETTINGS)
        xi = rng.standard_normal(own.dynamics.unknowns.size)
        states = own.states(xi)
        burdens = [float(one.sum()) for one in states]
        if min(burdens) > 20.0 and max(burdens) < 700.0:
            return LatticePatient(history, _drawn(own, xi, states, rng), xi)
    raise RuntimeError(f"no tumour for patient {number}")


def lattice_case(seed: int, number: int) -> dict[str, Any]:
    """Return what calibrations say of a patient with right dates, with all treatments and with one scan misdated.

    Args:
        seed: seed of the cohort.
        number: number of the patient.
    """
    own, rng = lattice_patient(seed, number), np.random.default_rng([seed, 8, number])
    days = tuple(scan.day for scan in own.history.scans)
    shift = one_scan(days[1:], rng)
    while not float(shift.stream.split()[-1]) + shift.days > 1.0:
        shift = one_scan(days[1:], rng)
    shifts = {
        "right": AS_DATED,
        "treatments": Shift(TREATMENTS, int(rng.choice([-DAYS, DAYS]))),
        "scan": shift,
    }
    return {name: _told(own, one) for name, one in shifts.items()}


def _told(own: LatticePatient, shift: Shift) -> dict[str, Any]:
    recorded, true = _misdated(own.history, shift)
    plain = prepared(recorded, SETTINGS)
    problem = replace(plain, observations=replace(own.problem.observations, days=plain.observations.days))
    tumour = DatedTumour(problem, recorded)
    found = laplace(problem, renewals=0)
    posterior = clock_posterior(tumour, found)
    quantiles = Mixture(posterior).quantiles(LEVELS)[:, problem.dynamics.unknowns.names.index(ALPHA)]
    alpha = own.xi[problem.dynamics.unknowns.names.index(ALPHA)]
    fits = [problem.errors().misfit(one.residual(one.states(own.xi), own.xi)) for one in (problem, tumour.under(true))]
    return kept(posterior, true) | {
        "oracle": 0.5 * (fits[0] - fits[1]),
        "below": [float(np.mean(quantiles < alpha))],
        "misfit": found.statistics.misfit,
    }


def _misdated(history: TumourHistory, shift: Shift) -> tuple[TumourHistory, Shift]:
    """Return the history with one stream dated late by the shift's days, and the shift by its recorded name."""
    if shift.stream != TREATMENTS:
        moved = {one.day: one.day + shift.days * (scan_stream(one.day) == shift.stream) for one in history.scans}
        scans = tuple(replace(one, day=moved[one.day]) for one in history.scans)
        names = {scan_stream(before): scan_stream(after) for before, after in moved.items()}
        return replace(history, scans=scans), replace(shift, stream=names.get(shift.stream, ""))
    return (
        replace(
            history,
            irradiations=tuple(replace(one, day=one.day + shift.days) for one in history.irradiations),
            drug_doses=tuple(replace(one, day=one.day + shift.days) for one in history.drug_doses),
        ),
        shift,
    )


def _history(rng: np.random.Generator) -> TumourHistory:
    at = (np.indices(SHAPE) + 0.5) * EDGE_MM
    middle = (np.array(SHAPE) * EDGE_MM / 2.0)[:, None, None, None]
    distance = np.linalg.norm(at - middle, axis=0)
    tissue = np.ones(SHAPE, dtype=np.bool_)
    first = float(rng.integers(16, 25))
    begin = first + float(rng.integers(15, 21))
    days = (0.0, first, begin + float(rng.integers(14, 29)), begin + float(rng.integers(63, 78)), begin + 115.0)
    scans = []
    for day in days:
        roi = np.where(distance < 8.0, ENHANCING, np.where(distance < 13.0, NON_ENHANCING, 0))
        cells = np.where(distance < 16.0, 0.9 / (1.0 + np.exp((distance - 11.0) / 2.0)), np.nan)
        scans.append(TumourScan(day, cells, np.where(np.isfinite(cells), 0.12, np.nan), roi.astype(np.uint8)))
    fractions = [begin + 7 * (i // 5) + i % 5 for i in range(30)]
    return TumourHistory(
        "simulated",
        np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0]),
        tissue,
        np.where(np.indices(SHAPE)[1] > SHAPE[1] // 3, 0.9, 0.2),
        tuple(scans),
        tuple(Irradiation(day, np.full(SHAPE, 2.0)) for day in fractions),
        tuple(DrugDose(begin + day, "temozolomide", 140.0) for day in range(42)),
    )


def _drawn(
    own: CalibrationProblem, xi: Values, states: tuple[Values, ...], rng: np.random.Generator
) -> CalibrationProblem:
    """Return the problem with errors that belong to the true densities, and data drawn with them."""
    seen = replace(own, observations=own.observations.around(states, own.dynamics.unknowns))
    errors = seen.errors()
    shared = errors.columns @ rng.standard_normal(errors.columns.shape[1])
    noise = np.sqrt(errors.diagonal) * rng.standard_normal(len(errors.diagonal))
    values = seen.observations.predicted(states, xi, own.dynamics.unknowns) + shared + noise
    scans, first = [], 0
    for scan in seen.observations.scans:
        readings = []
        for one in scan:
            readings.append(replace(one, values=values[first : first + len(one.values)]))
            first += len(one.values)
        scans.append(tuple(readings))
    return replace(seen, observations=replace(seen.observations, scans=tuple(scans)))
