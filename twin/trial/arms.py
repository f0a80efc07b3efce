"""Arms of a trial: schedules of virtual patients, who have no images and no planned treatment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from palpate.config.schedule import ALL_PLANNED, ScheduleSettings
from palpate.config.section import checked_settings
from palpate.config.trial import ArmSettings
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.courses import GAP_DAYS
from palpate.imaging.tumour.fractionation import MOST_GY
from palpate.imaging.tumour.history import DrugDose
from palpate.imaging.tumour.schedule import course_dates
from palpate.imaging.tumour.treatments import TreatmentRow
from palpate.twin.rungs.regimen import DatedFraction, DatedOperation, Regimen
from palpate.twin.scenario.schedule import UNDATED, Schedule, read_schedule

MOST_DAY_GY: Final = 4.0
"""Largest dose of a day on which two fractions are given, Gy: more is a fraction that is there twice."""


@dataclass(frozen=True, slots=True)
class TrialArm:
    """Arm of a trial.

    Attributes:
        name: name of the arm.
        regimen: treatment of its patients; days count from day 0.
    """

    name: str
    regimen: Regimen

    @property
    def operation_day(self) -> float:
        """Day of the first operation, infinity without one."""
        return min((one.day for one in self.regimen.operations), default=float("inf"))


def arm_of(settings: ArmSettings, trial: Path, twin: TwinSettings) -> TrialArm:
    """Return an arm as the file of a trial states it.

    Args:
        settings: the arm.
        trial: file of the trial; paths are relative to its folder.
        twin: settings of the twin, with the drugs.

    Raises:
        InputError: the schedule changes what nobody planned, needs images, or has an impossible or unknown treatment.
    """
    schedule = _schedule(settings, trial)
    _demand_additions(schedule)
    rows = schedule.rows(UNDATED)
    for row in rows:
        _demand_no_images(row)
        _demand_known(row, twin)
    fractions = [one for row in rows if row.kind == "radiotherapy" for one in _fractions(row)]
    fractions.sort(key=lambda one: one.day)
    _demand_possible(fractions, f"{schedule.path}, arm {settings.name}")
    doses = tuple(DrugDose(_day(row.date), row.drug, row.amount_mg) for row in rows if row.kind == "chemotherapy")
    operations = sorted((DatedOperation(float(one.day), one.share) for one in settings.operations), key=lambda o: o.day)
    return TrialArm(settings.name, Regimen(tuple(fractions), doses, tuple(operations)))


def _schedule(settings: ArmSettings, trial: Path) -> Schedule:
    """Return the arm's schedule, from its own file or from that of the trial."""
    if isinstance(settings.schedule, str):
        return read_schedule(trial.parent / settings.schedule)
    content: dict[str, Any] = {"name": settings.name} | settings.schedule
    try:
        return Schedule(trial, checked_settings(ScheduleSettings, content), None)
    except InputError as error:
        where = f"{trial}, arm {settings.name}, schedule"
        raise InputError(where, found=error.found, expected=error.expected, advice=error.advice) from error


def _demand_additions(schedule: Schedule) -> None:
    """Refuse changes of planned treatments, of which a virtual patient has none."""
    own = schedule.settings
    changed = "move" if own.move else "scale" if own.scale else "drop" if own.drop not in ((), ALL_PLANNED) else ""
    if changed:
        raise InputError(
            f"{schedule.path}, {changed}",
            found=f"{changed} in the arm {schedule.name}",
            expected="add alone, since a virtual patient has no planned treatment",
            advice="Write out what the arm gets under add.",
        )


def _demand_no_images(row: TreatmentRow) -> None:
    """Refuse what needs a place in a brain."""
    if row.kind == "surgery" or row.dose_file is not None or row.mask_file is not None or row.roi:
        raise InputError(
            row.where,
            found="surgery" if row.kind == "surgery" else "a dose or mask in space",
            expected="doses that are the same in all of the tumour, since a virtual patient has no images",
            advice="State operations under operations of the arm (day, share), and doses by dose_gy.",
        )


def _demand_known(row: TreatmentRow, twin: TwinSettings) -> None:
    """Refuse a drug without kinetics."""
    if row.kind == "chemotherapy" and row.drug not in twin.drugs:
        raise InputError(
            row.where,
            found=f"the drug {row.drug[:30]}, of which the settings have no half-life and no kill",
            expected=f"one of {', '.join(sorted(twin.drugs))}",
            advice="Describe the drug under twin.drugs of the trial.",
        )


def _fractions(row: TreatmentRow) -> list[DatedFraction]:
    assert row.dose_gy is not None  # the reader of rows demands it where there is no file
    one = row.days_a_week is None
    dates = (row.date,) if one else course_dates(row.date, row.fractions or 1, row.days_a_week or 1)
    return [DatedFraction(_day(each), row.dose_gy) for each in dates]


def _day(when: date) -> float:
    return float((when - UNDATED).days)


def _demand_possible(fractions: Sequence[DatedFraction], where: str) -> None:
    """Refuse fractions that meet on a day, and courses beyond any dose that is given."""
    for day, group in groupby(fractions, key=lambda one: one.day):
        doses = [one.dose_gy for one in group]
        if len(doses) > 1 and sum(doses) > MOST_DAY_GY:
            raise InputError(
                where,
                found=f"{len(doses)} fractions with {sum(doses):g} Gy in all on day {day:g}",
                expected=f"fractions that do not overlap: at most {MOST_DAY_GY:g} Gy on a day with several",
                advice="Check that no course is there twice.",
            )
    total, before = 0.0, -GAP_DAYS
    for one in fractions:
        total = one.dose_gy if one.day - before >= GAP_DAYS else total + one.dose_gy
        before = one.day
        if total > MOST_GY:
            raise InputError(
                where,
                found=f"a course with {total:g} Gy and more",
                expected=f"at most {MOST_GY:g} Gy in a course",
                advice="dose_gy is the dose of one fraction; check it and the number of fractions.",
            )
