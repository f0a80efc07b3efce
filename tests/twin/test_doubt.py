"""Shares of a forecast's variance by source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.doubt.allocation import allocated, subsets
from palpate.twin.doubt.growth_laws import LawOfGrowth
from palpate.twin.doubt.shares import SharedVariance, variance_shares
from palpate.twin.doubt.sources import (
    DRIFT_TO_COME,
    FORM,
    FRONT_ERROR,
    MEASUREMENT,
    PARAMETERS,
    THRESHOLDS_OF_IMAGES,
)
from palpate.twin.forecast.predict import predict
from palpate.twin.products.figures import QUANTITIES
from tests.twin.drawn import drawn
from tests.twin.small import SETTINGS

DAY = 95.0
SOURCES = ("a", "b", "c")


@pytest.fixture(scope="module")
def twin() -> Calibration:
    """Draws under stress, whose last scan is on day 70."""
    return drawn(12)


@pytest.fixture(scope="module")
def found(twin: Calibration) -> dict[str, SharedVariance]:
    """Shares of each quantity."""
    return {one.quantity: one for one in variance_shares(twin, (DAY,)).quantities}


def _values(of: dict[str, np.ndarray]) -> dict[frozenset[str], np.ndarray]:
    """Sums of the sources of each set."""
    return {free: sum((of[one] for one in free), np.zeros(len(of["a"]))) for free in subsets(SOURCES)}


def test_shares_of_a_sum_of_independent_numbers_are_those_of_their_variances() -> None:
    """The case whose answer is known: variances 1, 4 and 9 of 14."""
    rng = np.random.default_rng(5)
    of = {name: size * rng.standard_normal(10_000) for name, size in zip(SOURCES, (1.0, 2.0, 3.0), strict=True)}
    shares = allocated(SOURCES, _values(of))
    np.testing.assert_allclose([one.share for one in shares], np.array([1.0, 4.0, 9.0]) / 14.0, atol=0.03)
    assert all(one.lower < one.share < one.upper for one in shares)


def test_what_two_sources_do_together_is_halved_between_them() -> None:
    """A product has no share of one alone; by symmetry each has a half, and the third nothing."""
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((2, 10_000))
    values = {free: a * b if {"a", "b"} <= free else np.zeros(10_000) for free in subsets(SOURCES)}
    np.testing.assert_allclose([one.share for one in allocated(SOURCES, values)], [0.5, 0.5, 0.0], atol=1e-12)


def test_a_source_that_makes_up_for_another_has_a_negative_share() -> None:
    """Dependent sources are no error of the shares: they still sum to one."""
    a = np.random.default_rng(7).standard_normal(5_000)
    shares = allocated(SOURCES, _values({"a": 2.0 * a, "b": -a, "c": np.zeros_like(a)}))
    np.testing.assert_allclose([one.share for one in shares], [2.0, -1.0, 0.0], atol=1e-12)


def test_draws_that_agree_have_no_shares() -> None:
    """Zero variance has no parts; 0 / 0 would be a number without meaning."""
    assert allocated(SOURCES, _values(dict.fromkeys(SOURCES, np.zeros(9)))) == ()


def test_shares_of_a_forecast_sum_to_one(found: dict[str, SharedVariance]) -> None:
    """Whatever depends on what, nothing of the variance is left over or counted twice."""
    for one in found.values():
        assert sum(each.share for each in one.shares) == pytest.approx(1.0, abs=1e-9)
    assert {each.source for each in found["burden_ml"].shares}.isdisjoint({MEASUREMENT, THRESHOLDS_OF_IMAGES})
    assert {PARAMETERS, DRIFT_TO_COME, FRONT_ERROR, MEASUREMENT} <= {one.source for one in found["visible_ml"].shares}


def test_with_every_source_it_is_the_forecast(twin: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one law of growth, the variance that is shared out is that of the forecast which users see."""
    alone = (LawOfGrowth("logistic", 1.0, {name: np.zeros(1) for name in QUANTITIES}, 100.0),)
    monkeypatch.setattr("palpate.twin.doubt.shares.laws_of_growth", lambda *_: alone)
    burden = variance_shares(twin, (DAY,)).quantities[-1]
    assert burden.std == pytest.approx(float(predict(twin, DAY).burdens_ml().std(ddof=1)), rel=1e-5)
    assert {one.source: one.share for one in burden.shares}[FORM] == pytest.approx(0.0, abs=1e-12)


def test_a_source_that_is_switched_off_has_no_share() -> None:
    """Each share stands for its own mechanism: without drift and error of the front theirs are zero."""
    still = SETTINGS.model_copy(update={"proliferation_log_std_per_100_days": 0.0, "front_error_mm": 0.0})
    twin = drawn(6, still)
    quiet = replace(twin, draws=replace(twin.draws, front_error=0.0 * twin.draws.front_error))
    quiet = replace(quiet, draws=replace(quiet.draws, front_error_mm=np.zeros(6)))
    for one in variance_shares(quiet, (DAY,)).quantities:
        shares = {each.source: each.share for each in one.shares}
        assert shares[DRIFT_TO_COME] == pytest.approx(0.0, abs=1e-12)
        assert shares[FRONT_ERROR] == pytest.approx(0.0, abs=1e-12)
        assert shares[PARAMETERS] > 0.1


def test_a_day_of_the_past_is_refused(twin: Calibration) -> None:
    """What was measured has no forecast."""
    with pytest.raises(InputError, match="a day after the last scan"):
        variance_shares(twin, (60.0,))
