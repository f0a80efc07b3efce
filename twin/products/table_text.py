"""Rows of figures as a tab-separated table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def table_text(rows: Iterable[Sequence[object]], digits: int) -> str:
    """Return rows as lines of a table; numbers that are none are n/a, truths yes or no.

    Args:
        rows: rows, the head first.
        digits: significant digits of numbers that are not whole.
    """
    return "".join("\t".join(_cell(one, digits) for one in row) + "\n" for row in rows)


def _cell(value: object, digits: int) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return "n/a" if math.isnan(value) else f"{value:.{digits}g}"
        case _:
            return str(value)
