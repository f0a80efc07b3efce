"""What a benchmark found, as a table on the terminal and as a file in benchmarks/results."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside others'.

    Attributes:
        quantity: what was measured.
        unit: its unit.
        ours: our figure; None where it could not be had.
        published: the published figure, in numbers or words; None where there is none.
        baselines: other methods' figures on the same data, by name.
        goal: what we set out to reach.
    """

    quantity: str
    unit: str
    ours: float | None
    published: float | str | None
    baselines: Mapping[str, float] = field(default_factory=dict)
    goal: str = ""


def write_record(
    name: str,
    rows: Sequence[Row],
    *,
    published: str,
    notes: Sequence[str] = (),
    seconds: float,
    out: Path | None = None,
) -> Path:
    """Print the rows and write them with machine and commit.

    Args:
        name: of the benchmark; names the file.
        rows: the figures.
        published: where the published figures stand.
        notes: what a reader must know.
        seconds: wall time of the benchmark.
        out: the file to write instead of benchmarks/results/<name>.json.

    Returns:
        The file.
    """
    for row in rows:
        others = "  ".join(f"{method} {value:.3g}" for method, value in row.baselines.items())
        print(f"{row.quantity} ({row.unit}): ours {row.ours}  published {row.published}  {others}  {row.goal}")
    for note in notes:
        print(f"  {note}")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    ).stdout.strip()
    content = {
        "published": published,
        "rows": [asdict(row) for row in rows],
        "notes": list(notes),
        "seconds": seconds,
        "machine": platform.machine(),
        "commit": commit,
    }
    path = RESULTS / f"{name}.json" if out is None else out
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
