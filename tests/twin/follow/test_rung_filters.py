"""Filters on the small rungs: those that are offered are right, the others are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from innovations import rung_case
from worlds.patients_of_model import StreamPlan, patient_of

from palpate.errors import InputError
from palpate.twin.assimilation import refitted
from palpate.twin.assimilation.assimilate import assimilate
from palpate.twin.assimilation.record import LifelongRecord, begin_record
from palpate.twin.assimilation.setup import FilterSettings, Method

DAYS = (0.0, 40.0, 80.0)


def _record(rung: str, method: Method, number: int, members: int = 400) -> LifelongRecord:
    case = rung_case(rung)
    setup = replace(case.setup, filter=FilterSettings(method, members, seed=7))
    plans = tuple(StreamPlan(one.stream, DAYS, one.std) for one in case.plans)
    return assimilate(setup, begin_record(setup, "sub-01"), patient_of(setup, plans, number).events, DAYS[-1])


def test_a_fit_gives_the_posterior_of_sequential_monte_carlo() -> None:
    """Both are exact as particles become many: means within a third of a spread, spreads within a quarter."""
    means, spreads = [], []
    methods: tuple[tuple[Method, int], ...] = (("refitted", 2000), ("sequential", 1000))
    for method, members in methods:
        mean, covariance = _record("logistic", method, 3, members).checkpoints[-1].belief.moments()
        means.append(mean[2:])
        spreads.append(np.sqrt(np.diag(covariance))[2:])
    assert np.abs((means[0] - means[1]) / spreads[1]).max() < 1.0 / 3.0
    np.testing.assert_allclose(spreads[0], spreads[1], rtol=0.25)


def test_a_front_is_followed() -> None:
    """One patient of the radial rung: Kalman filters gave a mean square above 10 here (decision 0154)."""
    white = np.concatenate([one.normalised for one in _record("radial", "refitted", 0, 200).innovations])
    assert 0.2 < np.mean(white**2) < 3.0


@pytest.mark.parametrize("method", ["extended", "unscented", "ensemble"])
def test_filters_that_cannot_follow_a_front_are_refused(method: Method) -> None:
    """A user must not be offered a filter whose innovations were found to be many times too large."""
    with pytest.raises(InputError, match=f"filter of the radial rung: found {method}, which moves densities"):
        replace(rung_case("radial").setup, filter=FilterSettings(method))


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (1.5, -0.7)])
def test_the_bridge_gives_the_ratio_of_constants(before: float, after: float) -> None:
    """Particles of N(0, 1) and of N(0, 1) times exp(-(x - y)^2 / 2), whose integral is known."""
    rng = np.random.default_rng(1)
    n, y = 4000, before - after
    first, second = rng.standard_normal(n), y / 2.0 + np.sqrt(0.5) * rng.standard_normal(n)
    even = np.full(n, -np.log(n))
    found = refitted.bridged(even, -0.5 * (first - y) ** 2, even, -0.5 * (second - y) ** 2)
    assert found == pytest.approx(-0.5 * np.log(2.0) - y**2 / 4.0, abs=0.03)
