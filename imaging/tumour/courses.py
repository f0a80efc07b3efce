"""Courses of radiotherapy as they will be applied: number of fractions, total dose, first and last day."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.tumour.fractionation import MOST_GY
from palpate.imaging.tumour.history import Irradiation
from palpate.imaging.tumour.treatments import TreatmentRow
from palpate.quality_warning import QualityWarning

GAP_DAYS: Final = 30.0
"""Shortest pause after which another course begins, days."""
RADIOSURGERY_GY: Final = 8.0
"""Dose in the hottest voxel from which on a fraction is radiosurgery, Gy.

Radiosurgery is a course of its own: boosts of 15 to 24 Gy precede 60 Gy in weeks.
"""
MOST_LIFETIME_GY: Final = 120.0
"""Largest plausible dose of all courses together, Gy.

The sum with re-irradiation stays below some 100 to 110 Gy (docs/decisions/0081).
"""
_OVERLAP: Final = 1.5
_MOST_DAY_GY: Final = 4.0
"""Largest plausible dose of one day, Gy. Two fractions a day give 2 to 3.6 Gy together."""
_WHOLE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Given:
    """One fraction, and the line that it comes from.

    Attributes:
        irradiation: day and dose on the grid.
        row: line of the table.
        over: number of fractions of the plan that its dose file sums over; 1 where there is none.
        largest_gy: dose of its hottest voxel in tissue, Gy.
    """

    irradiation: Irradiation
    row: TreatmentRow
    over: int
    largest_gy: float


@dataclass(frozen=True, slots=True)
class RadiotherapyCourse:
    """A course, by the doses that the growth model will apply.

    Attributes:
        fractions: number of fractions.
        total_gy: sum over the course in the hottest voxel of tissue, Gy.
        first_day, last_day: days of the first and the last fraction since the first scan.
        fraction_gy: largest dose of a fraction in tissue, Gy.
    """

    fractions: int
    total_gy: float
    first_day: float
    last_day: float
    fraction_gy: float

    def sentence(self, first: datetime.date) -> str:
        """Return the course in one sentence for the log.

        Args:
            first: day of the first scan.
        """
        begin, end = (first + datetime.timedelta(days=day) for day in (self.first_day, self.last_day))
        count = f"{self.fractions} fraction{'s' if self.fractions != 1 else ''}"
        when = f"from {begin} to {end}" if self.fractions > 1 else f"on {begin}"
        return f"{count}, {self.total_gy:.1f} Gy in all, {when} (largest dose in tissue)"

    def as_record(self) -> dict[str, float]:
        """Return the JSON object of a record's list of courses; days count from the first scan."""
        return asdict(self)


def courses(given: Sequence[Given], tissue: NDArray[np.bool_]) -> tuple[RadiotherapyCourse, ...]:
    """Sum fractions up by course.

    Args:
        given: fractions in order of their days.
        tissue: brain, shape (i, j, k).

    Raises:
        InputError: a course gives more than MOST_GY in one voxel.
    """
    return tuple(_course(one, tissue) for one in _grouped(given))


def course_warnings(given: Sequence[Given], tissue: NDArray[np.bool_]) -> tuple[QualityWarning, ...]:
    """Return warnings about courses that are unusual and may still be right.

    Args:
        given: fractions in order of their days.
        tissue: brain, shape (i, j, k).
    """
    found = []
    groups = _grouped(given)
    total_gy = _hottest_gy(given, tissue)
    if total_gy > MOST_LIFETIME_GY:
        sentence = f"All courses of radiotherapy together give up to {total_gy:.1f} Gy in one voxel of the brain."
        found.append(QualityWarning("lifetime-dose-high", sentence, "Check that no course is in the table twice."))
    for group in groups:
        found += _unlike_plan(group)
    days = sorted({one.irradiation.day for one in given})
    doubled = [day for day in days if _doubled([one for one in given if one.irradiation.day == day], tissue)]
    if doubled:
        days_of = f"{len(doubled)} day{'s' if len(doubled) != 1 else ''}"
        sentence = f"On {days_of} fractions meet in one voxel with more than {_MOST_DAY_GY:g} Gy in all."
        found.append(QualityWarning("fractions-overlap", sentence, "Check that no fraction is in the table twice."))
    return tuple(found)


def demand_course_lines(given: Sequence[Given]) -> None:
    """Refuse a plan of several fractions that a single line names: it may mean one fraction or all of them.

    Raises:
        InputError: the table holds such a line.
    """
    for one in given:
        row = one.row
        alike = [other for other in given if other.row.dose_file == row.dose_file]
        if row.dose_file is not None and one.over > 1 and row.days_a_week is None and len(alike) == 1:
            raise InputError(
                f"{row.where}, column fractions",
                found=f"one line for a dose file of {one.over} fractions",
                expected="days_a_week where the line is the whole course, else one line for each fraction given",
                advice="Write days_a_week 5 beside it for a course of weekdays, else one line for each fraction given; "
                "where one fraction alone was given, give its dose in a file of its own with fractions 1.",
            )


def _grouped(given: Sequence[Given]) -> list[list[Given]]:
    """Return fractions by course, in order of their first days."""
    found: list[list[Given]] = []
    for radiosurgery in (False, True):
        group: list[Given] = []
        for one in given:
            if (one.largest_gy >= RADIOSURGERY_GY) != radiosurgery:
                continue
            if group and one.irradiation.day - group[-1].irradiation.day >= GAP_DAYS:
                found.append(group)
                group = []
            group.append(one)
        if group:
            found.append(group)
    return sorted(found, key=lambda group: group[0].irradiation.day)


def _course(group: Sequence[Given], tissue: NDArray[np.bool_]) -> RadiotherapyCourse:
    total_gy = _hottest_gy(group, tissue)
    first, last = group[0], group[-1]
    if total_gy > MOST_GY:
        lines = sorted({one.row.line for one in group})
        among = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} to {lines[-1]}"
        raise InputError(
            f"{first.row.where.rpartition(', line ')[0]}, {among}",
            found=f"{len(group)} fractions with {total_gy:.5g} Gy in all",
            expected=f"at most {MOST_GY:g} Gy in a course",
            advice="dose_gy is one fraction's dose, and fractions the number over which a dose file sums; check "
            "both, and that no fraction is in the table twice.",
        )
    largest_gy = max(one.largest_gy for one in group)
    return RadiotherapyCourse(len(group), total_gy, first.irradiation.day, last.irradiation.day, largest_gy)


def _hottest_gy(given: Sequence[Given], tissue: NDArray[np.bool_]) -> float:
    """Sum of fractions in the hottest voxel of tissue, Gy."""
    if not given or not tissue.any():
        return 0.0
    total = np.zeros(int(tissue.sum()))
    counts: dict[int, int] = {}
    volumes = {id(one.irradiation.dose_gy): one.irradiation.dose_gy for one in given}
    for one in given:
        key = id(one.irradiation.dose_gy)
        counts[key] = counts.get(key, 0) + 1
    for key, count in counts.items():
        total += count * volumes[key][tissue]
    return float(total.max())


def _doubled(given: Sequence[Given], tissue: NDArray[np.bool_]) -> bool:
    """Return whether fractions of one day meet in a voxel with more than is given on a day."""
    if len(given) < 2:
        return False
    together = _hottest_gy(given, tissue)
    return together > max(_MOST_DAY_GY, _OVERLAP * max(one.largest_gy for one in given))


def _unlike_plan(group: Sequence[Given]) -> list[QualityWarning]:
    """Return a warning where a course gives fewer or more fractions than the plans of its dose files have."""
    filed = [one for one in group if one.row.dose_file is not None and one.over > 1]
    if not filed:
        return []
    share = sum(1.0 / one.over for one in filed)
    most = max(filed, key=lambda one: one.over).over
    files = {one.row.dose_file for one in filed}
    if share < 1.0 - _WHOLE:
        sentence = f"The table holds {len(filed)} of the {most} fractions of a plan; only these are applied."
        advice = "Add the missing lines, also those that are planned, or check the column fractions."
    elif len(files) == 1 and share > 1.0 + _WHOLE:
        sentence = f"The table holds {len(filed)} fractions of a plan of {most}; all of them are applied."
        advice = "Check that no line is there twice, and the column fractions."
    else:
        return []
    return [QualityWarning("fractions-unlike-plan", sentence, advice)]
