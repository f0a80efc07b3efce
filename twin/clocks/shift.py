"""Shift of one stream's dates: a stream is a kind of treatment, or a scan, whose dates come from one clock.

A shift of s days says that the recorded dates are s days late: what is recorded for day d took place on day d - s. At
most one stream is taken to be shifted: two shifts at once explain too much to be told apart by a handful of scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TREATMENTS: Final = "treatments"
"""Name of the stream of all treatments together, as when one table was dated wrongly."""
REACH_DAYS: Final = 28
"""Largest shift that is looked at, days to either side."""
SHIFTS: Final = (7, 14, 28)
"""Shifts at which the evidence is computed first, days to either side; in between it is interpolated."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Shift of the dates of one stream.

    Attributes:
        stream: name of the stream; empty where every stream is as dated.
        days: days by which its recorded dates are late; negative where they are early.
    """

    stream: str
    days: int


AS_DATED: Final = Shift("", 0)
"""Hypothesis that every date is right."""


@dataclass(frozen=True, slots=True)
class StreamClock:
    """One stream and the shifts that are possible for it.

    Attributes:
        stream: name of the stream, such as "radiotherapy" or "scan of day 21".
        earliest: least possible shift, days, 0 or less.
        latest: largest possible shift, days, 0 or more.
    """

    stream: str
    earliest: int = -REACH_DAYS
    latest: int = REACH_DAYS

    def __post_init__(self) -> None:
        """Refuse limits without zero between them.

        Raises:
            ValueError: no shift at all would be impossible.
        """
        if not self.earliest <= 0 <= self.latest:
            raise ValueError(f"{self.stream}: expected shifts around 0, found {self.earliest} to {self.latest} days")

    def later(self, shifts: Sequence[int] = SHIFTS) -> tuple[int, ...]:
        """Return shifts above zero, ascending, the furthest possible in place of those beyond it.

        Args:
            shifts: shifts to either side, above zero.
        """
        return tuple(sorted({min(days, self.latest) for days in shifts} - {0}))

    def earlier(self, shifts: Sequence[int] = SHIFTS) -> tuple[int, ...]:
        """Return shifts below zero, descending, the furthest possible in place of those beyond it.

        Args:
            shifts: shifts to either side, above zero.
        """
        return tuple(sorted({max(-days, self.earliest) for days in shifts} - {0}, reverse=True))
