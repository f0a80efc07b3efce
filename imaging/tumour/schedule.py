"""Days of a course that one line of the table of treatments stands for."""

from __future__ import annotations

import datetime
from typing import Final

from palpate.errors import InputError

MOST_FRACTIONS: Final = 100
"""Largest number of fractions of a course."""
_WORKDAYS: Final = {5: "Monday to Friday", 6: "Monday to Saturday"}
_WEEK: Final = 7
_KNOWN: Final = (1, *_WORKDAYS, _WEEK)


def days_a_week_of(where: str, date: datetime.date, cell: str) -> int | None:
    """Return the number of days of a week on which a course gives a fraction; None where the cell is empty.

    Args:
        where: table and line, for errors.
        date: day of the first fraction.
        cell: text of the column days_a_week.

    Raises:
        InputError: the number does not tell the weekdays, or such a course does not begin on the first day.
    """
    if not cell:
        return None
    if cell not in map(str, _KNOWN):
        raise InputError(
            where,
            found=f"days_a_week {cell[:30]!r}",
            expected="5 (Monday to Friday), 6 (Monday to Saturday), 7 (every day) or 1 (once a week)",
            advice="Write one line a fraction where other days were treated.",
        )
    number = int(cell)
    if number in _WORKDAYS and date.weekday() >= number:
        raise InputError(
            where,
            found=f"a course of {number} days a week that begins on a {date:%A}",
            expected=f"a first fraction from {_WORKDAYS[number]}",
            advice="Correct the date or days_a_week, or write one line a fraction.",
        )
    return number


def course_dates(first: datetime.date, fractions: int, days_a_week: int) -> tuple[datetime.date, ...]:
    """Return the days of a course without gaps; holidays are not known.

    Args:
        first: day of the first fraction.
        fractions: number of fractions, at most one a day.
        days_a_week: number of days of a week with a fraction, from days_a_week_of.
    """
    if days_a_week == 1:
        return tuple(first + datetime.timedelta(weeks=number) for number in range(fractions))
    found: list[datetime.date] = []
    day = first
    while len(found) < fractions:
        if day.weekday() < days_a_week:
            found.append(day)
        day += datetime.timedelta(days=1)
    return tuple(found)
