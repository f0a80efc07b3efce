"""Make docs/benchmarks.md and the table of the README from the records in benchmarks/results.

    python benchmarks/document.py [--check]

With --check nothing is written and the exit code says whether they are up to date.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.record import Row, columns

from palpate.provenance import atomic_file
from palpate.records.goals import figure

CHECKOUT: Final = Path(__file__).parents[1]
_BEGIN, _END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
_PICTURE: Final = re.compile(r"docs/(?P<file>pictures/\S+?\.(?:svg|png))(?::\s*(?P<caption>.+))?")
_HEAD: Final = """# Benchmarks

Published figures beside ours, on data whose truth is known. Written by `python benchmarks/document.py` from the records
in `benchmarks/results`; goals that were missed are said to be.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """Record of a benchmark as it lies on disk, and the benchmark's description of itself.

    Attributes:
        rows: quantities of the record.
        facts: everything else in the file.
        about: docstring of the benchmark's script, which is Markdown.
    """

    rows: tuple[Row, ...]
    facts: dict[str, Any]
    about: str

    @property
    def judged(self) -> list[Row]:
        """Rows with a goal that a program can judge."""
        return [row for row in self.rows if row.verdict]

    @property
    def tally(self) -> str:
        """Number of goals met out of all, such as "1/5"; a dash where none is set."""
        met = sum(row.verdict == "met" for row in self.judged)
        return f"{met}/{len(self.judged)}" if self.judged else "-"

    @property
    def verdict(self) -> str:
        """Sentence that says which goals were met and which were missed."""
        judged = self.judged
        missed = [f"{row.quantity} ({row.verdict}{_unit(row)})" for row in judged if row.verdict != "met"]
        if not judged:
            return "No goal is set that a program can judge."
        met = f"**{len(judged) - len(missed)} of {len(judged)} goals met.**"
        return f"{met} Missed: {'; '.join(missed)}." if missed else met


def read_records(checkout: Path = CHECKOUT) -> list[Record]:
    """Return every record of a checkout, sorted by name.

    Raises:
        ValueError: a record without its benchmark.
    """
    records = []
    for path in sorted((checkout / "benchmarks" / "results").glob("*.json")):
        script = checkout / "benchmarks" / f"{path.stem}.py"
        if not script.exists():
            raise ValueError(f"{path.name} belongs to no benchmark: there is no benchmarks/{script.name}")
        facts = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(Row(**row) for row in facts.pop("rows"))
        about = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
        records.append(Record(rows, facts, about))
    return records


def page(records: Sequence[Record]) -> str:
    """Return the text of docs/benchmarks.md."""
    return "\n".join([_HEAD, *map(_section, records)])


def with_table(readme: str, records: Sequence[Record]) -> str:
    """Return the README with the table between its markers renewed.

    Each benchmark shows its first goal, or quantity, and how many of all its goals were met: a first goal that was met
    must not hide others that were missed.
    """
    heads = ["benchmark", "goals met", "for example", "palpate", "published", "goal"]
    firsts = [(record, next((row for row in record.rows if row.goal), record.rows[0])) for record in records]
    cells = [
        [
            f"[{record.facts['name']}](docs/benchmarks.md#{record.facts['name']})",
            record.tally,
            *_cells(row),
            row.goal or "-",
        ]
        for record, row in firsts
    ]
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{_table(heads, cells)}\n{_END}{after}"


def _cells(row: Row) -> list[str]:
    name = f"{row.quantity}, {row.unit}" if row.unit else row.quantity
    return [name, figure(row.ours), figure(row.published)]


def _unit(row: Row) -> str:
    return f" {row.unit}" if row.unit and "missed by" in row.verdict else ""


def _section(record: Record) -> str:
    """Return what a benchmark reproduces, its table, its verdict, where it ran, its notes and figures."""
    facts = record.facts
    pictures = [match for note in facts["notes"] if (match := _PICTURE.fullmatch(note))]
    notes = [note for note in facts["notes"] if not _PICTURE.fullmatch(note)]
    heads, cells = columns(record.rows)
    heads[heads.index("ours")] = "palpate"
    parts = [
        f"## {facts['name']}",
        record.about,
        _table(heads, cells),
        record.verdict,
        *(f"![{match['caption'] or facts['name']}]({match['file']})" for match in pictures),
        "\n".join(f"- {note}" for note in [f"Published: {facts['published']}", *notes, _circumstances(facts)]),
    ]
    return "\n\n".join(parts) + "\n"


def _circumstances(facts: dict[str, Any]) -> str:
    """Say when, where and with what a record was made."""
    where, packages = facts["machine"], dict(facts["versions"])
    packages.pop("python", None)
    commit = "no commit" if facts["commit"] is None else f"commit {facts['commit'][:12]}"
    changes = " with uncommitted changes" if facts["tree_was_dirty"] else ""
    return (
        f"{facts['date']}, {commit}{changes}: {figure(facts['seconds'])} s on {where['cpu']}, {where['cores']} cores, "
        f"{where['memory_gb']} GB, {where['system']}, Python {where['python']}; "
        + ", ".join(f"{name} {version}" for name, version in packages.items())
    )


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def documents(checkout: Path = CHECKOUT) -> dict[Path, str]:
    """Return the text of both documents as it follows from the records of a checkout, by path."""
    records = read_records(checkout)
    readme = checkout / "README.md"
    return {
        checkout / "docs" / "benchmarks.md": page(records),
        readme: with_table(readme.read_text(encoding="utf-8"), records),
    }


def outdated(checkout: Path = CHECKOUT) -> dict[Path, str]:
    """Return the path and the right text of each document that differs from the records."""
    return {
        path: text
        for path, text in documents(checkout).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main() -> None:
    """Write both documents, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where something is outdated")
    check, stale = parser.parse_args().check, outdated()
    if check and stale:
        sys.exit(f"out of date: {', '.join(path.name for path in stale)}; run python benchmarks/document.py")
    for path, text in stale.items():
        with atomic_file(path) as partial:
            partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
