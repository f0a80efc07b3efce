"""Cases of one patient whose dates are wrong: none, treatments, one scan; and what a calibration says of each."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from worlds.radial_patients import RadialPatient, clocks, misdated, patient
from worlds.radial_posterior import radial_draws

from palpate.twin.clocks.evidence import ClockEvidence, ShiftedFit, search
from palpate.twin.clocks.mixture import Mixture
from palpate.twin.clocks.posterior import ClockPosterior
from palpate.twin.clocks.shift import AS_DATED, TREATMENTS, Shift, StreamClock
from palpate.twin.clocks.state_space import DatedRecord, fitted, scan_name

type Values = NDArray[np.float64]

DAYS: Final = 14
"""Days by which dates are wrong."""
FITS: Final = (14, 28)
"""Shifts that are fitted first, as on the lattice."""
DRAWS: Final = 200
AHEAD: Final = (30.0, 60.0)
"""Days of the forecast after the last scan."""


def radial_case(seed: int, number: int) -> dict[str, Any]:
    """Return what calibrations say of a patient with right dates, with all treatments and with one scan misdated.

    Args:
        seed: seed of the cohort.
        number: number of the patient.
    """
    own, rng = patient(seed, number), np.random.default_rng([seed, 1, number])
    shifts = {
        "right": AS_DATED,
        "treatments": Shift(TREATMENTS, int(rng.choice([-DAYS, DAYS]))),
        "scan": one_scan(own.days, rng),
    }
    return {name: _told(own, shift, number) for name, shift in shifts.items()}


def one_scan(days: tuple[float, ...], rng: np.random.Generator) -> Shift:
    """Return a shift of one scan's date that keeps the order of scans.

    Args:
        days: true days of the scans.
        rng: generator of random numbers.
    """
    possible = [
        Shift(scan_name(day), side)
        for at, day in enumerate(days)
        for side in (-DAYS, DAYS)
        if (at == 0 or day + side > days[at - 1] + 1) and (at == len(days) - 1 or day + side < days[at + 1] - 1)
    ]
    return possible[rng.integers(len(possible))]


def kept(found: ClockPosterior, true: Shift) -> dict[str, Any]:
    """Return the evidence of all shifts and the true shift, as plain JSON values.

    Args:
        found: posterior of the shifts.
        true: true shift, with its stream named by the recorded day.
    """
    return {
        "true": [true.stream, true.days],
        "evidence": [
            [one.stream, one.earliest, one.latest, *(part.tolist() for part in found.evidence.log_evidences(one))]
            for one in found.evidence.clocks
        ],
        "fits": len(found.evidence.fits),
    }


def judged(told: dict[str, Any]) -> dict[str, Any]:
    """Return the same, with what is flagged by today's rules.

    Args:
        told: values that `kept` returned, with further figures of the case.
    """
    nothing = np.zeros(0), np.zeros((0, 0))
    streams, fits = [], []
    for stream, earliest, latest, days, values in told["evidence"]:
        streams.append(StreamClock(stream, earliest, latest))
        fits += [ShiftedFit(Shift(stream, day), one, *nothing) for day, one in zip(days, values, strict=True) if day]
    found = ClockPosterior(ClockEvidence(tuple(streams), ShiftedFit(AS_DATED, 0.0, *nothing), tuple(fits)))
    flagged, (stream, late) = found.summary.flagged, told["true"]
    right = flagged is not None and _same(flagged.stream, stream) and flagged.shift_days * late > 0
    return told | {"as_dated": found.as_dated, "flagged": flagged is not None, "named": right}


def _same(said: str, true: str) -> bool:
    """Return whether a stream is named rightly: radiotherapy is most of all treatments."""
    return said == true or (true == TREATMENTS and said == "radiotherapy")


def _told(own: RadialPatient, shift: Shift, number: int) -> dict[str, Any]:
    record, true = (own.record, AS_DATED) if shift == AS_DATED else misdated(own, shift)
    rng = np.random.default_rng([2, number])
    dated = fitted(record, AS_DATED, np.zeros(record.size))
    found = ClockPosterior(search(clocks(record), lambda one, near: fitted(record, one, near), dated, FITS))
    drawn = radial_draws(record, Mixture(found), DRAWS, rng)
    xi = own.xi[None]
    parts = [ahead(record, one, drawn.xi[[s == one for s in drawn.shifts]], rng) for one in set(drawn.shifts)]
    order = [i for one in set(drawn.shifts) for i, s in enumerate(drawn.shifts) if s == one]
    values = np.concatenate([drawn.xi[order, 2:3], np.concatenate(parts)], axis=1)
    truth = np.concatenate([xi[0, 2:3], ahead(record, true, xi, np.random.default_rng([3, number]))[0]])
    fit = record.residual(dated.mode[None])[0]
    return kept(found, true) | {
        "oracle": float(0.5 * ((record.residual(xi) ** 2).sum() - (record.residual(xi, true) ** 2).sum())),
        "below": ((values < truth).mean(axis=0)).tolist(),
        "misfit": float((fit**2).mean()),
    }


def ahead(record: DatedRecord[Any], shift: Shift, xi: Values, rng: np.random.Generator) -> Values:
    """Return visible volume and burden of the forecast's days, mL, shape (draws, 2 days).

    Args:
        record: record of the patient, with dates as recorded.
        shift: shift under which the patient is followed.
        xi: unknowns of every draw, shape (draws, size).
        rng: generator of the drift to come.
    """
    model = record.model
    theta, u = xi[:, : len(model.parameters)], record.moved(record.treatment, shift)
    day, x, found = record.true_days(shift)[-1], record.states(xi, shift)[-1], []
    for after in AHEAD:
        until = record.days[-1] + after
        x, day = model.step(x, theta, u, day, until, rng.standard_normal((len(xi), 1))), until
        found += [model.volumes_ml(x, theta, "infiltrated"), model.burdens_ml(x)]
    return np.stack(found, axis=1)
