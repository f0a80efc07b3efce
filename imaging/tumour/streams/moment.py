"""Dates and times of measurements, as tables and FHIR write them."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Final

from palpate.errors import InputError

_DAY_S: Final = 86400.0
_FORM: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or a time on it.

    Attributes:
        time: the time as the clock on the spot showed it; midnight where only the day is known.
        whole_day: whether only the day is known.
    """

    time: datetime.datetime
    whole_day: bool

    def day_after(self, first: datetime.date) -> float:
        """Return the days since the beginning of a date.

        Args:
            first: date of the first scan.
        """
        return (self.time - datetime.datetime.combine(first, datetime.time())).total_seconds() / _DAY_S

    def swapped(self) -> Moment | None:
        """Return the moment with day and month exchanged; None where that is no date, or the same."""
        try:
            other = self.time.replace(month=self.time.day, day=self.time.month)
        except ValueError:
            return None
        return None if other == self.time else Moment(other, self.whole_day)


def moment_of(where: str, name: str, text: str) -> Moment:
    """Return the moment that a text states.

    A stated zone is dropped: days are counted by the clock on the spot.

    Args:
        where: file and place in it, for errors.
        name: name of the column or key.
        text: ISO 8601 date, or date and time.

    Raises:
        InputError: the text is no such date.
    """
    try:
        if not _FORM.fullmatch(text):
            raise ValueError
        time = datetime.datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise InputError(
            f"{where}, {name}",
            found=repr(text[:30]),
            expected="a date like 2026-03-31, or with a time like 2026-03-31T08:30",
            advice="Write year, month and day in this order, as ISO 8601 does.",
        ) from error
    return Moment(time, len(text) == len("2026-03-31"))


def demand_past(where: str, name: str, moment: Moment, today: datetime.date) -> None:
    """Refuse a moment of the future, and say so where day and month look exchanged.

    Args:
        where: file and place in it, for errors.
        name: name of the column or key.
        moment: moment that was read.
        today: date of today.

    Raises:
        InputError: the moment is after today.
    """
    if moment.time.date() <= today:
        return
    other = moment.swapped()
    exchanged = other is not None and other.time.date() <= today
    hint = "Day and month look exchanged: write year, month, day." if exchanged else "Correct the date."
    raise InputError(
        f"{where}, {name}",
        found=f"{moment.time.date()}, a date in the future",
        expected="a day that has come: streams hold what was measured",
        advice=hint,
    )


def demand_known_after(where: str, acquired: Moment, available: Moment) -> Moment:
    """Return when a result was known; a bare date means any time on that day.

    Args:
        where: file and place in it, for errors.
        acquired: moment of the measurement.
        available: stated moment at which it became known.

    Raises:
        InputError: it was known before it was measured.
    """
    if available.time >= acquired.time:
        return available
    if available.whole_day and available.time.date() == acquired.time.date():
        return acquired
    turned = [one.swapped() for one in (acquired, available)]
    exchanged = (turned[0] is not None and turned[0].time <= available.time) or (
        turned[1] is not None and turned[1].time >= acquired.time
    )
    raise InputError(
        where,
        found=f"available {available.time.date()}, before it was acquired on {acquired.time.date()}",
        expected="a result that becomes known when it is acquired or later",
        advice="Day and month of one of them look exchanged: write year, month, day."
        if exchanged
        else "Correct one of the two, or exchange the columns.",
    )
