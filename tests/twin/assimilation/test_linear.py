"""Filters and smoothers against the exact posterior of a linear model with normal noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.twin.assimilation.assimilate import assimilate, present
from palpate.twin.assimilation.belief import GaussianBelief
from palpate.twin.assimilation.record import LifelongRecord, begin_record
from palpate.twin.assimilation.setup import Method
from palpate.twin.assimilation.smoother import smooth
from palpate.twin.state_space.event import Event
from tests.twin.assimilation.linear_model import LOOKS, LinearLook, events_of, exact, linear_setup

TODAY = 40.0
EXACT = 1e-8
KALMAN: tuple[Method, ...] = ("extended", "unscented")
EARLIER = {"panel": "a panel"}
"""Another name of a stream, by which it comes before the other one."""


def _assimilated(method: Method, events: tuple[Event, ...], members: int = 400, seed: int = 0) -> LifelongRecord:
    setup = linear_setup(method, members, seed)
    return assimilate(setup, begin_record(setup, "sub-01"), events, TODAY)


@pytest.mark.parametrize("method", KALMAN)
def test_kalman_filters_are_exact(method: Method) -> None:
    """On each visit the belief is the regression's on all measurements until then, and today's is as well."""
    events, _ = events_of(1)
    record = _assimilated(method, events)
    for checkpoint in record.checkpoints:
        until = tuple(one for one in events if one.acquired <= checkpoint.day)
        (mean,), (covariance,) = exact(until, (checkpoint.day,))
        found = checkpoint.belief.moments()
        np.testing.assert_allclose(found[0], mean, atol=EXACT)
        np.testing.assert_allclose(found[1], covariance, atol=EXACT)
    (mean,), (covariance,) = exact(events, (TODAY,))
    now = present(linear_setup(method), record).moments()
    np.testing.assert_allclose(now[0], mean, atol=EXACT)
    np.testing.assert_allclose(now[1], covariance, atol=EXACT)


@pytest.mark.parametrize("method", KALMAN)
def test_kalman_smoothers_are_exact(method: Method) -> None:
    """Every visit's state is the regression's on all measurements, also where P has no full rank, as on day 0."""
    events, _ = events_of(2)
    record = _assimilated(method, events)
    days = tuple(one.day for one in record.checkpoints)
    for found, mean, covariance in zip(smooth(linear_setup(method), record), *exact(events, days), strict=True):
        np.testing.assert_allclose(found.moments()[0], mean, atol=EXACT)
        np.testing.assert_allclose(found.moments()[1], covariance, atol=EXACT)


@pytest.mark.parametrize("method", KALMAN)
def test_innovations_have_the_joint_density(method: Method) -> None:
    """The sum of log predictive densities is the evidence, which does not depend on the order of one day's streams."""
    events, _ = events_of(3)
    record = _assimilated(method, events)
    swapped = tuple(replace(one, stream=EARLIER.get(one.stream, one.stream)) for one in events)
    setup = linear_setup(method)
    looks = tuple(LinearLook(EARLIER.get(one.stream, one.stream), one.matrix) for one in LOOKS)
    other = replace(setup, observations=looks)
    again = assimilate(other, begin_record(other, "sub-01"), swapped, TODAY)
    assert record.innovations[0].stream == "level"
    assert again.innovations[0].stream == EARLIER["panel"]
    total = sum(one.log_density for one in record.innovations)
    assert total == pytest.approx(sum(one.log_density for one in again.innovations), abs=1e-7)


@pytest.mark.parametrize("method", ["ensemble", "sequential", "refitted"])
def test_members_have_the_exact_moments(method: Method) -> None:
    """Means are within four standard errors of the regression's, filtered and smoothed; spreads within ten percent."""
    events, _ = events_of(1)
    setup = linear_setup(method, members := 4000)
    record = _assimilated(method, events, members)
    days = tuple(one.day for one in record.checkpoints)
    smoothed = smooth(setup, record)
    beliefs = [*smoothed, record.checkpoints[-1].belief]
    means, covariances = exact(events, (*days, days[-1]))
    for belief, mean, covariance in zip(beliefs, means, covariances, strict=True):
        found, spread = belief.moments()
        std = np.sqrt(np.diag(covariance))
        assert np.abs((found - mean) / std).max() < 4.0 / np.sqrt(members / 3.0)
        np.testing.assert_allclose(np.sqrt(np.diag(spread)), std, rtol=0.1)


def test_error_of_the_ensemble_falls_as_the_root_of_its_size() -> None:
    """Mean and spread converge to the exact ones as N^(-1/2): the ensemble is a Monte-Carlo method without a floor."""
    events, _ = events_of(1)
    means, covariances = exact(events, (33.0,))
    std = np.sqrt(np.diag(covariances[0]))
    sizes = 50 * 2 ** np.arange(7)
    errors = []
    for size in sizes:
        beliefs = [_assimilated("ensemble", events, int(size), seed).checkpoints[-1].belief for seed in range(30)]
        off = [(one.moments()[0] - means[0]) / std for one in beliefs]
        errors.append(np.sqrt(np.mean(np.square(off))))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.6 < slope < -0.4, (slope, errors)


def test_beliefs_are_symmetric_and_positive() -> None:
    """A covariance that loses symmetry or sign by rounding ends in a failed factorisation years later."""
    events, _ = events_of(5, tuple(float(day) for day in range(120)))
    for method in KALMAN:
        setup = linear_setup(method)
        last = assimilate(setup, begin_record(setup, "sub-01"), events, 130.0).checkpoints[-1].belief
        assert isinstance(last, GaussianBelief)
        assert np.array_equal(last.covariance, last.covariance.T)
        assert np.linalg.eigvalsh(last.covariance).min() > 0.0
