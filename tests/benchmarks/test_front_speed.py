"""Radii of growing balls: the radial reference against finer shells, and the twin's voxels against it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from front_speed import DAYS, NINETY, BallScore, cases, score
from worlds import radial_front
from worlds.radial_front import Ball, on_voxels, radial

NARROW = Ball(9.0, 0.01, 0.1)


def test_the_radial_reference_does_not_depend_on_its_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three per cent of ten millimetres are 0.3 mm: shells of 0.1 mm must be right to a tenth of that."""
    plain = radial(NARROW, DAYS)
    monkeypatch.setattr(radial_front, "SHELL_MM", 0.05)
    monkeypatch.setattr(radial_front, "_STEP_DAYS", 0.05)
    fine = radial(NARROW, DAYS)
    np.testing.assert_allclose(plain.visible_mm, fine.visible_mm, atol=0.03)
    np.testing.assert_allclose(plain.burden_mm, fine.burden_mm, atol=0.03)


@pytest.mark.parametrize(("ball", "within"), [(Ball(10.0, 0.3, 0.1), 0.03), (NARROW, 0.05)])
def test_fronts_on_voxels_keep_pace(ball: Ball, within: float) -> None:
    """Within 3 % where the front is half a voxel wide; the narrowest of the range is a tenth too fast without it."""
    true, grown = radial(ball, DAYS), on_voxels(ball, 3.0, DAYS)
    np.testing.assert_allclose(grown.burden_mm[1:], true.burden_mm[1:], rtol=within)
    np.testing.assert_allclose(grown.visible_mm[1:], true.visible_mm[1:], rtol=within)
    if ball is NARROW:
        plain = on_voxels(ball, 3.0, DAYS, corrected=False)
        assert plain.burden_mm[-1] > 1.1 * true.burden_mm[-1]


@pytest.mark.long
def test_the_term_of_voxels_holds_what_it_says(tmp_path: Path) -> None:
    """Forty balls with narrow fronts: intervals of 90 % by that term alone hold the burden's radius about as often."""
    scores: list[BallScore] = [score(case, tmp_path) for case in cases(0, 40)]
    away = np.array([np.subtract(one.voxel_burden_mm, one.burden_mm)[1:] for one in scores])
    limits = NINETY * np.array([one.unresolved_mm for one in scores])
    held = np.mean(np.abs(away) <= limits, axis=0)
    assert (held >= 0.8).all()
    assert held.mean() < 0.99
