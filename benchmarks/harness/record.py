"""Record of a benchmark: its figures beside the published ones, and the circumstances of the run.

The record goes to `benchmarks/results/<name>.json`, from which `benchmarks/document.py` makes the documentation.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from harness.machine import machine

from palpate.provenance import atomic_file, revision, versions
from palpate.records.goals import figure, judge

RESULTS: Final = Path(__file__).parents[1] / "results"

_WRITTEN_BY_BENCHMARKS: Final = ("benchmarks/results", "docs", "README.md")
"""Paths whose changes do not make a tree dirty: the record of one benchmark must not mark that of the next as dirty."""


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity: palpate's figure beside the published one.

    Attributes:
        quantity: name of the quantity.
        unit: unit of all figures of the quantity; "" for a pure number.
        ours: palpate's figure as measured; None where there is no figure, which misses a goal.
        published: figure of the paper or system, or words where it is no single number; None without one.
        baselines: figures of further methods on the same data, by name.
        goal: "<= 20", ">= 3", "93..97", or prose; "" without one. Judged on `ours`.
    """

    quantity: str
    unit: str
    ours: float | None
    published: float | str | None
    baselines: Mapping[str, float] = field(default_factory=dict)
    goal: str = ""

    def __post_init__(self) -> None:
        """Refuse figures that are not finite, and goals that only look as if they could be judged."""
        for value in (self.ours, self.published, *self.baselines.values()):
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{self.quantity}: {value} is no figure; write None, or leave the baseline out")
        judge(self.goal, self.ours)

    @property
    def verdict(self) -> str:
        """Words of goals.judge on whether `ours` meets the goal."""
        return judge(self.goal, self.ours)


def write_record(
    name: str,
    rows: Sequence[Row],
    *,
    published: str,
    notes: Sequence[str] = (),
    seconds: float,
    out: Path | None = None,
) -> Path:
    """Print the figures side by side and write the record; an interrupted run leaves no partial record.

    Args:
        name: name of the benchmark's file without its ending: "phantom_box" of benchmarks/phantom_box.py.
        rows: quantities, the one for the front page first.
        published: source of the published figures.
        notes: remarks that a reader needs to judge the figures. `docs/pictures/<file>`, with ": caption" behind it, is
            shown as a figure.
        seconds: wall time of the benchmark.
        out: file to write instead of benchmarks/results/<name>.json.

    Returns:
        The file written.
    """
    print(f"\n{name} (published: {published})\n{table(rows)}", flush=True)
    commit = revision(ignoring=_WRITTEN_BY_BENCHMARKS)
    packages = versions()
    packages.pop("commit", None)
    content = {
        "name": name,
        "rows": [asdict(row) for row in rows],
        "published": published,
        "notes": list(notes),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "versions": packages,
        "commit": None if commit is None else commit.partition("+")[0],
        "tree_was_dirty": None if commit is None else "+" in commit,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    path = RESULTS / f"{name}.json" if out is None else out
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def columns(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells of a record's table, one row for each quantity; baselines in order of appearance."""
    baselines = list(dict.fromkeys(name for row in rows for name in row.baselines))
    heads = ["quantity", "ours", "published", *baselines, "goal", ""]
    cells = [
        [
            f"{row.quantity}, {row.unit}" if row.unit else row.quantity,
            *map(figure, (row.ours, row.published, *(row.baselines.get(name) for name in baselines))),
            row.goal or "-",
            row.verdict,
        ]
        for row in rows
    ]
    return heads, cells


def table(rows: Sequence[Row]) -> str:
    """Return the record's table for a terminal."""
    heads, cells = columns(rows)
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (heads, *cells)
    )
