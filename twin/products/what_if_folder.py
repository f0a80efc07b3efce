"""Output folder of forecasts under several schedules.

as_planned/, <schedule>/    a folder of palpate forecast each
difference.tsv              paired differences from as_planned: schedule, day, quantity, mean, std, lower, upper
difference.json             the same with more intervals, number of draws, schedules, and effects from priors alone
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import numpy as np
from mpi4py import MPI

from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.resources import gather_use
from palpate.twin.alerts.alert import AlertInputs
from palpate.twin.biology import prior_shifts, untried
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.products.figures import intervals
from palpate.twin.products.forecast_folder import forecast_of_days, write_forecast
from palpate.twin.scenario.schedule import Schedule
from palpate.twin.scenario.what_if import PairedDifference, ScheduledPatient, courses_of, differences
from palpate.twin.trust.domain import domain
from palpate.twin.trust.tried import demand_tried_horizon, joined

COLUMNS: Final = ("schedule", "day", "quantity", "mean", "std", "lower", "upper")
"""Columns of difference.tsv."""


def what_if_into(
    calibration: Calibration,
    schedules: Sequence[Schedule],
    after_days: Sequence[float],
    out: Path,
    comm: MPI.Comm = MPI.COMM_SELF,
    *,
    displacement: bool = False,
    alerts: AlertInputs | None = None,
) -> list[PairedDifference]:
    """Forecast a patient as planned and under other schedules, and write the folder. Collective.

    Args:
        calibration: calibration of the tumour; nothing is calibrated again.
        schedules: schedules, each in place of the planned one.
        after_days: days after the last scan.
        out: folder to create, or to replace where palpate wrote it.
        comm: ranks to share the draws; the first one writes.
        displacement: whether the displacement of tissue is forecast under each schedule too.
        alerts: bound of the probability of progression, and what is wrong with the calibration; None for no alerts.

    Returns:
        The paired differences from the planned schedule.

    Raises:
        InputError: a schedule cannot be applied, a day is not after the last scan or further ahead than was ever
            validated, or the folder holds somebody else's files.
    """
    demand_tried_horizon(after_days)
    target = claim_folder(out, "forecast", {f"schedule {at}": one.path for at, one in enumerate(schedules, start=1)})
    courses = courses_of(calibration, schedules)
    with target.owned() if comm.rank == 0 else nullcontext():
        forecasts = []
        for course in courses:
            say(f"schedule {course.name}")
            forecasts.append(
                forecast_of_days(course.calibration, after_days, comm, displacement=displacement, alerts=alerts)
            )
        gather_use(comm)
        planned = forecasts[0].ahead
        found = [
            one
            for course, ahead in zip(courses[1:], forecasts[1:], strict=True)
            for one in differences(planned, ahead.ahead, course.name)
        ]
        if comm.rank == 0:
            with target.writing() as partial:
                for course, ahead in zip(courses, forecasts, strict=True):
                    (partial / course.name).mkdir()
                    write_forecast(partial / course.name, ahead, after_days)
                (partial / "difference.tsv").write_text(difference_table(found), encoding="utf-8")
                record = _record(calibration, courses, schedules, found, max(after_days))
                (partial / "difference.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return found


def difference_table(found: Sequence[PairedDifference]) -> str:
    """Return the lines of difference.tsv; lower and upper are the ends of the 95 % interval.

    Args:
        found: paired differences.
    """
    lines = ["\t".join(COLUMNS)]
    for one in found:
        lower, upper = np.quantile(one.values, [0.025, 0.975])
        numbers = (float(one.values.mean()), float(one.values.std(ddof=1)), float(lower), float(upper))
        told = "\t".join(f"{value:.5g}" for value in numbers)
        lines.append(f"{one.schedule}\t{one.day:g}\t{one.quantity}\t{told}")
    return "\n".join(lines) + "\n"


def prior_warning(course: ScheduledPatient) -> QualityWarning | None:
    """Return a warning of effects that come from priors alone; None where there are none.

    Args:
        course: the patient under one schedule.
    """
    if not course.from_prior:
        return None
    named = ", ".join(name.removeprefix("kill:") for name in course.from_prior)
    return QualityWarning(
        "effect-from-prior",
        f"Under {course.name} the effect of {named} is the population's: this patient never had the treatment.",
        "Read the interval as one of patients in general; a scan under the treatment would tell.",
    )


def _record(
    calibration: Calibration,
    courses: Sequence[ScheduledPatient],
    schedules: Sequence[Schedule],
    found: Sequence[PairedDifference],
    after_days: float,
) -> dict[str, object]:
    warnings = [warning for course in courses if (warning := prior_warning(course)) is not None]
    unlike = untried(prior_shifts(calibration.history, calibration.settings))
    tried = {course.name: domain(course.calibration, after_days, unlike) for course in courses}
    warnings += joined(tried.values()).warnings()
    for warning in warnings:
        say(f"WARNING: {warning}")
    return {
        "subject": calibration.history.subject,
        "model": "lattice",
        "units": {"volumes": "mL", "days": "since the first scan"},
        "reference": courses[0].name,
        "draws": len(calibration.draws.xi),
        "schedules": [one.settings.model_dump(mode="json", by_alias=True) for one in schedules],
        "differences": [
            {"schedule": one.schedule, "day": one.day, "quantity": one.quantity}
            | intervals(one.values)
            | {"probability_less": float(np.mean(one.values < 0.0))}
            for one in found
        ],
        "domain": {name: one.as_record() for name, one in tried.items()},
        "warnings": [one.as_record() for one in warnings],
        "versions": versions(),
    }
