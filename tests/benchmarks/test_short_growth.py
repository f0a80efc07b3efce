"""Benchmarks of growth in their short versions: a process of their own, as they take as long as all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.short_run import record_of


@pytest.mark.long
def test_growth(tmp_path: Path) -> None:
    """Ours and explicit finite differences agree on the burden, which is what makes their seconds comparable.

    A calibration with shapes of ln k runs through and has its figures.
    """
    rows, facts = record_of("growth", tmp_path)
    forecast = rows["forecast, 1 rank"]
    assert forecast.ours is not None
    assert forecast.ours > 0.0
    assert len(forecast.baselines) == 2
    assert rows["error of the burden, time"].verdict == "met"
    (baselines,) = (note for note in facts["notes"] if "exact mean" in note)
    assert "-0." in baselines or "+0." in baselines
    minutes = rows["calibration with 5 modes of ln k"]
    assert minutes.verdict == "met"
    assert minutes.published == "360 (dt4co, extrapolated)"
    unknowns = rows["calibration with 5 modes of ln k: unknowns"]
    assert unknowns.ours == 26.0


@pytest.mark.long
def test_growth_cohort(tmp_path: Path) -> None:
    """A tumour forecast: contours lie better than the last scan's; coverage beside the published one.

    How far the tumour pushes is asked with three stiffnesses; the elastogram's score has population stiffness as goal.
    """
    rows, facts = record_of("growth_cohort", tmp_path)
    held = rows["burden: 90% intervals that hold it"]
    assert held.ours is not None
    assert held.published == 0.0
    assert {"without discrepancy", "true stiffness"} <= set(held.baselines)
    placed = rows["Dice of the visible contour, mean"]
    assert placed.ours is not None
    assert placed.ours > placed.baselines["last scan"]
    for what in ("forecast", "last day seen"):
        name = f"mean displacement of the brain around, {what}"
        score = rows[f"{name}: CRPS, mean"]
        assert score.ours is not None
        assert score.ours > 0.0
        assert set(score.baselines) == {"population stiffness", "true stiffness"}
        assert score.goal == f"< {score.baselines['population stiffness']:.4g}"
        assert rows[f"{name}: 90% intervals that hold it"].goal == "85..95"
    assert "<svg" in (tmp_path / "growth_cohort.svg").read_text(encoding="utf-8")
    assert any("converged" in note for note in facts["notes"])


@pytest.mark.long
def test_validated_domain(tmp_path: Path) -> None:
    """The first patient of the cohort has facts as a hospital's own patient would, and its record stays in --out."""
    rows, _ = record_of("validated_domain", tmp_path)
    scans = rows["number of scans: least of the cohort"]
    assert scans.ours == 3.0
    days = rows["days from the last scan to the forecast: largest of the cohort"]
    assert days.ours is not None
    assert 25.0 <= days.ours < 90.0
    assert (tmp_path / "validated.json").exists()
