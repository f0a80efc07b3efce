"""Timeline of a forecast: cut at observations, events and renewals, with even steps in between.

At one instant the order is: observation (a scan on the day of a treatment precedes it), resection, fraction; a drug
counts from its dose on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palpate.errors import InputError
from palpate.solvers.growth.treatment.treatment import Fraction, Resection, Treatment


@dataclass(frozen=True, slots=True)
class Stop:
    """Instant of a forecast and the time to the next one.

    Attributes:
        time_s: instant, seconds.
        observed: whether the density is observed here, before any event.
        resections, fractions: events at the instant.
        renewed: whether D changes here: at the beginning, after a resection, at a renewal of the coupling.
        steps: number of even steps to the next stop; 0 at the last.
        step_s: length of a step, seconds.
    """

    time_s: float
    observed: bool
    resections: tuple[Resection, ...]
    fractions: tuple[Fraction, ...]
    renewed: bool
    steps: int
    step_s: float


def timeline(
    treatment: Treatment, observations_s: tuple[float, ...], step_s: float, renewal_s: float | None
) -> tuple[Stop, ...]:
    """Return all stops of a forecast that begins at time zero and ends with the last observation.

    Args:
        treatment: events.
        observations_s: times of observation, ascending, seconds.
        step_s: longest step, seconds.
        renewal_s: time between renewals of D, seconds; None for none.

    Raises:
        InputError: no observation, or an event or observation outside the forecast.
    """
    if not observations_s or not 0.0 < observations_s[-1] < np.inf:
        raise InputError(
            "forecast",
            found="no date after the beginning",
            expected="at least one date to forecast",
            advice="Give a date after the first scan.",
        )
    if min(observations_s) < 0.0 or any(np.diff(observations_s) <= 0.0):
        raise InputError(
            "forecast",
            found="dates out of order or before the beginning",
            expected="ascending dates",
            advice="Sort the scans by date.",
        )
    end_s = observations_s[-1]
    treatment.demand_within(0.0, end_s)
    renewals = set() if renewal_s is None else set(np.arange(0.0, end_s, renewal_s).tolist())
    events = {time_s for time_s in treatment.event_times_s if time_s >= 0.0}
    times = sorted({0.0, *observations_s, *events, *renewals})
    stops = []
    for time_s, next_s in zip(times, [*times[1:], end_s], strict=True):
        steps = int(np.ceil((next_s - time_s) / step_s * (1.0 - 1e-12)))
        resections = tuple(one for one in treatment.resections if one.time_s == time_s)
        stops.append(
            Stop(
                time_s,
                time_s in observations_s,
                resections,
                tuple(one for one in treatment.fractions if one.time_s == time_s),
                time_s == 0.0 or bool(resections) or time_s in renewals,
                steps,
                (next_s - time_s) / steps if steps else 0.0,
            )
        )
    return tuple(stops)
