"""Applicability domain: what lies outside is warned of with its cause, and what was tried stays silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.config.longitudinal import LongitudinalSettings
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import DrugDose, Irradiation, Surgery
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.trust.domain import domain
from palpate.twin.trust.tried import CODE, demand_tried_horizon, number_fact, tried_ranges, validated
from tests.twin.drawn import drawn

QUICK = TwinSettings(voxel_mm=4.0, block_mm=8.0, outline_modes=3, draws=24, mechanics=False)


@pytest.fixture(scope="module")
def usual() -> Calibration:
    """The small tumour on voxels of 3 mm, as those of the cohort are."""
    found = drawn(2, QUICK)
    affine_mm = np.diag([3.0, 3.0, 3.0, 1.0])
    grid = replace(found.grid, affine_mm=affine_mm)
    return replace(found, history=replace(found.history, affine_mm=affine_mm), grid=grid)


def test_a_usual_patient_is_silent(usual: Calibration) -> None:
    """A warning that comes always warns of nothing."""
    (tried, *_) = tried_ranges("horizon_days")
    found = domain(usual, tried.high)
    assert found.warnings() == ()
    assert found.as_record()["inside"]
    assert "age" in found.sentence()


def test_the_phantom_of_the_demo_is_silent() -> None:
    """The patient of the demo, and of every phantom with its defaults, is of the kind that was tried."""
    one = LongitudinalSettings()
    ahead = max(one.beyond_days) - one.days[-1]
    facts = {"scans": len(one.days), "voxel_mm": one.voxel_mm, "fraction_gy": one.fraction_gy, "horizon_days": ahead}
    assert [name for name, value in facts.items() if number_fact(name, float(value)).status == "outside"] == []


def test_a_horizon_beyond_forecasts_but_within_fronts_is_said(usual: Calibration) -> None:
    """What was tried in part is neither passed over nor called untried."""
    whole, part = tried_ranges("horizon_days")
    between = 0.5 * (whole.high + part.high)
    found = domain(usual, between)
    assert found.warnings() == ()
    assert "front alone" in found.sentence()
    assert f"{between:.3g} days" in found.sentence()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("horizon", "days from the last scan"),
        ("scans", "number of scans 2"),
        ("large", "visible volume"),
        ("coarse", "largest edge of the images' voxels"),
        ("dose", "largest dose of a fraction 8 Gy"),
        ("drug", "drug lomustine (not tried)"),
        ("operation", "surgery (not tried)"),
        ("biology", "hypoxia of day 0, which shifts alpha (not tried)"),
    ],
)
def test_each_fact_outside_is_the_cause_of_a_warning(usual: Calibration, what: str, words: str) -> None:
    """A person must see which fact makes the difference."""
    history, after, unlike = usual.history, 30.0, ()
    if what == "horizon":
        after = 400.0
    elif what == "scans":
        history = replace(history, scans=history.scans[:2])
    elif what == "large":
        history = replace(history, affine_mm=np.diag([3.0, 3.0, 300.0, 1.0]))
    elif what == "dose":
        history = replace(history, irradiations=(Irradiation(30.0, np.full(history.tissue.shape, 8.0)),))
    elif what == "drug":
        history = replace(history, drug_doses=(DrugDose(30.0, "lomustine", 100.0),))
    elif what == "operation":
        history = replace(history, surgeries=(Surgery(75.0, np.zeros(history.tissue.shape, dtype=np.bool_)),))
    elif what == "biology":
        unlike = ("hypoxia of day 0, which shifts alpha",)
    elif what == "coarse":
        history = replace(history, affine_mm=np.diag([5.0, 3.0, 3.0, 1.0]))
    (warning,) = domain(replace(usual, history=history), after, unlike).warnings()
    assert warning.code == CODE
    assert words in warning.sentence
    assert "palpate verify heldout" in warning.advice


def test_treatment_after_the_forecast_does_not_count(usual: Calibration) -> None:
    """An operation planned for later has no part in the figures."""
    surgery = Surgery(200.0, np.zeros(usual.history.tissue.shape, dtype=np.bool_))
    history = replace(usual.history, surgeries=(surgery,))
    assert domain(replace(usual, history=history), 30.0).warnings() == ()


def test_schedules_are_refused_beyond_what_was_validated() -> None:
    """A difference between schedules is a recommendation in waiting."""
    furthest = max(one.high for one in tried_ranges("horizon_days"))
    demand_tried_horizon([30.0, furthest])
    with pytest.raises(InputError, match="horizon beyond what was validated"):
        demand_tried_horizon([30.0, furthest + 1.0])


def test_ranges_come_from_records() -> None:
    """Each range names the record that it was read from, and holds patients, not wishes."""
    for about in validated()["numbers"].values():
        for one in about["tried"]:
            assert one["low"] <= one["high"]
            assert one["patients"] > 0 or one["of"]
    assert validated()["treatments"] == ["drug temozolomide", "radiotherapy"]
