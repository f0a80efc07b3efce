"""Curves of survival against counting, and hazard ratios against the distribution that made the times."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.twin.events.times import COMPETING, NONE, PROGRESSION
from palpate.twin.trial.effects import log_hazard_ratio, paired, paired_shares
from palpate.twin.trial.survival import curve_days, survival_curve


def test_without_censoring_the_curve_is_the_empirical_share() -> None:
    """Kaplan and Meier's product then telescopes to the share of later events; numbers at risk are counts."""
    days = np.random.default_rng(0).exponential(30.0, 50)
    curve = survival_curve(days, np.full(50, PROGRESSION), (0.0, 10.0, 30.0, 60.0, 500.0))
    for point in curve:
        assert point.survival == pytest.approx(np.mean(days > point.day), abs=1e-12)
        assert point.incidence == pytest.approx(np.mean(days <= point.day), abs=1e-12)
        assert point.at_risk == (days >= point.day).sum()
        assert point.lower <= point.survival <= point.upper


def test_censored_and_competing_events_by_hand() -> None:
    """Five patients: the censored one leaves the risk set, and incidences of both kinds and survival sum to one."""
    days = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    kinds = np.array([PROGRESSION, NONE, COMPETING, PROGRESSION, NONE])
    point = survival_curve(days, kinds, (4.5,))[0]
    assert point.survival == pytest.approx(4 / 5 * 2 / 3 * 1 / 2)
    assert point.incidence == pytest.approx(1 / 5 + (4 / 5 * 2 / 3) * 1 / 2)
    competing = 4 / 5 * 1 / 3
    assert point.survival + point.incidence + competing == pytest.approx(1.0)
    assert (point.progressed, point.competing, point.at_risk) == (2, 1, 1)


def test_a_curve_without_events_stays_at_one() -> None:
    """No event is no failure of the estimator."""
    curve = survival_curve(np.full(5, 60.0), np.full(5, NONE), curve_days(60))
    assert {one.survival for one in curve} == {1.0}
    assert [one.day for one in curve][-1] == 60.0


def test_the_hazard_ratio_is_that_of_the_times_and_its_error_that_of_patients() -> None:
    """Exponential times of hazards 1 and 2: within three errors of ln 2; censoring at one day changes nothing.

    The same uniform numbers in both arms make the arms alike, and the robust error smaller than that of two groups.
    """
    drawn = -np.log(np.random.default_rng(1).random(3000))
    apart = -np.log(np.random.default_rng(2).random(3000))
    for other, least in ((drawn, 3.0), (apart, 0.8)):
        days = np.stack([drawn, 0.5 * other])
        found = log_hazard_ratio(np.minimum(days, 1.0), days <= 1.0)
        assert found is not None
        estimate, error, lower, upper, ratio = found
        assert abs(estimate - np.log(2.0)) < 3.0 * max(error, 0.004)
        assert lower < estimate < upper
        assert ratio > least
    assert log_hazard_ratio(days, np.zeros(days.shape, np.bool_)) is None


def test_a_paired_difference_of_what_is_equal_is_nothing() -> None:
    """Exactly, without rounding, and its variance ratio is not defined."""
    values = np.random.default_rng(3).normal(size=30)
    estimate, error, lower, upper, ratio = paired(values, values)
    assert (estimate, error, lower, upper) == (0.0, 0.0, 0.0, 0.0)
    assert np.isnan(ratio)


def test_intervals_of_shares_hold_where_few_patients_differ() -> None:
    """Four of 200 patients progress in one arm alone and one in the other: 95 % in at least 93 %, mean's 90 %.

    The interval of the mean difference alone held 90 % of 400 trials.
    """
    rng, truth, inside = np.random.default_rng(4), -0.015, 0
    for kind in rng.choice(3, size=(1000, 200), p=[0.02, 0.975, 0.005]):
        estimate, _, lower, upper, _ = paired_shares((kind == 2).astype(float), (kind == 0).astype(float))
        inside += lower <= truth <= upper
        assert lower <= estimate <= upper
    assert inside >= 930
