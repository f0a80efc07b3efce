"""Lines of a tab-separated table, as the study's sessions and a patient's treatments are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from palpate.errors import InputError


def header_of(lines: Sequence[str]) -> list[str]:
    """Names of the columns; none of an empty table.

    Args:
        lines: of the table.
    """
    return [cell.strip() for cell in lines[0].split("\t")] if lines else []


def rows_of(table: Path, lines: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Non-empty lines below the header with their line numbers, as column to stripped text.

    Args:
        table: its path, for errors.
        lines: of the table.

    Raises:
        InputError: a line has more or fewer cells than the header.
    """
    header, rows = header_of(lines), []
    for number, line in enumerate(lines[1:], start=2):
        cells = [cell.strip() for cell in line.split("\t")]
        if not any(cells):
            continue
        if len(cells) != len(header):
            found = f"{len(cells)} cells in line {number}"
            expected = f"{len(header)}, as in the header"
            raise InputError(table, found=found, expected=expected, advice="Separate cells by one tab each.")
        rows.append((number, dict(zip(header, cells, strict=True))))
    return rows
