"""Random numbers of a future, keyed by draw, source and day, so that every question meets the same future.

Each draw has a Brownian motion of its own for each source. Its increment over one whole day d comes from a
counter-based generator (Philox) with the key (seed, source) and the counter (draw, d), so that neither the other days,
schedules and ranks nor their order change it. Days that are not whole lie on the Brownian bridge between whole ones,
halved again and again with numbers of their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]

BRIDGE_LEVELS: Final = 10
"""Halvings of a day: times are resolved to 1/1024 day, about a minute and a half."""
_DAYS_BEFORE: Final = 2**40
"""Offset that keeps the counters of days before the first scan positive."""


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

    def normals(self, source: str, day: int, part: int = 0) -> Values:
        """Return one standard normal number a draw, shape (draws,).

        Args:
            source: name of the source.
            day: whole day.
            part: which of the numbers of that day: 0 for its increment, above that for points within it.
        """
        return np.array([_normal(self.seed, source, draw, day, part) for draw in self.draws])

    def increments(self, sources: tuple[str, ...], t0: float, t1: float) -> Values:
        """Return W(t1) - W(t0) over the root of t1 - t0, shape (draws, sources).

        Args:
            sources: names of the sources.
            t0: day of the beginning.
            t1: day of the end, after t0.

        Raises:
            ValueError: t0 is not before t1.
        """
        if not t0 < t1:
            raise ValueError(f"expected t0 < t1, found {t0} and {t1}")
        moved = [self._to(source, t1) - self._to(source, t0) + self._whole(source, t0, t1) for source in sources]
        found = np.stack(moved, axis=1) if moved else np.zeros((len(self.draws), 0))
        return np.asarray(found / np.sqrt(t1 - t0))

    def _whole(self, source: str, t0: float, t1: float) -> Values:
        """Return the sum of the increments from the whole day before t0 to that before t1, shape (draws,)."""
        total = np.zeros(len(self.draws))
        for day in range(int(np.floor(t0)), int(np.floor(t1))):
            total += self.normals(source, day)
        return total

    def _to(self, source: str, time: float) -> Values:
        """Return W(time) - W(whole day before), shape (draws,), by a bridge."""
        day = int(np.floor(time))
        share = round((time - day) * 2**BRIDGE_LEVELS)
        low, high, first, last = np.zeros(len(self.draws)), self.normals(source, day), 0, 2**BRIDGE_LEVELS
        if share == last:
            return high
        while first != share:
            middle = (first + last) // 2
            spread = 0.5 * np.sqrt((last - first) / 2**BRIDGE_LEVELS)
            value = 0.5 * (low + high) + spread * self.normals(source, day, middle)
            low, high, first, last = (value, high, middle, last) if share >= middle else (low, value, first, middle)
        return low


@lru_cache(maxsize=2**18)
def _normal(seed: int, source: str, draw: int, day: int, part: int) -> float:
    key = int.from_bytes(hashlib.sha256(f"{seed}/{source}".encode()).digest()[:16], "little")
    bits = np.random.Philox(key=key, counter=[0, part, day + _DAYS_BEFORE, draw])
    return float(np.random.Generator(bits).standard_normal())
