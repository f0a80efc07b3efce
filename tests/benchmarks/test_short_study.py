"""The benchmark of the workflow's overhead in its short version, as from a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.benchmark_study import STEPS, BenchmarkStudy, numbered, tiny_wavefield

from tests.benchmarks.short_run import record_of


@pytest.mark.long
def test_study(tmp_path: Path) -> None:
    """Two sessions cost more than their steps, and neither a kill nor a second start does anything twice (2 min)."""
    rows, facts = record_of("study", tmp_path / "out")
    figures = {name: row.ours for name, row in rows.items()}
    over_s, steps_s = figures["overhead a session, of 2 sessions"], figures["the steps of a session"]
    again_s = figures["finished study, started again"]
    assert over_s is not None
    assert steps_s is not None
    assert again_s is not None
    assert over_s > 0.0
    assert steps_s > 0.0
    assert rows["killed in the middle: finished steps that ran again"].verdict == "met"
    assert "of 10 steps were finished when the study was killed" in facts["notes"][2]
    assert rows["finished study, started again: steps that run"].verdict == "met"
    assert again_s < over_s + steps_s
    assert facts["notes"][-1] == "Of 100 sessions 2 were run; planned: 5."


@pytest.mark.long
def test_a_stopped_study_goes_on(tmp_path: Path) -> None:
    """A benchmark of an hour that is stopped keeps what was measured, and its next start adds to it (1 min)."""
    out = tmp_path / "out"
    wavefield = tiny_wavefield(out)
    study = BenchmarkStudy(out / "real", wavefield, numbered(1))
    study.live(1, until=1)
    first = study.lives()[0][-1]
    assert 0 < first.finished_steps < len(STEPS)
    again = BenchmarkStudy(out / "real", wavefield, numbered(1))
    again.live(1)
    assert len(again.finished()) == len(STEPS)
    assert [len(life) > 1 for life in again.lives()] == [True, True]
    assert again.lives()[0][-1] == first
