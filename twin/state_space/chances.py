"""Random numbers of a future, keyed by draw, source and day, so that every question meets the same future.

Each draw has a Brownian motion of its own for each source. Its increment over one whole day comes from a counter-based
generator (Philox) whose key is of seed and source, and whose counter is of draw and day, so that neither the other
draws, days, schedules and ranks nor their order change it. Days that are not whole lie on the Brownian bridge between
whole ones, halved again and again with numbers of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

type Values = NDArray[np.float64]

BRIDGE_LEVELS: Final = 10
"""Halvings of a day: times are resolved to 1/1024 day, about a minute and a half."""
_SHARES: Final = 2**BRIDGE_LEVELS
_DAYS_BEFORE: Final = 2**40
"""Offset that keeps the counters of days before the first scan positive."""
_TOGETHER: Final = 256
"""Number of draws whose numbers of a day follow each other in a stream. It is part of what a draw's numbers are."""
_WORDS: Final = 4
"""Number of words that each value of Philox's counter gives."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Brownian motions of all draws and sources.

    Attributes:
        seed: seed of all numbers.
        draws: numbers of the draws, in the order of the arrays; a part of all draws gets the numbers that it has
            among all.
    """

    seed: int
    draws: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse draws that have no place in a stream.

        Raises:
            ValueError: the number of a draw is negative.
        """
        if min(self.draws, default=0) < 0:
            raise ValueError(f"draws are numbered from 0, found {min(self.draws)}")

    def normals(self, source: str, day: int, part: int = 0) -> Values:
        """Return one standard normal number a draw, shape (draws,).

        Args:
            source: name of the source.
            day: whole day.
            part: which of the numbers of that day: 0 for its increment, above that for points within it.
        """
        return np.asarray(self._days(source, day, 1, part)[0])

    def increments(self, sources: tuple[str, ...], t0: float, t1: float) -> Values:
        """Return W(t1) - W(t0) over the root of t1 - t0, shape (draws, sources).

        Args:
            sources: names of the sources.
            t0: day of the beginning.
            t1: day of the end, after t0.

        Raises:
            ValueError: t0 is not before t1 at the resolution of a bridge.
        """
        span = _resolved(t1) - _resolved(t0)
        if not span > 0.0:
            raise ValueError(f"expected t0 < t1 by 1/{_SHARES} day or more, found {t0} and {t1}")
        return np.asarray(self.motions(sources, t0, (t1,))[0] / np.sqrt(span))

    def motions(self, sources: Sequence[str], t0: float, times: Sequence[float]) -> Values:
        """Return W(t) - W(t0) for each of several times, shape (times, draws, sources).

        The value at a time does not depend, to the last bit, on the other times.

        Args:
            sources: names of the sources.
            t0: day of the beginning.
            times: days, none before t0.

        Raises:
            ValueError: a time lies before t0.
        """
        if min(times, default=t0) < t0:
            raise ValueError(f"expected times from {t0} on, found {min(times)}")
        start = int(np.floor(t0))
        whole = [int(np.floor(time)) - start for time in times]
        found = np.zeros((len(times), len(self.draws), len(sources)))
        for at, source in enumerate(sources):
            steps = self._days(source, start, max(whole, default=0))
            # One after another, as cumsum adds: a longer walk begins with the bits of a shorter one.
            walk = np.concatenate([np.zeros((1, len(self.draws))), np.cumsum(steps, axis=0)])
            begun = self._within(source, t0)
            for number, (time, days) in enumerate(zip(times, whole, strict=True)):
                found[number, :, at] = (walk[days] + self._within(source, time)) - begun
        return found

    def _within(self, source: str, time: float) -> Values:
        """Return W(time) - W(whole day before), shape (draws,), by a bridge."""
        day = int(np.floor(time))
        share = round((time - day) * _SHARES)
        if share == 0:
            return np.zeros(len(self.draws))
        low, high, first, last = np.zeros(len(self.draws)), self.normals(source, day), 0, _SHARES
        if share == last:
            return high
        while first != share:
            middle = (first + last) // 2
            spread = 0.5 * np.sqrt((last - first) / _SHARES)
            value = 0.5 * (low + high) + spread * self.normals(source, day, middle)
            low, high, first, last = (value, high, middle, last) if share >= middle else (low, value, first, middle)
        return low

    def _days(self, source: str, day: int, count: int, part: int = 0) -> Values:
        """Return standard normal numbers of successive days, shape (count, draws)."""
        draws = np.array(self.draws, dtype=np.int64)
        found = np.zeros((count, len(draws)))
        for group in np.unique(draws // _TOGETHER):
            mine = draws // _TOGETHER == group
            # Each day takes a whole number of the counter's values, since Philox counts in its first word.
            counter = np.array([(day + _DAYS_BEFORE) * (_TOGETHER // _WORDS), part, group, 0], dtype=np.uint64)
            words = np.random.Philox(key=_key(self.seed, source), counter=counter).random_raw(count * _TOGETHER)
            chosen = words.reshape(count, _TOGETHER)[:, draws[mine] % _TOGETHER]
            # The middles of 2^52 intervals: neither 0 nor 1, whose normal numbers are infinite.
            found[:, mine] = ndtri(((chosen >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)
        return found


def _resolved(time: float) -> float:
    """Return a time as the bridge resolves it."""
    return float(round(time * _SHARES) / _SHARES)


@lru_cache(maxsize=2**12)
def _key(seed: int, source: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{source}".encode()).digest()[:16], "little")
