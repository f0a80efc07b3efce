"""Laws of a future's random numbers: Brownian motion, and the same numbers whatever else is asked for."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from palpate.twin.state_space.chances import Chances

MANY = Chances(3, tuple(range(4000)))
SPREAD = 5.0 / np.sqrt(2.0 * 4000)
"""Five standard errors of a standard deviation by 4,000 draws."""


def test_a_draw_is_the_same_alone_and_among_others() -> None:
    """Ranks share draws, and a run may have fewer: no draw may depend on how many there are, or on their order."""
    few = Chances(3, (700, 2, 300))
    whole = MANY.motions(("a", "b"), 70.25, (71.0, 100.5))
    np.testing.assert_array_equal(few.motions(("a", "b"), 70.25, (71.0, 100.5)), whole[:, [700, 2, 300]])
    np.testing.assert_array_equal(few.normals("a", -4), MANY.normals("a", -4)[[700, 2, 300]])


def test_a_time_is_the_same_alone_and_after_others() -> None:
    """Day 140 asked alone, after day 110 and after every half day must be one day 140, to the last bit."""
    alone = MANY.motions(("a",), 69.5, (140.0,))[-1]
    often = MANY.motions(("a",), 69.5, tuple(np.arange(69.5, 140.25, 0.5)))[-1]
    np.testing.assert_array_equal(often, alone)
    np.testing.assert_array_equal(MANY.motions(("a",), 69.5, (110.0, 140.0))[-1], alone)


def test_steps_add_up() -> None:
    """Filters ask step by step, forecasts from the last scan: both must walk on one path."""
    stops = (3.0, 3.25, 4.0, 9.5, 9.75, 30.0)
    steps = [np.sqrt(b - a) * MANY.increments(("a",), a, b) for a, b in pairwise(stops)]
    np.testing.assert_allclose(np.sum(steps, axis=0), MANY.motions(("a",), 3.0, (30.0,))[0], atol=1e-12)


@pytest.mark.parametrize(("t0", "t1"), [(5.0, 6.0), (5.25, 5.75), (5.3, 5.4), (-2.5, 17.125), (5.0, 5.0 + 1 / 1024)])
def test_increments_are_standard_normal(t0: float, t1: float) -> None:
    """Within a day and across days the bridge must give Brownian motion's variance, and no bias."""
    (found,) = MANY.increments(("a",), t0, t1).T
    assert found.std() == pytest.approx(1.0, abs=SPREAD)
    assert abs(found.mean()) < 5.0 / np.sqrt(4000)
    assert abs(np.mean(found**4) - 3.0) < 5.0 * np.sqrt(96.0 / 4000)


def test_increments_without_overlap_are_independent() -> None:
    """Days, parts of one day, sources and seeds that share a number would make the future too sure or too wild."""
    parts = [MANY.increments(("a",), a, b)[:, 0] for a, b in ((1.0, 1.5), (1.5, 1.75), (1.75, 2.0), (2.0, 3.0))]
    others = [MANY.normals("b", 1), Chances(4, MANY.draws).normals("a", 1), MANY.normals("a", 2, 5)]
    apart = np.corrcoef(np.stack([*parts, *others])) - np.eye(7)
    assert np.abs(apart).max() < 5.0 / np.sqrt(4000)
    neighbours = np.corrcoef(MANY.normals("a", 1)[:-1], MANY.normals("a", 1)[1:])[0, 1]
    assert abs(neighbours) < 5.0 / np.sqrt(4000)


def test_a_bridge_ends_where_the_day_ends() -> None:
    """Half a day and the other half are the whole day; its middle has the covariance of a bridge."""
    to_half, to_end = MANY.motions(("a",), 8.0, (8.5, 9.0))[:, :, 0]
    np.testing.assert_array_equal(to_end, MANY.normals("a", 8))
    assert np.mean(to_half * to_end) == pytest.approx(0.5, abs=0.07)


def test_a_hundred_days_of_a_forecast_take_a_fraction_of_a_second() -> None:
    """Two hundred draws and sixty sources, as a forecast has them; a generator for each number took minutes."""
    sources = tuple(f"front {number}" for number in range(60))
    began = time.process_time()
    found = Chances(1, tuple(range(200))).motions(sources, 70.0, [70.0 + day for day in range(1, 101)])
    assert time.process_time() - began < 1.0
    assert found.shape == (100, 200, 60)
    assert np.isfinite(found).all()


def test_what_has_no_meaning_is_refused() -> None:
    """A span of no length has no normalised increment, and no draw has a negative number."""
    with pytest.raises(ValueError, match="t0 < t1"):
        MANY.increments(("a",), 4.0, 4.0 + 1e-5)
    with pytest.raises(ValueError, match="times from"):
        MANY.motions(("a",), 4.0, (3.0,))
    with pytest.raises(ValueError, match="numbered from 0"):
        Chances(1, (0, -1))
