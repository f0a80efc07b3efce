"""Record of a benchmark as it lies on disk: figures beside published ones, their goals, and when they were measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from palpate.bounded_read import read_bounded
from palpate.errors import InputError
from palpate.records.goals import judge


@dataclass(frozen=True, slots=True)
class RecordedFigure:
    """One quantity of a benchmark.

    Attributes:
        quantity: name of the quantity, with its unit in `unit`.
        unit: unit of all its figures; empty for a pure number.
        ours: palpate's figure; None where there is none.
        published: figure or words of a paper or another system; None without one.
        baselines: figures of further methods on the same data, by name.
        goal: goal in words or as a bound; empty without one.
    """

    quantity: str
    unit: str
    ours: float | None
    published: float | str | None
    baselines: Mapping[str, float]
    goal: str

    @property
    def verdict(self) -> str:
        """Words of goals.judge on whether `ours` meets the goal."""
        return judge(self.goal, self.ours)

    @property
    def missed(self) -> bool:
        """Whether a goal that a program can judge was missed."""
        return self.verdict.startswith("missed")


@dataclass(frozen=True, slots=True)
class BenchmarkFacts:
    """Record of one benchmark.

    Attributes:
        name: name of the benchmark.
        figures: its quantities, in the record's order.
        published: source of the published figures.
        notes: remarks that a reader needs.
        date: day of the measurement, ISO.
        commit: revision that was measured; None where nobody knows it.
        tree_was_dirty: whether files differed from that revision; None where nobody knows.
    """

    name: str
    figures: tuple[RecordedFigure, ...]
    published: str
    notes: tuple[str, ...]
    date: str
    commit: str | None
    tree_was_dirty: bool | None

    @property
    def judged(self) -> tuple[RecordedFigure, ...]:
        """Quantities with a goal that a program can judge."""
        return tuple(one for one in self.figures if one.verdict)


def read_records(folder: Path | None = None) -> dict[str, BenchmarkFacts]:
    """Read the records of a folder, by name.

    Args:
        folder: folder of JSON files; None for those that came with this palpate.

    Raises:
        InputError: there is no such folder, or a file of it is no record.
    """
    if folder is None:
        with as_file(files("palpate.records")) as own:
            return read_records(own / "results")
    if not folder.is_dir():
        raise InputError(
            folder,
            found="no folder",
            expected="a folder of benchmark records, such as benchmarks/results",
            advice="Leave the option out for the records that came with palpate.",
        )
    return {path.stem: _record(path) for path in sorted(folder.glob("*.json"))}


def known_limitations() -> str:
    """Return the text of the page of known limitations, Markdown."""
    return files("palpate.records").joinpath("limitations.md").read_text(encoding="utf-8")


def _record(path: Path) -> BenchmarkFacts:
    try:
        told = json.loads(read_bounded(path))
        figures = tuple(_figure(row) for row in told["rows"])
        commit, dirty = told.get("commit"), told.get("tree_was_dirty")
        notes, about = tuple(map(str, told["notes"])), (str(told["published"]), str(told["date"]))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            path,
            found="a file that is no record",
            expected="the record that a benchmark writes: JSON with rows, published, notes and date",
            advice="Run the benchmark again, or move the file away.",
        ) from error
    return BenchmarkFacts(path.stem, figures, about[0], notes, about[1], commit, dirty)


def _figure(row: Mapping[str, Any]) -> RecordedFigure:
    ours = row["ours"]
    found = RecordedFigure(
        str(row["quantity"]),
        str(row["unit"]),
        None if ours is None else float(ours),
        row["published"],
        {str(name): float(value) for name, value in row["baselines"].items()},
        str(row["goal"]),
    )
    judge(found.goal, found.ours)
    return found
