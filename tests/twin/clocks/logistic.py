"""A small logistic tumour of the state-space protocol, for laws of the clocks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palpate.twin.clocks.evidence import search
from palpate.twin.clocks.posterior import ClockPosterior
from palpate.twin.clocks.shift import AS_DATED, Shift, StreamClock
from palpate.twin.clocks.state_space import DatedRecord, fitted, scan_name
from palpate.twin.priors import Unknown
from palpate.twin.state_space.event import Event
from palpate.twin.state_space.model import StateBound

type Values = NDArray[np.float64]

CAPACITY_ML = 200.0
ERROR = 0.03


@dataclass(frozen=True)
class Logistic:
    """ln-odds of the volume grow at the rate k; a fraction takes alpha from the volume's logarithm."""

    rung: str = "logistic"
    states: tuple[StateBound, ...] = (StateBound("volume_ml", 0.0, CAPACITY_ML),)
    parameters: tuple[Unknown, ...] = (
        Unknown("k", float(np.log(0.05)), 0.5),
        Unknown("volume_ml", float(np.log(20.0)), 0.5),
        Unknown("alpha", float(np.log(0.08)), 0.7),
    )
    noises: tuple[str, ...] = ()

    def value(self, theta: Values, at: int) -> Values:
        """Return a parameter of every draw."""
        one = self.parameters[at]
        return np.asarray(np.exp(one.mean + one.std * theta[:, at : at + 1]))

    def start(self, theta: Values) -> Values:
        """Return the volume on day 0."""
        return self.value(theta, 1)

    def step(self, x: Values, theta: Values, u: tuple[float, ...], t0: float, t1: float, noise: Values) -> Values:  # noqa: ARG002
        """Return the volume on a later day."""
        stops = sorted({t0, t1, *(day for day in u if t0 <= day < t1)})
        for first, last in itertools.pairwise(stops):
            x = x * np.exp(-self.value(theta, 2) * u.count(first))
            odds = x / (CAPACITY_ML - x) * np.exp(self.value(theta, 0) * (last - first))
            x = CAPACITY_ML * odds / (1.0 + odds)
        return x


@dataclass(frozen=True)
class LogVolume:
    """Logarithm of the volume."""

    stream: str = "scan"
    quantities: tuple[str, ...] = ("ln volume",)

    def h(self, x: Values, theta: Values) -> Values:  # noqa: ARG002
        """Return the logarithm of the volume."""
        return np.asarray(np.log(x))


def moved(u: tuple[float, ...], shift: Shift) -> tuple[float, ...]:
    """Fractions under a shift of radiotherapy."""
    return tuple(day - shift.days * (shift.stream == "radiotherapy") for day in u)


def record(days: tuple[float, ...], fractions: tuple[float, ...], xi: Values) -> DatedRecord[tuple[float, ...]]:
    """A tumour scanned without errors, with every date right."""
    error = np.eye(1) * ERROR**2
    events = tuple(Event(day, day, "scan", np.zeros(1), error) for day in days)
    empty = DatedRecord(Logistic(), (LogVolume(),), events, fractions, moved)
    values = [np.log(one)[0] for one in empty.states(xi[None])]
    seen = tuple(replace(one, value=value) for one, value in zip(events, values, strict=True))
    return replace(empty, events=seen)


def posterior(own: DatedRecord[tuple[float, ...]], *, scans: bool = True) -> ClockPosterior:
    """Posterior of the shifts of radiotherapy and, if asked for, of every scan."""
    streams = [StreamClock("radiotherapy"), *(StreamClock(scan_name(day), -9, 9) for day in own.days if scans)]
    dated = fitted(own, AS_DATED, np.zeros(own.size))
    return ClockPosterior(search(streams, lambda shift, near: fitted(own, shift, near), dated))
