"""Time to progression of a forecast: the draws' own volumes day by day, and the nadir of the scans before.

The nadir of a draw is its volume on the day of the last scan, times the smallest measured volume over that of the last
scan: ratios of measured volumes hold no error that all scans share, and a draw is compared with itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.tumour.history import TumourHistory
from palpate.twin.alerts.probability import DrawnProbability
from palpate.twin.events.follow import ENHANCING, VISIBLE
from palpate.twin.events.rules import (
    ENHANCING_RISE,
    LEAST_ML,
    VISIBLE_RISE,
    EventRule,
    RiseAboveNadir,
    RiseAboveStart,
)
from palpate.twin.events.times import COMPETING, EventTimes, times_of_curve
from palpate.twin.products.figures import observed

type Values = NDArray[np.float64]
type ProgressionEvent = Literal["visible", "enhancing", "regrowth"]

EVENTS: Final[Mapping[ProgressionEvent, str]] = {
    "visible": "the visible volume is 40 % above its nadir",
    "enhancing": "the enhancing volume is 25 % above its nadir",
    "regrowth": "the visible volume is 40 % above that of the last scan",
}
"""Events in words."""


@dataclass(frozen=True, slots=True)
class ForecastProgression:
    """Time to one kind of progression in a forecast.

    Attributes:
        event: event.
        times: first event of each draw, in days since the first scan.
        last_scan: day of the last scan, on which the forecast begins.
    """

    event: ProgressionEvent
    times: EventTimes
    last_scan: float

    def as_record(self, days: Sequence[float]) -> dict[str, Any]:
        """Return the JSON object of a record: probabilities by some days, and the restricted mean.

        Args:
            days: days since the first scan, none beyond the forecast.
        """
        rows = [
            {"day": day}
            | DrawnProbability.by(self.times, day).as_record()
            | {"competing": self.times.probability_by(day, COMPETING)}
            for day in days
        ]
        free_days = self.times.restricted_mean(days[-1]) - self.last_scan
        return {"event": self.event, "words": EVENTS[self.event], "by_day": rows, "restricted_mean_days": free_days}


def progressions(
    history: TumourHistory, volumes_ml: Mapping[float, Mapping[str, Values]]
) -> tuple[ForecastProgression, ...]:
    """Return the time to each kind of progression.

    An operation after the last scan competes with progression: it ends the wait for it.

    Args:
        history: history of the tumour; its operations after the last scan are taken as planned.
        volumes_ml: volumes of all draws, mL, by day and name, from the day of the last scan on.
    """
    days = sorted(volumes_ml)
    seen = observed(history.scans, float(np.prod(history.edges_mm)) * 1e-3)
    operated = min((one.day for one in history.surgeries if one.day >= days[0]), default=np.inf)
    found = []
    for event in EVENTS:
        name = ENHANCING if event == "enhancing" else VISIBLE
        curve = np.stack([volumes_ml[day][name] for day in days])
        rule = _rule(event, curve[0], [one[name] for one in seen])
        times = times_of_curve(days, curve, rule, np.full(curve.shape[1], operated))
        found.append(ForecastProgression(event, times, days[0]))
    return tuple(found)


def nadir_ml(now_ml: Values, measured_ml: Sequence[float | None]) -> Values:
    """Return the smallest volume so far of each draw, mL, shape (draws,).

    Args:
        now_ml: volume of each draw on the day of the last scan, mL, shape (draws,).
        measured_ml: volume that each scan shows, mL; None where a scan has no regions.
    """
    known = [max(one, LEAST_ML) for one in measured_ml if one is not None]
    last = measured_ml[-1]
    if last is None:
        return np.minimum(now_ml, min(known, default=np.inf))
    # After a complete response there is no ratio: the draw's own volume on that day is the smallest there was.
    return now_ml * (min(known) / last) if last >= LEAST_ML else now_ml


def _rule(event: ProgressionEvent, now_ml: Values, measured_ml: Sequence[float | None]) -> EventRule:
    if event == "regrowth":
        return RiseAboveStart(np.log(np.maximum(now_ml, LEAST_ML)) + np.log(VISIBLE_RISE))
    rise = VISIBLE_RISE if event == "visible" else ENHANCING_RISE
    nadir = np.log(np.maximum(nadir_ml(now_ml, measured_ml), LEAST_ML))
    return RiseAboveNadir(len(now_ml), rise, nadir, LEAST_ML)
