"""Answer to a question of cause on a table of history and a graph."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.causes import CausesSettings
from palpate.config.section import parse_settings
from palpate.config.text_file import read_text_file
from palpate.errors import InputError
from palpate.output_kinds import FileKind, json_kind
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.twin.causes.estimate import CausalEstimate, adjusted, e_value
from palpate.twin.causes.graph import CausalGraph

type Values = NDArray[np.float64]

CAUSES: Final = FileKind("causes", "answer to a question of cause", (".json",), json_kind("treatment", "naive", "sets"))
"""Kind of the file."""
SUBJECT: Final = "subject"
"""Column that tells which rows are of one subject."""
_FEWEST: Final = 20


@dataclass(frozen=True, slots=True, eq=False)
class HistoryTable:
    """Table of history: one row for each decision.

    Attributes:
        path: file of the table, for errors.
        columns: numbers by column, shape (rows,) each.
        subjects: number of the subject of each row, shape (rows,); None where the table has no such column.
    """

    path: Path
    columns: dict[str, Values]
    subjects: NDArray[np.int64] | None

    def matrix(self, names: Collection[str]) -> Values:
        """Return some columns beside each other, shape (rows, names)."""
        rows = len(next(iter(self.columns.values())))
        return np.column_stack([np.zeros((rows, 0)), *(self.columns[name] for name in names)])


def read_graph(path: Path) -> CausalGraph:
    """Return the graph in a file.

    Args:
        path: YAML or JSON file with edges and hidden.

    Raises:
        InputError: the file cannot be read, or the graph has a cycle.
    """
    if not path.is_file():
        raise InputError(path, found="no such file", expected="a graph", advice="Name its YAML file (docs/trial.md).")
    stated = parse_settings(CausesSettings, str(path))
    try:
        return CausalGraph(frozenset(stated.arrows), frozenset(stated.hidden))
    except ValueError as error:
        advice = "Give what changes over time a name for each time, such as volume and volume_after."
        raise InputError(path, found=f"a cycle: {error}", expected="a graph without cycles", advice=advice) from error


def read_history_table(path: Path) -> HistoryTable:
    """Return a table of history.

    Args:
        path: tab-separated file of numbers with a header line; the column subject may hold labels.

    Raises:
        InputError: the file cannot be read, or a cell is no number.
    """
    text = read_text_file(path, expected="a tab-separated table of history", advice="One row for each decision.")
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    head, body = rows[0], [row for row in rows[1:] if row]
    if len(body) < _FEWEST:
        expected = f"at least {_FEWEST} rows"
        raise InputError(path, found=f"{len(body)} rows", expected=expected, advice="Add decisions.")
    columns: dict[str, Values] = {}
    for at, name in enumerate(head):
        if name != SUBJECT:
            columns[name] = np.array([_number(path, line, name, row, at) for line, row in enumerate(body, start=2)])
    if SUBJECT not in head:
        return HistoryTable(path, columns, None)
    _, subjects = np.unique([row[head.index(SUBJECT)] for row in body], return_inverse=True)
    return HistoryTable(path, columns, subjects.astype(np.int64))


def answer(
    table: HistoryTable, graph: CausalGraph, treatment: str, outcome: str, adjust: Collection[str] | None = None
) -> dict[str, object]:
    """Return the effect of a treatment on an outcome, with what it rests on.

    Args:
        table: table of history.
        graph: graph of causes.
        treatment: column of the treatment.
        outcome: column of the outcome.
        adjust: columns to adjust for; None for the smallest set that closes every back door.

    Raises:
        InputError: a name is unknown, or a column to adjust for is after the treatment.
    """
    for role, name in (("--treatment", treatment), ("--outcome", outcome)):
        _demand_measured(table, graph, role, name)
    if outcome not in graph.descendants(treatment):
        raise InputError(
            "--outcome",
            found=f"{outcome}, on which {treatment} does not act by the graph",
            expected="an outcome that the treatment acts on",
            advice="Add the arrows between them, or exchange the two.",
        )
    for name in adjust or ():
        _demand_before(table, graph, treatment, name)
    sets = graph.back_door_sets(treatment, outcome)
    usable = [one for one in sets if one <= table.columns.keys()]
    chosen = (
        sorted(adjust) if adjust is not None else sorted(min(usable, key=lambda s: (len(s), sorted(s)), default=()))
    )
    closes = graph.closes(treatment, outcome, chosen)
    effect = _effect(table, treatment, outcome, chosen)
    values = e_value(effect, float(table.columns[outcome].std(ddof=1)))
    return {
        "treatment": treatment,
        "outcome": outcome,
        "rows": len(table.columns[treatment]),
        "sets": [sorted(one) for one in sets],
        "hidden": sorted(graph.hidden),
        "adjusted_for": chosen,
        "identified": closes,
        "naive": asdict(_effect(table, treatment, outcome, ())),
        "adjusted": asdict(effect),
        "e_value": {"estimate": values[0], "interval": values[1]},
        "warnings": [one.as_record() for one in _warnings(graph, treatment, chosen, closes=closes)],
        "versions": versions(),
    }


def _effect(table: HistoryTable, treatment: str, outcome: str, chosen: Collection[str]) -> CausalEstimate:
    try:
        return adjusted(table.columns[treatment], table.columns[outcome], table.matrix(chosen), table.subjects)
    except ValueError as error:
        raise InputError(
            table.path,
            found=str(error),
            expected=f"rows that differ in {treatment} at equal {', '.join(chosen) or 'all else'}",
            advice="Adjust for fewer columns, or add rows.",
        ) from error


def _warnings(graph: CausalGraph, treatment: str, chosen: Collection[str], *, closes: bool) -> list[QualityWarning]:
    if closes:
        return []
    behind = sorted(graph.hidden & graph.ancestors((treatment,))) or sorted(graph.hidden)
    named = f" ({', '.join(behind)})" if behind else ""
    held = f"with {', '.join(chosen)} held fixed" if chosen else "as it is"
    return [
        QualityWarning(
            "effect-not-identified",
            f"The difference {held} is no effect of {treatment}: by the graph a back door stays open{named}.",
            "Measure what lies on it, or compare the E-values with how strongly the hidden cause can act.",
        )
    ]


def _demand_measured(table: HistoryTable, graph: CausalGraph, role: str, name: str) -> None:
    if name not in graph.names or name not in table.columns:
        where = "the graph" if name not in graph.names else f"the table {table.path.name}"
        both = sorted(graph.names & table.columns.keys())
        raise InputError(
            role, found=f"{name[:40]!r}, which {where} does not have", expected=f"one of {', '.join(both)}",
            advice="Correct the name.",
        )  # fmt: skip


def _demand_before(table: HistoryTable, graph: CausalGraph, treatment: str, name: str) -> None:
    _demand_measured(table, graph, "--adjust", name)
    if name in graph.descendants(treatment) | {treatment}:
        raise InputError(
            "--adjust",
            found=f"{name}, on which {treatment} acts",
            expected="what is known before the treatment: holding its consequences fixed hides a part of its effect",
            advice=f"Leave {name} out.",
        )


def _number(path: Path, line: int, name: str, row: list[str], at: int) -> float:
    try:
        value = float(row[at])
    except (ValueError, IndexError):
        value = float("nan")
    if not np.isfinite(value):
        cell = row[at][:30] if at < len(row) else ""
        advice = "Fill it in, or leave the row out."
        raise InputError(f"{path}, line {line}, column {name}", found=repr(cell), expected="a number", advice=advice)
    return value
