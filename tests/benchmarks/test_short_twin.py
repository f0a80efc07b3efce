"""The benchmark of innovations in its short version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.short_run import record_of


@pytest.mark.long
def test_innovations(tmp_path: Path) -> None:
    """Every filter has its rows; four patients show a variance that is off by half."""
    rows, _ = record_of("innovations", tmp_path)
    for method in ("extended", "unscented", "ensemble", "sequential"):
        variance = rows[f"scalar tumour, {method}: variance of normalised innovations"].ours
        assert variance is not None
        assert 0.5 < variance < 1.7
