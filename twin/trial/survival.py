"""Share of patients without an event by date (Kaplan and Meier), with intervals, numbers at risk and competing events.

Curves and intervals are those of scipy.stats.ecdf. The cumulative incidence of progression beside competing events is
that of Aalen and Johansen, sum over event times of S(t-) d / n.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from palpate.twin.events.times import COMPETING, NONE, PROGRESSION

type Values = NDArray[np.float64]

ROWS: Final = 120
"""Largest number of days of a curve, apart from the last."""


@dataclass(frozen=True, slots=True)
class SurvivalPoint:
    """One day of the curve of an arm.

    Attributes:
        day: day.
        at_risk: number of patients without an event before this day who are followed on it.
        progressed: number of progressions until this day.
        competing: number of competing events until this day.
        survival: share without any event.
        lower: lower end of its 95 % interval.
        upper: upper end of its 95 % interval.
        incidence: cumulative incidence of progression.
    """

    day: float
    at_risk: int
    progressed: int
    competing: int
    survival: float
    lower: float
    upper: float
    incidence: float


def survival_curve(days: Values, kinds: NDArray[np.int64], at: Sequence[float]) -> tuple[SurvivalPoint, ...]:
    """Return the curve of one arm on some days.

    Args:
        days: day of the first event, or of the end of the follow-up, shape (patients,).
        kinds: kind of the event, NONE where the follow-up ended, shape (patients,).
        at: days of the curve, ascending.
    """
    happened = kinds != NONE
    if happened.any():
        curve = stats.ecdf(stats.CensoredData.right_censored(days, ~happened)).sf
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # undefined at one and zero, which is dealt with below
            bounds = curve.confidence_interval(method="log-log")
        shown, low, high = (_stepped(one.quantiles, one.probabilities, at) for one in (curve, bounds.low, bounds.high))
    else:
        shown = low = high = np.ones(len(at))
    incidence = _incidence(days, kinds, at)
    found = []
    for number, day in enumerate(at):
        # The log-log interval is undefined before the first event and where nobody is left.
        ends = [shown[number] if np.isnan(one[number]) else one[number] for one in (low, high)]
        progressed, competing = (int(((kinds == kind) & (days <= day)).sum()) for kind in (PROGRESSION, COMPETING))
        at_risk = int((days >= day).sum())
        curve_here = float(shown[number]), float(ends[0]), float(ends[1]), incidence[number]
        found.append(SurvivalPoint(day, at_risk, progressed, competing, *curve_here))
    return tuple(found)


def curve_days(until: int) -> tuple[float, ...]:
    """Return the days on which curves are written: day 0, equal steps of whole days, and the last day.

    Args:
        until: last day of the follow-up.
    """
    step = -(-until // ROWS)
    return tuple(map(float, sorted({*range(0, until, step), until})))


def _stepped(times: Values, values: Values, at: Sequence[float]) -> Values:
    """Return a step function that is one before its first time, on some days."""
    return np.concatenate([[1.0], values])[np.searchsorted(times, np.array(at), side="right")]


def _incidence(days: Values, kinds: NDArray[np.int64], at: Sequence[float]) -> list[float]:
    times = np.unique(days[kinds != NONE])
    ordered = np.sort(days)
    at_risk = len(days) - np.searchsorted(ordered, times, side="left")
    every, own = (_counts(days[chosen], times) for chosen in (kinds != NONE, kinds == PROGRESSION))
    before = np.concatenate([[1.0], np.cumprod(1.0 - every / at_risk)[:-1]]) if len(times) else np.zeros(0)
    total = np.concatenate([[0.0], np.cumsum(before * own / at_risk)])
    return [float(one) for one in total[np.searchsorted(times, np.array(at), side="right")]]


def _counts(days: Values, times: Values) -> Values:
    return np.bincount(np.searchsorted(times, days), minlength=len(times)).astype(np.float64)
