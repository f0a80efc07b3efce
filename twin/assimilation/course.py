"""Course of an assimilation: what happens from day 0 on, in order, and a key that names it.

A visit is a day with measurements. On one day they come first, then a switch of regime, then treatment. The key of a
visit is a digest of everything before and on its day, so that two courses with equal keys have equal posteriors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.state_space.event import Event


@dataclass(frozen=True, slots=True)
class Span:
    """Time in which the model moves the state.

    Attributes:
        begin: first day.
        end: last day, after `begin`.
    """

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class RegimeSwitch:
    """Change from one regime of treatment to another.

    Attributes:
        day: day of the change.
        left: name of the regime before.
        entered: name of the regime after.
    """

    day: float
    left: str
    entered: str


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Measurement that updates the state.

    Attributes:
        event: the measurement.
    """

    event: Event


type Transition = Span | RegimeSwitch
type Operation = Transition | Look


@dataclass(frozen=True, slots=True)
class Visit:
    """Day with measurements.

    Attributes:
        day: day of the measurements.
        operations: operations after the visit before, until all measurements of the day are used.
        key: digest of everything until then.
    """

    day: float
    operations: tuple[Operation, ...]
    key: str


def course[U](setup: AssimilationSetup[U], used: tuple[Event, ...]) -> tuple[Visit, ...]:
    """Return the visits in order of days.

    Args:
        setup: setup of the assimilation.
        used: measurements from day 0 on, of streams with an observation model.
    """
    visits, before = [], setup.begins
    key = _digest("", setup.digest, _treated(setup, -np.inf, before))
    ordered = sorted(used, key=lambda event: (event.acquired, event.stream))
    for day, events in groupby(ordered, key=lambda event: event.acquired):
        looks = tuple(Look(event) for event in events)
        moves = transitions(setup, before, day)
        key = _digest(key, repr(moves), _treated(setup, before, day), *(_told(look.event) for look in looks))
        visits.append(Visit(day, (*moves, *looks), key))
        before = day
    return tuple(visits)


def transitions[U](setup: AssimilationSetup[U], begin: float, end: float) -> tuple[Transition, ...]:
    """Return what happens from the measurements of one day until before those of another.

    Args:
        setup: setup of the assimilation.
        begin: first day.
        end: last day.
    """
    found: list[Transition] = []
    at = begin
    for switch in _switches(setup):
        if begin <= switch.day < end:
            found += [*_spans(setup, at, switch.day), switch]
            at = switch.day
    return (*found, *_spans(setup, at, end))


def _switches[U](setup: AssimilationSetup[U]) -> Iterator[RegimeSwitch]:
    if setup.regimes is not None:
        left = setup.regimes.first
        for day, entered in setup.regimes.switches:
            yield RegimeSwitch(day, left, entered)
            left = entered


def _spans[U](setup: AssimilationSetup[U], begin: float, end: float) -> tuple[Span, ...]:
    """Return one span, or even ones where noise or drift would be one jump over a long time."""
    if end <= begin:
        return ()
    random = bool(setup.drifts or setup.model.noises)
    count = int(np.ceil((end - begin) / setup.filter.longest_step_days)) if random else 1
    ends = [float(day) for day in np.linspace(begin, end, count + 1)]
    return tuple(Span(*pair) for pair in pairwise(ends))


def _treated[U](setup: AssimilationSetup[U], begin: float, end: float) -> str:
    return repr(sorted(line for line in setup.treatment_lines if begin <= line[0] < end))


def _told(event: Event) -> str:
    numbers = np.concatenate([event.value, event.error.ravel()]).astype(np.float64)
    return f"{event.stream} {event.acquired!r} {hashlib.sha256(numbers.tobytes()).hexdigest()}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
