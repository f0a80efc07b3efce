"""Summary of innovations: as often odd as stated where all is right, and wrong where it is."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as stats

from palpate.twin.assimilation.innovation import EventInnovation
from palpate.twin.assimilation.stream_summary import StreamSummary, summarise, verdict, whiteness
from tests.laws.chance import assert_coverage


def _summary(white: list[float]) -> StreamSummary:
    scale = 0.4
    innovations = [
        EventInnovation(float(day), "volume", np.array([2.0 + scale * one]), np.array([2.0]), scale**2 * np.eye(1), 0.0)
        for day, one in enumerate(white)
    ]
    (found,) = summarise(innovations)
    return found


def test_an_innovation_is_whitened() -> None:
    """Two correlated numbers become independent ones; the probability is that of their squares' sum."""
    covariance = np.array([[4.0, 1.8], [1.8, 1.0]])
    draws = np.random.default_rng(1).multivariate_normal(np.zeros(2), covariance, 4000)
    found = [EventInnovation(0.0, "pair", one, np.zeros(2), covariance, 0.0) for one in draws]
    np.testing.assert_allclose(np.cov([one.normalised for one in found], rowvar=False), np.eye(2), atol=0.1)
    assert stats.kstest([one.probability for one in found], "uniform").pvalue > 1e-4


@pytest.mark.parametrize("events", [5, 8, 20])
def test_whiteness_is_rejected_as_often_as_stated(events: int) -> None:
    """Five in a hundred of independent sequences, also short ones, where Ljung and Box's chi-square is wrong."""
    rng = np.random.default_rng(events)
    rejected = sum(whiteness(rng.standard_normal((events, 1))) < 0.05 for _ in range(1000))
    assert_coverage(rejected, 1000, 0.05)


def test_words_follow_from_the_limits() -> None:
    """Innovations of variance 1 are as expected; of variance 4, off by one, or in series, they are odd or wrong."""
    rng = np.random.default_rng(3)
    right = list(rng.standard_normal(20))
    series = list(np.sqrt(0.19) * np.array([sum(0.9 ** (t - s) * right[s] for s in range(t + 1)) for t in range(20)]))
    assert _summary(right).verdict == "as expected"
    assert _summary([2.2 * one for one in right]).verdict == "wrong"
    assert _summary([1.5 + one for one in right]).verdict == "wrong"
    found = _summary(series)
    assert found.whiteness_probability is not None
    assert found.whiteness_probability < 0.01
    assert [verdict(p) for p in (0.2, 0.05, 0.049, 0.001, 0.0009)] == [
        "as expected",
        "as expected",
        "odd",
        "odd",
        "wrong",
    ]


def test_few_events_are_not_judged_for_whiteness() -> None:
    """Of four events nobody can tell."""
    assert _summary([0.1, -0.4, 1.2, 0.3]).whiteness_probability is None
