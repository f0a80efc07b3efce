"""Tab-separated tables, as the study's sessions and a patient's treatments are given."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from palpate.config.text_file import read_text_file
from palpate.errors import InputError
from palpate.progress import say

type Rows = list[tuple[int, dict[str, str]]]

_OTHER_SEPARATORS: Final = {",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
_SHOWN: Final = 40
"""Longest piece of a cell that an error repeats."""


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Columns that a table may have.

    Attributes:
        required: names of the columns that must be there.
        optional: names of the others.
        advice_unknown: remedy for an unknown column, one sentence.
        further: whether unknown columns are ignored instead of refused.
        renamed: old names of columns, read for one version, to their names of now.
        meanings: meanings of columns by name, such as "it is in gray (Gy)", for the error about a similar name.
    """

    required: Sequence[str]
    optional: Sequence[str]
    advice_unknown: str = "Check the spelling, or leave the column out."
    further: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> tuple[str, ...]:
        """All names, the required ones first."""
        return (*self.required, *self.optional)


def read_table(path: Path, columns: TableColumns, *, what: str, advice: str) -> Rows:
    """Return the non-empty lines of a tab-separated table with their line numbers, each as column name to cell.

    Args:
        path: text with a header line, UTF-8 or UTF-16.
        columns: the columns that the table may have.
        what: noun phrase for the table, such as "a table of sessions".
        advice: remedy for a file that is no table, one sentence.

    Raises:
        InputError: the file is no text, its cells are not separated by tabs, a column is missing, unknown or there
            twice, or a line has more or fewer cells than the header.
    """
    lines = read_text_file(path, expected=f"{what}, tab-separated text", advice=advice).splitlines()
    header = _header(path, lines, columns)
    return list(_rows(path, lines, header))


def _header(path: Path, lines: Sequence[str], columns: TableColumns) -> list[str]:
    """Return the names of the columns after checking them."""
    header = [_unquoted(cell) for cell in lines[0].split("\t")]
    for old, new in columns.renamed.items():
        if old in header and new in header:
            found, advice = f"the columns {old} and {new}", f"Remove the column {old}: it is the old name of {new}."
            raise InputError(path, found=found, expected="one of them", advice=advice)
        if old in header:
            say(f"{path.name}: the column {old} is read as {new}; rename it, the next version refuses {old}")
    header = [columns.renamed.get(name, name) for name in header]
    known = f"columns among {', '.join(columns.known)}"
    if len(header) == 1 and (separator := _other_separator(lines[0], columns)):
        raise InputError(
            path,
            found=f"columns separated by {separator}",
            expected="columns separated by tabs",
            advice="Save the table as tab-separated text.",
        )
    for name in header:
        if not name and not columns.further:
            found = f"a column without a name (column {header.index(name) + 1} of the header line)"
            raise InputError(path, found=found, expected=known, advice="Name the column, or remove the stray tab.")
        if header.count(name) > 1 and name in columns.known:
            raise InputError(path, found=f"column {name[:_SHOWN]!r} twice", expected=known, advice="Remove one.")
        if name not in columns.known and not columns.further:
            found = f"the column {name[:_SHOWN]!r}, which palpate does not know"
            raise InputError(path, found=found, expected=known, advice=_advice_for(name, columns))
    for name in columns.required:
        if name not in header:
            found = f"no column {name!r} in the header line"
            raise InputError(path, found=found, expected=known, advice="Add it.")
    return header


def _advice_for(name: str, columns: TableColumns) -> str:
    """Return advice about an unknown column: rename it where its name is close to a known one, else remove it."""
    stem = name.lower().split("_")[0]
    alike = [one for one in columns.known if "_" in one and one.split("_")[0] == stem]
    near = alike or difflib.get_close_matches(name.lower(), columns.known, 1)
    if not near:
        return columns.advice_unknown
    meaning = f"; {columns.meanings[near[0]]}" if near[0] in columns.meanings else ""
    return f"Rename it to {near[0]} if that is what it holds{meaning}. Else remove it from the table."


def _other_separator(line: str, columns: TableColumns) -> str | None:
    """Return the plural name of the separator by which a header of known columns falls apart; None for no other."""
    for mark, name in _OTHER_SEPARATORS.items():
        cells = [_unquoted(cell) for cell in line.split(mark if mark.strip() else None)]
        if len(cells) > 1 and any(cell in columns.known for cell in cells):
            return name
    return None


def _rows(path: Path, lines: Sequence[str], header: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the non-empty lines below the header."""
    for number, line in enumerate(lines[1:], start=2):
        cells = [_unquoted(cell) for cell in line.split("\t")]
        if not any(cells):
            continue
        # Spreadsheets end lines with the tabs of empty columns.
        while len(cells) > len(header) and not cells[-1]:
            cells.pop()
        if len(cells) != len(header):
            found = f"{len(cells)} cells in line {number}"
            expected = f"{len(header)}, as in the header"
            advice = "Separate cells by one tab each" + (", not by spaces." if len(cells) == 1 else ".")
            raise InputError(path, found=found, expected=expected, advice=advice)
        yield number, dict(zip(header, cells, strict=True))


def _unquoted(cell: str) -> str:
    """Return a cell without blanks around it and without the quotation marks of a spreadsheet."""
    cell = cell.strip()
    return cell[1:-1].replace('""', '"').strip() if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
