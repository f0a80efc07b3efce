"""Cells and column names of the table of treatments, read strictly."""

from __future__ import annotations

import datetime
from typing import Final

from palpate.errors import InputError

MOST_FRACTION_GY: Final = 30.0
"""Largest dose_gy, Gy: radiosurgery prescribes up to 24 in one fraction. Spots of a dose file may be hotter."""
LEAST_FRACTION_GY: Final = 0.2
"""Smallest dose of a fraction, Gy: less is a fraction's dose divided once more, or another unit."""


def dose_gy_of(where: str, cell: str) -> float:
    """Return the dose of one fraction, Gy.

    Args:
        where: table and line, for errors.
        cell: text of the column dose_gy.

    Raises:
        InputError: the cell holds no number, or a dose that no fraction has.
    """
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if MOST_FRACTION_GY < value < float("inf"):
        raise InputError(
            where,
            found=f"dose_gy {cell[:30]!r}, which no single fraction has",
            expected=f"the dose of one fraction in Gy, at most {MOST_FRACTION_GY:g}",
            advice="Write the dose of one fraction (palpate takes Gy, not cGy); for a whole course in one line fill in "
            "fractions and days_a_week.",
        )
    return number_of(where, "dose_gy", cell, LEAST_FRACTION_GY, MOST_FRACTION_GY)


def number_of(where: str, name: str, cell: str, least: float, most: float, *, whole: bool = False) -> float:
    """Return the number in a cell.

    Args:
        where: table and line, for errors.
        name: name of the column.
        cell: text of the cell.
        least: smallest possible number.
        most: largest possible number.
        whole: whether only whole numbers are possible.

    Raises:
        InputError: the cell holds no number, or one out of range; the error names the column's unit.
    """
    unit = {"gy": " of gray (Gy)", "mg": " of milligram (mg)", "mm": " of millimetre (mm)"}.get(
        name.rpartition("_")[2], ""
    )
    expected = f"a {'whole ' if whole else ''}number{unit} from {least:g} to {most:g}"
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not least <= value <= most or (whole and value != int(value)):
        raise InputError(
            where,
            found=f"{name} {cell[:30]!r}",
            expected=expected,
            advice="Write it with a decimal point and without a unit; the unit is the column's (Gy, mg, mm).",
        )
    return value


def date_of(where: str, cell: str) -> datetime.date:
    """Return the day in a cell.

    Args:
        where: table and line, for errors.
        cell: text of the cell, ISO 8601.

    Raises:
        InputError: the cell holds no day.
    """
    try:
        return datetime.datetime.strptime(cell, "%Y-%m-%d").date()
    except ValueError as error:
        raise InputError(
            where,
            found=f"date {cell[:30]!r}",
            expected="a day like 2026-03-31",
            advice="Write year, month and day as ISO 8601 does.",
        ) from error
