"""Cases of one patient whose dates are wrong: none, treatments, one scan; and what a calibration says of each."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from worlds.radial_patients import RadialPatient, clocks, misdated, patient
from worlds.radial_posterior import radial_draws

from palpate.twin.clocks.evidence import search
from palpate.twin.clocks.mixture import Mixture
from palpate.twin.clocks.posterior import ClockPosterior
from palpate.twin.clocks.shift import AS_DATED, TREATMENTS, Clock, Shift
from palpate.twin.clocks.state_space import DatedRecord, fitted, scan_name

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


def judged(found: ClockPosterior, true: Shift) -> dict[str, Any]:
    """Return what the posterior of shifts says, beside the true shift.

    Args:
        found: posterior of the shifts.
        true: true shift, with its stream named by the recorded day.
    """
    flagged = found.summary.flagged
    right = flagged is not None and _same(flagged.stream, true.stream)
    return {
        "true": [true.stream, true.days],
        "as_dated": found.as_dated,
        "flagged": None if flagged is None else [flagged.stream, flagged.shift_days],
        "named": bool(right and flagged is not None and np.sign(flagged.shift_days) == np.sign(true.days)),
        "unidentified": [one.stream for one in found.estimates if not one.identified],
        "evidence": [
            [one.stream, *(part.tolist() for part in found.evidence.log_evidences(one))] for one in _all(found)
        ],
        "fits": len(found.evidence.fits),
    }


def _all(found: ClockPosterior) -> tuple[Clock, ...]:
    return found.evidence.clocks


def _same(said: str, true: str) -> bool:
    """Return whether a stream is named rightly: radiotherapy is most of all treatments."""
    return said == true or (true == TREATMENTS and said == "radiotherapy")


def _told(own: RadialPatient, shift: Shift, number: int) -> dict[str, Any]:
    record, true = (own.record, AS_DATED) if shift == AS_DATED else misdated(own, shift)
    rng = np.random.default_rng([2, number])
    dated = fitted(record, AS_DATED, np.zeros(record.size))
    found = ClockPosterior(search(clocks(record), lambda one, near: fitted(record, one, near), dated, FITS))
    drawn = radial_draws(record, Mixture(found), DRAWS, rng)
    xi, count = own.xi[None], len(record.model.parameters)
    parts = [ahead(record, one, drawn.xi[[s == one for s in drawn.shifts]], rng) for one in set(drawn.shifts)]
    order = [i for one in set(drawn.shifts) for i, s in enumerate(drawn.shifts) if s == one]
    values = np.concatenate([drawn.xi[order, 2:3], np.concatenate(parts)], axis=1)
    truth = np.concatenate([xi[0, 2:3], ahead(record, true, xi, np.random.default_rng([3, number]))[0]])
    fit = record.residual(dated.mode[None])[0]
    return judged(found, true) | {
        "oracle": float(0.5 * ((record.residual(xi) ** 2).sum() - (record.residual(xi, true) ** 2).sum())),
        "below": ((values < truth).mean(axis=0)).tolist(),
        "below_as_dated": [
            float((values[[drawn.shifts[i] == AS_DATED for i in order]] < truth).mean(axis=0)[at])
            if AS_DATED in drawn.shifts
            else None
            for at in range(len(truth))
        ],
        "below_shifted": _below([drawn.shifts[i] != AS_DATED for i in order], values, truth),
        "dated_share": float(np.mean([one == AS_DATED for one in drawn.shifts])),
        "misfit": float((fit**2).mean()),
        "size": record.size - count,
    }


def _below(chosen: list[bool], values: Any, truth: Any) -> list[float] | None:  # noqa: ANN401
    return (values[chosen] < truth).mean(axis=0).tolist() if any(chosen) else None


def ahead(record: DatedRecord[Any], shift: Shift, xi: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401
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
