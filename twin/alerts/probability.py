"""Probability from draws, with its Monte-Carlo error, beside a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from palpate.twin.alerts.state import AlertState
from palpate.twin.events.times import PROGRESSION, EventTimes


@dataclass(frozen=True, slots=True)
class DrawnProbability:
    """Probability of an event by a day, as a share of equally probable draws.

    Attributes:
        value: share p of the draws with the event, 0 to 1.
        error: Monte-Carlo standard error of p, by Jeffreys' prior, so that no draw or all draws have an error, too.
        lower: lower end of the 95 % interval that comes from the number of draws (Wilson).
        upper: upper end of that interval.
        draws: number of draws.
    """

    value: float
    error: float
    lower: float
    upper: float
    draws: int

    @staticmethod
    def by(times: EventTimes, day: float, kind: int = PROGRESSION) -> DrawnProbability:
        """Return the probability of an event by a day.

        Args:
            times: first event of each draw.
            day: day, at most the horizon of the times.
            kind: kind of the event (palpate.twin.events.times).

        Raises:
            ValueError: the day is beyond the horizon.
        """
        value, count = times.probability_by(day, kind), len(times.days)
        having = round(value * count)
        # Standard deviation of a beta distribution of parameters having + 1/2 and count - having + 1/2.
        variance = (having + 0.5) * (count - having + 0.5) / ((count + 1) ** 2 * (count + 2))
        lower, upper = times.probability_interval(day, kind)
        return DrawnProbability(value, float(np.sqrt(variance)), lower, upper, count)

    def beside(self, bound: float) -> AlertState:
        """Return whether the probability exceeds a bound, which draws leave undecided where their interval holds it.

        Args:
            bound: probability from which on an alert is raised.
        """
        if self.lower <= bound <= self.upper:
            return AlertState.UNDECIDED
        return AlertState.RAISED if self.value > bound else AlertState.NOT_RAISED

    def as_record(self) -> dict[str, Any]:
        """Return the JSON object of a record."""
        return {
            "probability": self.value,
            "probability_error": self.error,
            "probability_lower": self.lower,
            "probability_upper": self.upper,
            "draws": self.draws,
        }
