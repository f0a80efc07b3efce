"""A hospital's own test: hidden scans are forecast without being seen, and scores are those of the draws."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.config.participants import Participant
from palpate.imaging.draw_scores import wilson
from palpate.imaging.tumour.history_file import write_history
from palpate.twin.trust.forecast_scores import LEVELS, group_score, hidden_value
from palpate.twin.trust.heldout import HeldoutSubject, grouped, held_out, remembered, why_left_out
from palpate.twin.trust.heldout_shift import shift_between
from tests.conftest import Outcome
from tests.twin.small import SETTINGS, history

QUICK = SETTINGS.model_copy(update={"max_iterations": 2, "draws": 24, "mechanics": False})


def test_a_calibrated_forecast_has_the_coverage_it_states() -> None:
    """Truths from the forecast's own distribution: each level holds its share, and the ECE is near 0."""
    rng = np.random.default_rng(5)
    values = [
        hidden_value(str(n), "visible_ml", 30.0, draws[1:], float(draws[0]), 1.0)
        for n, draws in enumerate(rng.lognormal(1.0, 0.4, (800, 201)))
    ]
    score = group_score("all", values)
    assert np.allclose(score.coverage, LEVELS, atol=0.045)
    assert score.ece < 0.03
    ranks = np.array([one.rank for one in values])
    assert abs(ranks.mean() - 0.5) < 0.04


def test_interval_of_a_share_is_the_published_one() -> None:
    """Newcombe, Stat Med 17 (1998) 857, table I: 81 of 263 and 0 of 20 by Wilson's method."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_a_forecast_that_is_too_sure_is_seen() -> None:
    """Half the spread must cost coverage, or the test could not fail."""
    rng = np.random.default_rng(6)
    values = [
        hidden_value(str(n), "visible_ml", 30.0, 5.0 + 0.5 * rng.standard_normal(200), 5.0 + rng.standard_normal(), 1.0)
        for n in range(300)
    ]
    assert group_score("all", values).coverage[LEVELS.index(0.9)] < 0.7


def test_hidden_scan_is_not_seen() -> None:
    """What the last scan shows must not change the forecast, only its score."""
    whole = history()
    other = dataclasses.replace(whole.scans[-1], roi=np.where(whole.scans[-1].roi > 0, whole.scans[0].roi, 0))
    changed = dataclasses.replace(whole, scans=(*whole.scans[:-1], other))
    one, two = held_out(whole, QUICK), held_out(changed, QUICK)
    assert [value.median for value in one.values] == [value.median for value in two.values]
    assert [value.seen for value in one.values] != [value.seen for value in two.values]
    assert one.values[0].days == 45.0


def test_scores_are_kept_for_this_history_and_these_settings(tmp_path: Path) -> None:
    """A stopped study goes on; scores of another history or other settings would be wrong numbers."""
    path = tmp_path / "history.h5"
    write_history(path, history())
    calls: list[int] = []

    def make() -> HeldoutSubject:
        calls.append(1)
        return HeldoutSubject("small", (hidden_value("small", "visible_ml", 9.0, np.arange(20.0), 3.0, 2.0),), 4.0, 1.0)

    first = remembered(path, QUICK, make)
    assert remembered(path, QUICK, make) == first
    remembered(path, QUICK.model_copy(update={"seed": 7}), make)
    (tmp_path / "heldout.json").write_text("{")
    remembered(path, QUICK, make)
    assert len(calls) == 3


def test_groups_are_those_of_the_table() -> None:
    """Each subject counts once overall, and in the groups of the facts that are known of it."""
    subjects = [
        HeldoutSubject(str(n), (hidden_value(str(n), "visible_ml", 30.0, np.arange(40.0), 20.0, 10.0),), float(n), 1.0)
        for n in range(6)
    ]
    facts = {str(n): Participant(str(n), age=40.0 + 10 * n, sex="male" if n % 2 else "female") for n in range(5)}
    found = {one.group: one.subjects for one in grouped(subjects, facts)}
    assert found["all"] == 6
    assert found["age below 50"] + found["age 50 to 65"] + found["age above 65"] == 5
    assert found["sex male"] == 2
    assert sum(count for name, count in found.items() if name.startswith("size")) == 6


def test_subjects_of_another_kind_are_told() -> None:
    """Thirty subjects with voxels of 3 mm are not the thirty with 1 mm that the twin was tried on; the same are."""
    rng = np.random.default_rng(11)

    def tried(voxel_mm: float) -> list[HeldoutSubject]:
        found = []
        for n in range(30):
            seen, last = rng.lognormal(2.0, 0.3, 2)
            value = hidden_value(str(n), "visible_ml", 30.0, rng.lognormal(2.0, 0.3, 60), float(seen), float(last))
            found.append(HeldoutSubject(str(n), (value,), float(last), voxel_mm + 0.1 * rng.random()))
        return found

    shift, same = shift_between(tried(1.0), tried(3.0)), shift_between(tried(1.0), tried(1.0))
    assert shift is not None
    assert same is not None
    assert (shift.verdict, same.verdict) == ("covariate", "none")
    assert "edge of the voxels" in shift.sentence()
    assert shift_between(tried(1.0)[:5], tried(3.0)) is None


def test_what_cannot_be_tested_is_said() -> None:
    """Two scans leave nothing to hide; a last scan without regions shows nothing to compare with."""
    whole = history()
    assert why_left_out(whole) == ""
    assert "2 scans" in why_left_out(dataclasses.replace(whole, scans=whole.scans[:2]))
    blind = dataclasses.replace(whole.scans[-1], roi=np.zeros_like(whole.scans[-1].roi), drawn=False)
    assert "no regions" in why_left_out(dataclasses.replace(whole, scans=(*whole.scans[:-1], blind)))


def test_command_scores_a_study(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """From a results folder to a table, with the subject that cannot be tested named."""
    for name, scans in (("a", 3), ("b", 2)):
        folder = tmp_path / f"sub-{name}" / "twin"
        folder.mkdir(parents=True)
        whole = history()
        write_history(folder / "history.h5", dataclasses.replace(whole, subject=name, scans=whole.scans[:scans]))
    done = palpate_inside("verify", "heldout", str(tmp_path), "--settings", QUICK.model_dump_json())
    assert done.code == 0, done.printed
    assert "sub-b was left out: 2 scans" in done.printed
    assert (tmp_path / "sub-a" / "twin" / "heldout.json").is_file()
    assert "visible_ml" in (tmp_path / "heldout.json").read_text()


@pytest.mark.parametrize("what", ["nothing", "b"])
def test_command_refuses_a_study_without_hidden_scans(
    tmp_path: Path, palpate_inside: Callable[..., Outcome], what: str
) -> None:
    """An empty table would look like a test that was passed."""
    if what == "b":
        folder = tmp_path / "sub-b" / "twin"
        folder.mkdir(parents=True)
        write_history(folder / "history.h5", dataclasses.replace(history(), scans=history().scans[:2]))
    done = palpate_inside("verify", "heldout", str(tmp_path))
    assert done.code == 2
    assert "three scans or more" in done.printed
