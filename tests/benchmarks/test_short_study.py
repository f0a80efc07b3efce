"""The benchmark of the workflow's overhead in its short version, as from a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.short_run import record_of


@pytest.mark.long
def test_study(tmp_path: Path) -> None:
    """Two sessions for real cost more than their steps, and a second start runs nothing and costs far less."""
    rows, facts = record_of("study", tmp_path / "out")
    figures = {name: row.ours for name, row in rows.items()}
    over_s, steps_s = figures["overhead a session, of 2 sessions"], figures["the steps of a session"]
    again_s = figures["finished study, started again"]
    assert over_s is not None
    assert steps_s is not None
    assert again_s is not None
    assert over_s > 0.0
    assert steps_s > 0.0
    assert rows["finished study, started again: steps that run"].verdict == "met"
    assert again_s < over_s + steps_s
    assert facts["notes"][-1] == "Of 100 sessions 2 were run; planned: 5."
