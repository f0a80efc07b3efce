"""A schedule in days: read from a file, and applied to the treatments that a history plans.

do(u) replaces what chose treatment after the last scan. What was given before is part of the patient: it cannot be
dropped, moved or scaled.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from palpate.config.schedule import ALL_PLANNED, Cell, ScheduleSettings, When
from palpate.config.section import parse_settings
from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, Irradiation, Surgery, TumourHistory
from palpate.imaging.tumour.treatments import TreatmentRow, treatment_rows
from palpate.twin.scenario.placed import placed_on

type Event = Irradiation | DrugDose | Surgery

UNDATED: datetime.date = datetime.date(2001, 1, 1)
"""Monday that stands for the first scan's where nobody states it: rows then have days, and no date is meant."""
_REPEATED: Final[Mapping[str, int]] = {"times": 1000, "every_days": 365}
"""Keys of an added treatment by which it is repeated, and their largest values."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule whose days count from the first scan.

    Attributes:
        path: file of the schedule, for errors.
        settings: the schedule as the file has it.
        first: date of the first scan; None where nobody stated it, and every day is a number.
    """

    path: Path
    settings: ScheduleSettings
    first: datetime.date | None

    @property
    def name(self) -> str:
        """Name of the schedule."""
        return self.settings.name

    def applied(self, history: TumourHistory) -> TumourHistory:
        """Return the history with this schedule in place of the planned treatments.

        Args:
            history: history of the tumour on the twin's lattice, with the treatments that are planned.

        Raises:
            InputError: a day has no planned treatment, lies before the last scan, or an added treatment cannot be used.
        """
        last = history.scans[-1].day
        events: list[Event] = [*history.irradiations, *history.drug_doses, *history.surgeries]
        past = [one for one in events if one.day < last]
        planned = [one for one in events if one.day >= last]
        planned = self._kept(planned, past)
        for at, moved in enumerate(self.settings.move, start=1):
            day, to = self._planned_day(moved.from_, f"move {at}", planned, past), self._day(moved.to, f"move {at}")
            self._demand_ahead(to, last, f"move {at}")
            planned = [replace(one, day=to) if one.day == day else one for one in planned]
        for at, scaled in enumerate(self.settings.scale, start=1):
            day = self._planned_day(scaled.date, f"scale {at}", planned, past)
            planned = [self._scaled(one, scaled.factor, f"scale {at}") if one.day == day else one for one in planned]
        planned += self._added(history, last)
        return _with(history, sorted((*past, *planned), key=lambda one: one.day))

    def _kept(self, planned: list[Event], past: list[Event]) -> list[Event]:
        if self.settings.drop == ALL_PLANNED:
            return []
        assert not isinstance(self.settings.drop, str)
        days = {
            self._planned_day(when, f"drop {at}", planned, past) for at, when in enumerate(self.settings.drop, start=1)
        }
        return [one for one in planned if one.day not in days]

    def _day(self, when: When, where: str) -> float:
        """Return a day since the first scan."""
        if isinstance(when, datetime.datetime | datetime.date):
            if self.first is None:
                raise InputError(
                    f"{self.path}, {where}",
                    found=f"the date {when}",
                    expected="days since the first scan, since a calibration holds no dates",
                    advice="Write days, or state the date of the first scan with --first-scan.",
                )
            return float((when - self.first).days)
        return float(when)

    def _planned_day(self, when: When, where: str, planned: Iterable[Event], past: Iterable[Event]) -> float:
        """Return a day that has planned treatments."""
        day = self._day(when, where)
        if any(one.day == day for one in planned):
            return day
        ahead = sorted({one.day for one in planned})
        listed = ", ".join(f"{one:g}" for one in ahead[:12]) + (", ..." if len(ahead) > 12 else "")
        given = any(one.day == day for one in past)
        raise InputError(
            f"{self.path}, {where}",
            found=f"day {day:g}, on which a treatment was given before the last scan" if given else f"day {day:g}",
            expected=f"a day with planned treatment: {listed}"
            if ahead
            else "a planned treatment, of which there is none",
            advice="Only what lies ahead can be changed: write the day of a planned treatment.",
        )

    def _demand_ahead(self, day: float, last: float, where: str) -> None:
        if day < last:
            raise InputError(
                f"{self.path}, {where}",
                found=f"day {day:g}, before the last scan on day {last:g}",
                expected="a day from the last scan on",
                advice="Only what lies ahead can be changed.",
            )

    def _scaled(self, one: Event, factor: float, where: str) -> Event:
        if isinstance(one, Irradiation):
            return replace(one, dose_gy=one.dose_gy * factor)
        if isinstance(one, DrugDose):
            return replace(one, amount_mg=one.amount_mg * factor)
        raise InputError(
            f"{self.path}, {where}",
            found=f"an operation on day {one.day:g}",
            expected="radiotherapy or a drug, whose doses can be multiplied",
            advice="Drop the operation, or add another region.",
        )

    def _added(self, history: TumourHistory, last: float) -> list[Event]:
        """Return the events of the treatments that are added."""
        base = UNDATED if self.first is None else self.first
        rows = self.rows(base)
        for row in rows:
            self._demand_ahead(float((row.date - base).days), last, row.where.rpartition(", ")[2])
        return placed_on(history, rows, base)

    def rows(self, base: datetime.date) -> tuple[TreatmentRow, ...]:
        """Return the treatments that are added as lines of a table, each repetition a line of its own.

        Args:
            base: date that stands for the first scan's.

        Raises:
            InputError: a treatment is impossible, or repeated an impossible number of times.
        """
        cells = []
        for at, row in enumerate(self.settings.add, start=1):
            plain = {name: cell for name, cell in row.items() if name not in _REPEATED}
            own = self._cells(plain, base, f"add {at}")
            first, (times, every) = datetime.date.fromisoformat(own["date"]), self._repeated(row, f"add {at}")
            for number in range(times):
                date = first + datetime.timedelta(days=number * every)
                cells.append((f"{self.path}, add {at}", at, own | {"date": date.isoformat()}))
        return treatment_rows(cells, self.path)

    def _repeated(self, row: Mapping[str, Cell], where: str) -> tuple[int, int]:
        """Return how often a treatment is given, and after how many days again."""
        found = []
        for name, most in _REPEATED.items():
            value = row.get(name, 1)
            if not isinstance(value, int | float) or isinstance(value, bool) or value not in range(1, most + 1):
                raise InputError(
                    f"{self.path}, {where}",
                    found=f"{name} {_text(value)[:30]!r}",
                    expected=f"a whole number from 1 to {most}",
                    advice="Write how often the treatment is given (times) and after how many days again (every_days).",
                )
            found.append(int(value))
        return found[0], found[1]

    def _cells(self, row: Mapping[str, Cell], base: datetime.date, where: str) -> dict[str, str]:
        """Return a treatment's cells as text, its day as a date."""
        if "date" not in row:
            raise InputError(
                f"{self.path}, {where}",
                found="no date",
                expected="date, or days since the first scan",
                advice="Add it.",
            )
        stated = row["date"]
        when = _dated(f"{self.path}, {where}", stated) if isinstance(stated, str) else stated
        date = base + datetime.timedelta(days=self._day(when, where))
        return {name: _text(cell) for name, cell in row.items() if name != "date"} | {"date": date.isoformat()}


def first_scan_date(text: str | None) -> datetime.date | None:
    """Return the date of the first scan that a user states; None where nobody does.

    Args:
        text: ISO 8601 date, or None.

    Raises:
        InputError: the text is no date.
    """
    return None if text is None else _dated("--first-scan", text)


def read_schedule(path: Path, first: datetime.date | None = None) -> Schedule:
    """Read the file of a schedule.

    Args:
        path: YAML or JSON file.
        first: date of the first scan, where the file has dates.

    Raises:
        InputError: the file cannot be read, or a key or value in it is none of a schedule.
    """
    if not path.is_file():
        advice = "Name the YAML file of a schedule (docs/what-if.md)."
        raise InputError(path, found="no such file", expected="a schedule", advice=advice)
    return Schedule(path, parse_settings(ScheduleSettings, str(path)), first)


def _dated(where: str, text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            where,
            found=f"date {text[:30]!r}",
            expected="a day like 2026-03-31, or days since the first scan",
            advice="Write year, month and day as ISO 8601 does.",
        ) from error


def _text(cell: Cell) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _with(history: TumourHistory, events: Iterable[Event]) -> TumourHistory:
    """Return the history with other treatments, each kind in order of its days."""
    listed = list(events)

    def of[E: Event](kind: type[E]) -> tuple[E, ...]:
        return tuple(one for one in listed if isinstance(one, kind))

    return replace(history, irradiations=of(Irradiation), drug_doses=of(DrugDose), surgeries=of(Surgery))
