"""A benchmark in its short version, as from a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.record import Row

from tests.conftest import CHECKOUT, run

RESULTS = CHECKOUT / "benchmarks" / "results"


def record_of(name: str, out: Path, *source: Path) -> tuple[dict[str, Row], dict[str, Any]]:
    """Run a benchmark's short version on one process; its rows by quantity, and the rest of its record."""
    before = sorted((path.name, path.stat().st_mtime_ns) for path in RESULTS.glob("*"))
    script = CHECKOUT / "benchmarks" / f"{name}.py"
    done = run("python", script, *source, "--out", out, "--ranks", 1, "--short", timeout_s=2400.0)
    assert done.returncode == 0, done.stderr
    assert sorted((path.name, path.stat().st_mtime_ns) for path in RESULTS.glob("*")) == before
    content = json.loads((out / "record.json").read_text(encoding="utf-8"))
    return {row["quantity"]: Row(**row) for row in content.pop("rows")}, content
