"""The straight line by which the soak benchmark judges growth."""

from __future__ import annotations

import numpy as np
import pytest
from harness.growth_trend import growth
from soak import MEMORY_GOAL, SESSIONS, SoakCourse, rows_of

from palpate.records.goals import judge


def test_a_leak_misses_the_goal() -> None:
    """A file that stays open after each session, and 0.2 MB with it, must be found beneath noise of 1 MB."""
    noise = np.random.default_rng(1).normal(size=SESSIONS)
    leak = SoakCourse(tuple(300.0 + 0.2 * np.arange(SESSIONS) + noise), tuple(range(10, 10 + SESSIONS)))
    verdicts = [row.verdict for row in rows_of("door", leak) if row.goal]
    assert len(verdicts) == 2
    assert all(verdict.startswith("missed") for verdict in verdicts)


def test_a_flat_course_meets_the_goal() -> None:
    """Memory that only fluctuates, and a warm-up of 50 MB in the first sessions, are no growth."""
    noise = np.random.default_rng(1).normal(size=SESSIONS)
    warm_up = 50.0 * np.minimum(np.arange(SESSIONS) / 20.0, 1.0)
    flat = SoakCourse(tuple(300.0 + warm_up + noise), (10,) * SESSIONS)
    assert {row.verdict for row in rows_of("door", flat) if row.goal} == {"met"}


def test_a_step_of_memory_is_told_from_a_leak_by_the_interval() -> None:
    """One step of 4 MB after half of the sessions widens the interval, since neighbours are alike."""
    step = 300.0 + 4.0 * (np.arange(SESSIONS) > SESSIONS // 2)
    found = growth(list(step))
    straight = growth(list(300.0 + found.slope * np.arange(SESSIONS)))
    assert straight.upper - straight.lower < 1e-9
    assert found.upper - found.lower > found.slope / 2.0


def test_intervals_hold_where_neighbours_are_alike() -> None:
    """With a correlation of 0.8 from session to session, about 95 of 100 intervals hold the slope."""
    random, held = np.random.default_rng(2), 0
    for _ in range(200):
        noise = np.zeros(SESSIONS)
        for session in range(1, SESSIONS):
            noise[session] = 0.8 * noise[session - 1] + random.normal()
        found = growth(list(0.05 * np.arange(SESSIONS) + noise))
        held += found.lower <= 0.05 <= found.upper
    assert held >= 180


def test_too_few_sessions_are_refused() -> None:
    """A line through three blocks would have an interval of one degree of freedom."""
    with pytest.raises(ValueError, match="needs 4"):
        growth([1.0] * 20)
    assert judge(MEMORY_GOAL, growth([1.0] * 30).upper * SESSIONS) == "met"
