"""Numbers of streams as files state them, and the checks that need several of them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from palpate.errors import InputError
from palpate.imaging.tumour.streams.moment import Moment
from palpate.imaging.tumour.streams.value import StreamValue

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.\-]{0,63}")
_UNIT: Final = re.compile(r"[!-~]{1,40}")


@dataclass(frozen=True, slots=True)
class StatedValue:
    """A number of a stream with the place where it was read.

    Attributes:
        where: file and place in it, for errors.
        subject: BIDS label of the subject, without "sub-".
        stream: name of the stream.
        unit: its unit, as UCUM writes it.
        acquired: moment of the measurement.
        available: moment at which it became known.
        value: the number.
        error: standard deviation of its error, in the unit; None where none is stated.
    """

    where: str
    subject: str
    stream: str
    unit: str
    acquired: Moment
    available: Moment
    value: float
    error: float | None

    def since(self, first: datetime.date) -> StreamValue:
        """Return the number in days since a date.

        Args:
            first: date of the first scan.
        """
        days = self.acquired.day_after(first), self.available.day_after(first)
        return StreamValue(self.stream, self.unit, *days, self.value, self.error)


def demand_name(where: str, stream: str) -> str:
    """Return the name of a stream in lower case.

    Raises:
        InputError: it is no name.
    """
    name = stream.strip().lower()
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{where}, stream",
            found=repr(stream[:40]),
            expected="a name of letters, digits, dots, dashes and underscores, such as serum_ldh",
            advice="Name the stream alike in every line.",
        )
    return name


def demand_unit(where: str, unit: str) -> str:
    """Return a unit.

    Raises:
        InputError: there is none, or it has blanks or letters that UCUM does not know.
    """
    if not _UNIT.fullmatch(unit):
        raise InputError(
            f"{where}, unit",
            found=repr(unit[:40]) if unit else "no unit",
            expected="a unit as UCUM writes it, such as mg/L, U/L or 1 for a ratio",
            advice="State the unit; a number without one cannot be used.",
        )
    return unit


def demand_one_unit(values: Iterable[StatedValue]) -> None:
    """Refuse a stream whose unit switches.

    Args:
        values: numbers of all streams and subjects.

    Raises:
        InputError: two numbers of one stream have different units.
    """
    first: dict[str, StatedValue] = {}
    for one in values:
        before = first.setdefault(one.stream, one)
        if before.unit != one.unit:
            raise InputError(
                one.where,
                found=f"{one.stream} in {one.unit}, after {before.unit} at {before.where}",
                expected="one unit for a stream in all lines",
                advice="Convert the numbers to one unit, or give the streams different names.",
            )


def demand_one_value(values: Sequence[StatedValue]) -> None:
    """Refuse two results of one time of which neither replaces the other.

    A result that became known later replaces the earlier one; both are kept, with the days on which they were known.

    Args:
        values: numbers of one subject.

    Raises:
        InputError: a stream has two results of one time that became known at the same time.
    """
    first: dict[tuple[str, datetime.datetime, datetime.datetime], StatedValue] = {}
    for one in values:
        key = (one.stream, one.acquired.time, one.available.time)
        before = first.setdefault(key, one)
        if before is not one:
            same = "the same line twice" if before.value == one.value else f"{one.value:g} and {before.value:g}"
            raise InputError(
                one.where,
                found=f"two values of {one.stream} for one time ({same}), the other at {before.where}",
                expected="one value for a time, or a later day in available for the one that replaces the other",
                advice="Remove one, or state when the correction became available.",
            )
