"""The table observations.tsv beside the table of sessions: streams of all subjects.

| column | |
|---|---|
| subject | BIDS label, without "sub-" |
| stream | name of the stream |
| value, unit | number, and its unit as UCUM writes it (1 for a ratio) |
| error | standard deviation of its error, in the unit; empty where nobody knows |
| acquired | date, or date and time, of the measurement |
| available | when the result became known; empty for the time of the measurement |
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from palpate.config.table import TableColumns, read_table
from palpate.errors import InputError
from palpate.imaging.tumour.streams.moment import demand_known_after, demand_past, moment_of
from palpate.imaging.tumour.streams.stated import StatedValue, demand_name, demand_unit

COLUMNS: Final = TableColumns(
    ("subject", "stream", "value", "unit", "acquired"),
    ("error", "available"),
    advice_unknown="Remove the column; facts that do not change belong into participants.tsv.",
)
"""Columns of the table."""
_EMPTY: Final = ("", "n/a")


def read_observations_table(path: Path, today: datetime.date) -> tuple[StatedValue, ...]:
    """Read the streams of all subjects.

    Args:
        path: tab-separated file with a header line.
        today: date of today; nothing can have been measured after it.

    Returns:
        Its lines in the order of the file.

    Raises:
        InputError: the file is no such table, or a cell cannot be used.
    """
    advice = "Give a tab-separated table (docs/streams.md)."
    rows = read_table(path, COLUMNS, what="a table of observations", advice=advice)
    return tuple(_stated(f"{path}, line {line}", row, today) for line, row in rows)


def _stated(where: str, row: Mapping[str, str], today: datetime.date) -> StatedValue:
    cells = {name: "" if cell in _EMPTY else cell for name, cell in row.items()}
    if not cells["subject"]:
        raise InputError(where, found="no subject", expected="the label of a subject", advice="Fill in the column.")
    acquired = moment_of(where, "acquired", cells["acquired"])
    demand_past(where, "acquired", acquired, today)
    stated = cells.get("available", "")
    available = demand_known_after(where, acquired, moment_of(where, "available", stated)) if stated else acquired
    error = number_of(where, "error", cells["error"]) if cells.get("error", "") else None
    if error is not None and error <= 0.0:
        raise InputError(
            f"{where}, error",
            found=f"{error:g}",
            expected="a positive standard deviation",
            advice="Leave the cell empty where the error is not known.",
        )
    return StatedValue(
        where,
        cells["subject"].removeprefix("sub-"),
        demand_name(where, cells["stream"]),
        demand_unit(where, cells["unit"]),
        acquired,
        available,
        number_of(where, "value", cells["value"]),
        error,
    )


def number_of(where: str, name: str, cell: str) -> float:
    """Return the number in a cell.

    Args:
        where: table and line, for errors.
        name: name of the column.
        cell: text of the cell.

    Raises:
        InputError: it is no finite number.
    """
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if abs(value) < float("inf"):
        return value
    bound = cell[:1] in ("<", ">")
    raise InputError(
        f"{where}, {name}",
        found=f"{cell[:30]!r}" if cell else "no number",
        expected="a finite number with a decimal point",
        advice="A bound of detection is no measurement: leave the line out." if bound else "Write the number alone.",
    )
