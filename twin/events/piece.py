"""Pieces of a volume's path: time without an event of treatment, for many draws at once.

A piece knows the logarithm of the volume at both of its ends and at a time within it. Those of the logistic rung are
exact. Those of sampled volumes take the logarithm as linear between samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.twin.events.root import root
from palpate.twin.rungs.logistic import LogisticPiece

type Values = NDArray[np.float64]
type Numbers = NDArray[np.int64]

INNER = 33
"""Number of times in a piece with a drug at which the slope of the burden is looked at, and closed in between."""


class VolumePiece(Protocol):
    """Time without an event, for all draws.

    Attributes:
        start: first day.
        end: last day.
        first: ln V at the start, after the events of that day, V in ml, shape (draws,).
        last: ln V at the end, shape (draws,).
    """

    @property
    def start(self) -> float: ...  # noqa: D102
    @property
    def end(self) -> float: ...  # noqa: D102
    @property
    def first(self) -> Values: ...  # noqa: D102
    @property
    def last(self) -> Values: ...  # noqa: D102

    def at(self, draws: Numbers, days: Values) -> Values:
        """Return ln V of some draws, each at a time of its own, shape (some,)."""
        ...

    def lowest(self, below: Values) -> Values:
        """Return the lowest ln V of each draw, shape (draws,); exact only where it is less than `below`."""
        ...

    def crossing(self, level: Values) -> Values:
        """Return the first day on which ln V rises to a level of each draw, infinity where it does not, (draws,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SampledPiece:
    """Time between two samples of a volume, whose logarithm is linear in between.

    Attributes:
        start: first day.
        end: last day.
        first: ln V at the start, after the events of that day, V in ml, shape (draws,).
        last: ln V at the end, shape (draws,).
    """

    start: float
    end: float
    first: Values
    last: Values

    def at(self, draws: Numbers, days: Values) -> Values:
        """See VolumePiece."""
        share = (days - self.start) / (self.end - self.start)
        return np.asarray(self.first[draws] + share * (self.last - self.first)[draws])

    def lowest(self, below: Values) -> Values:  # noqa: ARG002 - the protocol's argument
        """See VolumePiece."""
        return np.minimum(self.first, self.last)

    def crossing(self, level: Values) -> Values:
        """See VolumePiece."""
        days = np.full(self.first.shape, np.inf)
        days[self.first >= level] = self.start
        rises = np.flatnonzero((self.first < level) & (self.last >= level))
        share = (level - self.first)[rises] / (self.last - self.first)[rises]
        days[rises] = self.start + share * (self.end - self.start)
        return days


@dataclass(frozen=True, eq=False)
class LogisticVolumePiece:
    """Piece of the logistic rung, in closed form: ln V = ln(ratio K) - ln(1 + exp(-z)).

    Attributes:
        piece: piece of the logit z.
        log_most: ln(ratio K), logarithm of the largest volume, ml, shape (draws,).
    """

    piece: LogisticPiece
    log_most: Values
    start: float = field(init=False)
    end: float = field(init=False)

    def __post_init__(self) -> None:
        """Take the days from the piece."""
        object.__setattr__(self, "start", self.piece.start)
        object.__setattr__(self, "end", self.piece.end)

    @cached_property
    def first(self) -> Values:
        """See VolumePiece."""
        return self.log_most - np.logaddexp(0.0, -self.piece.first)

    @cached_property
    def last(self) -> Values:
        """See VolumePiece."""
        return self.log_most - np.logaddexp(0.0, -self.piece.last)

    def at(self, draws: Numbers, days: Values) -> Values:
        """See VolumePiece."""
        return np.asarray(self.log_most[draws] - np.logaddexp(0.0, -self.piece.logit(draws, days)))

    @cached_property
    def _killed(self) -> Values:
        """Exponent of the kill by drugs in the piece, shape (draws,)."""
        return self.piece.rates.log_kill(self.start, np.full(self.first.shape, self.end))

    @cached_property
    def _drugs(self) -> bool:
        return self.piece.drugs

    def lowest(self, below: Values) -> Values:
        """See VolumePiece; under a drug the burden may fall and rise within the piece."""
        ends = np.minimum(self.first, self.last)
        if not self._drugs:
            return ends
        asked = np.flatnonzero(self.first - self._killed < np.minimum(below, ends))
        found = ends.copy()
        for low, high, those in self._turns(asked):
            days = self._turning(those, low, high)
            found[those] = np.minimum(found[those], self.at(those, days))
        return found

    def crossing(self, level: Values) -> Values:
        """See VolumePiece."""
        days = np.full(self.first.shape, np.inf)
        days[self.first >= level] = self.start
        if not self._drugs:
            reached = np.flatnonzero((self.first < level) & (self.last >= level))
            gap = level[reached] - self.log_most[reached]  # ln p of the level
            z = gap - np.log(-np.expm1(gap))
            grown = (z - self.piece.first[reached]) / self.piece.rates.growth_1_day[reached]
            days[reached] = np.minimum(self.start + grown, self.end)
            return days
        growth = self.piece.rates.growth_1_day * (self.end - self.start)
        asked = np.flatnonzero((self.first < level) & (self.first + growth >= level))
        days[asked] = self._closed_in(asked, level[asked])
        return days

    def _turns(self, asked: Numbers) -> list[tuple[float, float, Numbers]]:
        """Return intervals in which the slope of ln V turns from falling to rising, and the draws of each."""
        if not len(asked):
            return []
        times = np.linspace(self.start, self.end, INNER)
        own = self.piece.rates.of(asked)
        kills = own.kills_1_day(times)
        # A day changes k (1 - p) little: the turn is in this interval or the next, and is closed in exactly.
        falls = kills > own.growth_1_day * np.exp(-np.logaddexp(0.0, self.piece.first[asked]))
        turned = falls[:-1] & ~falls[1:]
        return [(times[at], times[at + 1], asked[turned[at]]) for at in np.flatnonzero(turned.any(axis=1))]

    def _turning(self, those: Numbers, low: float, high: float) -> Values:
        """Return the day on which the slope is zero, by two secants: at a minimum their error counts squared."""
        a, b = np.full(len(those), low), np.full(len(those), high)
        fa, fb = self.piece.slope_1_day(those, a), self.piece.slope_1_day(those, b)
        for _ in range(2):
            flat = fb == fa
            c = np.clip(np.where(flat, b, b - fb * (b - a) / np.where(flat, 1.0, fb - fa)), self.start, self.end)
            a, fa, b, fb = b, fb, c, self.piece.slope_1_day(those, c)
        return b

    def _closed_in(self, asked: Numbers, level: Values) -> Values:
        """Return the first crossing of each draw asked for: a bracket among inner times, then its root."""
        times = np.linspace(self.start, self.end, INNER)
        logs = self.at(np.repeat(asked, INNER), np.tile(times, len(asked))).reshape(len(asked), INNER)
        above = logs >= level[:, None]
        at = np.where(above.any(axis=1), above.argmax(axis=1), 0)
        days = np.where(above.any(axis=1), times[at], np.inf)
        low = times[np.maximum(at - 1, 0)]
        found = np.flatnonzero(np.isfinite(days))
        those, aim = asked[found], level[found]
        days[found] = root(lambda at: self.at(those, at) - aim, low[found], days[found])
        return days
