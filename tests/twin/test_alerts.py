"""Alerts: a probability of progression beside a user's bound, with what draws and images cannot tell said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palpate.config.forecast import AlertSettings, ForecastSettings
from palpate.config.section import parse_settings
from palpate.errors import InputError
from palpate.imaging.tumour.history import NON_ENHANCING, Surgery
from palpate.quality_warning import QualityWarning
from palpate.twin.alerts.alert import AlertInputs, out_of_step_alert, progression_alert
from palpate.twin.alerts.out_of_step import out_of_step, out_of_step_if_known
from palpate.twin.alerts.probability import DrawnProbability
from palpate.twin.alerts.progression import nadir_ml, progressions
from palpate.twin.alerts.state import AlertState
from palpate.twin.alerts.unidentified import unidentified_rates
from palpate.twin.events.times import first_events
from palpate.twin.products.forecast_folder import forecast_into
from tests.twin.drawn import drawn
from tests.twin.small import DAYS, SETTINGS, history

QUICK = SETTINGS.model_copy(update={"mechanics": False})
LAST = DAYS[-1]
CLOCK = QualityWarning("clock-shifted", "Treatments look 14 days late.", "Check the dates.")


def _volumes(days: np.ndarray, rate_1_day: np.ndarray) -> dict[float, dict[str, np.ndarray]]:
    """Volumes of draws that grow exponentially from 10 ml."""
    return {
        float(day): {
            "visible_ml": 10.0 * np.exp(rate_1_day * (day - days[0])),
            "enhancing_ml": np.full(len(rate_1_day), 4.0),
        }
        for day in days
    }


@pytest.mark.parametrize(
    ("having", "draws", "state"),
    [
        (60, 60, AlertState.RAISED),
        (36, 60, AlertState.UNDECIDED),
        (360, 600, AlertState.RAISED),
        (24, 60, AlertState.UNDECIDED),
        (240, 600, AlertState.NOT_RAISED),
        (0, 60, AlertState.NOT_RAISED),
        (1, 1, AlertState.UNDECIDED),
    ],
)
def test_draws_decide_only_what_they_can_tell(having: int, draws: int, state: AlertState) -> None:
    """60 % of 60 draws do not exceed one half, of 600 they do; a single run never decides."""
    days = np.where(np.arange(draws) < having, 10.0, np.inf)
    told = DrawnProbability.by(first_events(days, 60.0), 30.0)
    assert told.beside(0.5) is state
    assert (told.value, told.draws) == (having / draws, draws)
    assert 0.0 < told.error < 0.5


def test_the_error_of_a_probability_is_that_of_other_draws() -> None:
    """What is stated as Monte-Carlo error is the spread of the share over sets of as many draws."""
    rng = np.random.default_rng(3)
    days = np.where(rng.uniform(size=(400, 60)) < 0.3, 10.0, np.inf)
    told = [DrawnProbability.by(first_events(one, 60.0), 30.0) for one in days]
    assert np.mean([one.error for one in told]) == pytest.approx(np.std([one.value for one in told]), rel=0.1)


def test_progression_is_dated_from_the_nadir_that_scans_show() -> None:
    """Scans of 20, 8 and 10 ml: 8 ml is the nadir, so that 10 ml progress after another 12 %, not 40 %."""
    tumour = history()
    shape = tumour.tissue.shape
    voxel_ml = 0.064
    scans = []
    for scan, millilitres in zip(tumour.scans, (20.0, 8.0, 10.0), strict=True):
        roi = np.zeros(shape, dtype=np.uint8)
        roi.flat[: round(millilitres / voxel_ml)] = NON_ENHANCING
        scans.append(replace(scan, roi=roi))
    seen = [one.tumour.sum() * voxel_ml for one in scans]
    own = replace(tumour, scans=tuple(scans))
    rates = np.full(20, 0.01)
    found = {one.event: one for one in progressions(own, _volumes(LAST + np.arange(0.0, 61.0), rates))}
    from_nadir = np.log(1.4 * seen[1] / seen[2]) / 0.01
    np.testing.assert_allclose(found["visible"].times.days, LAST + from_nadir, atol=1e-9)
    np.testing.assert_allclose(found["regrowth"].times.days, LAST + np.log(1.4) / 0.01, atol=1e-9)
    assert found["enhancing"].times.probability_by(LAST + 60.0) == 0.0
    record = found["visible"].as_record([LAST + 10.0, LAST + 60.0])
    assert [one["probability"] for one in record["by_day"]] == [0.0, 1.0]
    assert record["restricted_mean_days"] == pytest.approx(from_nadir)


def test_a_planned_operation_competes() -> None:
    """After an operation on day 20 nobody can progress on day 34: one must not be told that he will."""
    operated = replace(history(), surgeries=(Surgery(LAST + 20.0, np.zeros(history().tissue.shape, dtype=np.bool_)),))
    (_, _, regrowth) = progressions(operated, _volumes(LAST + np.arange(0.0, 61.0), np.full(20, 0.01)))
    (row,) = regrowth.as_record([LAST + 60.0])["by_day"]
    assert (row["probability"], row["competing"]) == (0.0, 1.0)


def test_a_nadir_is_measured_or_the_draw_s_own() -> None:
    """Without regions, or after a complete response, there is no ratio to the last scan."""
    now = np.array([5.0, 20.0])
    assert nadir_ml(now, [20.0, 8.0, 10.0]).tolist() == [4.0, 16.0]
    assert nadir_ml(now, [None, None]).tolist() == [5.0, 20.0]
    assert nadir_ml(now, [12.0, 0.0]).tolist() == [5.0, 20.0]
    assert nadir_ml(now, [6.0, None]).tolist() == [5.0, 6.0]


def test_sentences_say_what_draws_and_images_do_not_tell() -> None:
    """An undecided alert names the number of draws; an unidentified rate is named beside the bound."""
    found = progressions(history(), _volumes(LAST + np.arange(0.0, 61.0), np.linspace(0.0, 0.012, 60)))
    asked = AlertSettings(by_days=60.0, above=0.5, event="regrowth")
    alert = progression_alert(asked, found, ("rate of growth",))
    assert alert.state is AlertState.UNDECIDED
    assert alert.warning.code == "progression-undecided"
    assert alert.warning.sentence.startswith("Not decided by 60 draws")
    assert "Unidentified by this patient's images: rate of growth" in alert.warning.sentence
    low = progression_alert(AlertSettings(by_days=60.0, above=0.1, event="regrowth"), found, ())
    assert (low.state, low.warning.code) == (AlertState.RAISED, "progression-likely")
    assert "Monte-Carlo error" in low.warning.sentence
    high = progression_alert(AlertSettings(by_days=60.0, above=0.9, event="regrowth"), found, ())
    assert not high.shown


def test_what_the_last_scan_shows_is_not_told_as_a_forecast() -> None:
    """A tumour that grew by half between scans has progressed: "by day 130" alone would read as if it were to come."""
    tumour = history()  # whose visible volume has grown from scan to scan
    found = progressions(tumour, _volumes(LAST + np.arange(0.0, 61.0), np.full(60, 0.01)))
    asked = AlertSettings(by_days=60.0, above=0.5)
    assert "on the last scan already" in progression_alert(asked, found, ()).warning.sentence
    coming = progression_alert(AlertSettings(by_days=60.0, above=0.5, event="regrowth"), found, ())
    assert "already" not in coming.warning.sentence


def test_out_of_step_is_raised_by_the_calibration_s_own_warnings(tmp_path: Path) -> None:
    """One list of codes stops a plan and raises the alert; without a record nobody can tell, which is said."""
    assert out_of_step_if_known(tmp_path) is None
    other = QualityWarning("population-forecast", "There is one scan.", "")
    record = {"warnings": [CLOCK.as_record(), other.as_record()]}
    (tmp_path / "calibration.json").write_text(json.dumps(record), encoding="utf-8")
    assert out_of_step(tmp_path) == (CLOCK,)
    states = [out_of_step_alert(reasons).state for reasons in ((CLOCK,), (), None)]
    assert states == [AlertState.RAISED, AlertState.NOT_RAISED, AlertState.UNDECIDED]
    assert "14 days late" in out_of_step_alert((CLOCK,)).warning.sentence


def test_a_forecast_records_its_alerts(tmp_path: Path) -> None:
    """The figures of the alert are those of the table of progression: one number, wherever it stands."""
    twin = drawn(24, QUICK)
    asked = AlertSettings(by_days=40.0, above=0.001, event="regrowth")
    forecast_into(twin, [20.0, 40.0], tmp_path / "forecast", alerts=AlertInputs(asked, (CLOCK,)))
    record = json.loads((tmp_path / "forecast" / "forecast.json").read_text(encoding="utf-8"))
    likely, of_step = record["alerts"]
    of_event = {one["event"]: one["by_day"] for one in record["progression"]}
    at = of_event["regrowth"][-1]
    assert (at["day"], likely["by_day"], likely["draws"]) == (LAST + 40.0, LAST + 40.0, 24)
    assert {name: likely[name] for name in at if name not in ("day", "competing")}.items() <= at.items()
    volumes = {row["day"]: row["visible_ml"]["mean"] for row in record["curve"]["forecast"]}
    assert (at["probability"] > 0.0) == (volumes[LAST + 40.0] > volumes[LAST])
    assert (of_step["state"], of_step["reasons"][0]["code"]) == ("raised", "clock-shifted")
    assert set(likely["unidentified"]) == set(unidentified_rates(twin))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ('{"alert": {"by_days": 90, "above": 0.5}}', "at most 60"),
        ('{"alert": {"by_days": 60, "above": 1.0}}', "below 1"),
        ('{"alert": {"by_days": 0, "above": 0.5}}', "above 0"),
        ('{"alert": {"by_days": 60, "above": 0.5, "event": "death"}}', "regrowth"),
        ('{"alert": {"by_days": 60}}', "above"),
    ],
)
def test_bounds_that_no_forecast_can_meet_are_refused(given: str, words: str) -> None:
    """An alert beyond the forecast would never be raised, and nobody would know."""
    with pytest.raises(InputError) as refused:
        parse_settings(ForecastSettings, given)
    assert words in str(refused.value)
