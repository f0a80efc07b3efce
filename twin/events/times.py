"""Times to an event over draws: probability by a date, restricted mean, and events that compete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from palpate.twin.events.piece import SampledPiece
from palpate.twin.events.rules import EventRule

type Values = NDArray[np.float64]

NONE: Final = 0
"""Kind of a draw without an event until the horizon."""
PROGRESSION: Final = 1
"""Kind of a draw whose first event is progression."""
COMPETING: Final = 2
"""Kind of a draw whose first event is a treatment that ends the wait for progression, such as an operation."""


@dataclass(frozen=True, slots=True, eq=False)
class EventTimes:
    """First event of each draw.

    Attributes:
        days: day of the first event, or the horizon where there is none, shape (draws,).
        kinds: NONE, PROGRESSION or COMPETING, shape (draws,).
        horizon: last day of the follow-up.
    """

    days: Values
    kinds: NDArray[np.int64]
    horizon: float

    def probability_by(self, day: float, kind: int = PROGRESSION) -> float:
        """Return the share of draws with an event of one kind until a day (the cumulative incidence).

        Args:
            day: day, at most the horizon.
            kind: kind of the event.

        Raises:
            ValueError: the day is beyond the horizon.
        """
        self._demand_within(day)
        return float(np.mean((self.kinds == kind) & (self.days <= day)))

    def probability_interval(self, day: float, kind: int = PROGRESSION, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of that probability that comes from the number of draws (Wilson).

        Args:
            day: day, at most the horizon.
            kind: kind of the event.
            level: probability of the interval.
        """
        count = round(self.probability_by(day, kind) * len(self.days))
        found = stats.binomtest(count, len(self.days)).proportion_ci(level, method="wilson")
        return float(found.low), float(found.high)

    def restricted(self, day: float) -> Values:
        """Return the time without an event until a day of each draw, days, shape (draws,).

        Args:
            day: day, at most the horizon.

        Raises:
            ValueError: the day is beyond the horizon.
        """
        self._demand_within(day)
        return np.minimum(self.days, day)

    def restricted_mean(self, day: float) -> float:
        """Return the mean time without an event until a day, days.

        Args:
            day: day, at most the horizon.
        """
        return float(self.restricted(day).mean())

    def _demand_within(self, day: float) -> None:
        if not 0.0 <= day <= self.horizon:
            raise ValueError(f"day {day} is not between 0 and the horizon, day {self.horizon}")


def first_events(progression: Values, horizon: float, competing: Values | None = None) -> EventTimes:
    """Return the first event of each draw; one on the same day as a competing treatment counts as progression.

    Args:
        progression: day of progression, infinity where there was none, shape (draws,).
        horizon: last day of the follow-up.
        competing: day of a treatment that ends the wait for progression, infinity where there is none, shape (draws,).
    """
    other = np.full(progression.shape, np.inf) if competing is None else competing
    days = np.minimum(progression, other)
    kinds = np.where(progression <= other, PROGRESSION, COMPETING)
    kinds = np.where(days <= horizon, kinds, NONE)
    return EventTimes(np.minimum(days, horizon), kinds.astype(np.int64), horizon)


def times_of_curve(
    days: Sequence[float], volumes_ml: Values, rule: EventRule, competing: Values | None = None
) -> EventTimes:
    """Return the first events of sampled volumes, such as a forecast's day by day, ln V linear in between.

    Args:
        days: days of the samples, ascending, shape (times,).
        volumes_ml: volume of each draw on these days, ml, shape (times, draws).
        rule: rule of the event; it may know the nadir of the scans before.
        competing: day of a treatment that ends the wait for the event, infinity where there is none, shape (draws,).
    """
    logs = np.log(np.maximum(volumes_ml, 1e-6))
    for at in range(len(days) - 1):
        rule.meet(SampledPiece(float(days[at]), float(days[at + 1]), logs[at], logs[at + 1]))
    return first_events(rule.days, float(days[-1]), competing)
