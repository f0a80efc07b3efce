"""Measurements that an assimilation receives: refused, joined with earlier ones, chosen for use, and remarked on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from palpate.errors import InputError
from palpate.quality_warning import QualityWarning
from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.state_space.event import Event, standing

STOPPED: Final = 3.0
"""Time without a value, over the median time between values, after which a stream counts as stopped."""
SOME: Final = 4
"""Smallest number of values from which the time between them is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """Measurements of an assimilation.

    Attributes:
        events: all measurements ever given, each once, in order of days.
        used: those that update the state.
        warnings: remarks on the others, and on streams that stopped.
    """

    events: tuple[Event, ...]
    used: tuple[Event, ...]
    warnings: tuple[QualityWarning, ...]


def receive[U](
    setup: AssimilationSetup[U], earlier: tuple[Event, ...], events: tuple[Event, ...], day: float
) -> Received:
    """Join new measurements with earlier ones and choose those that are used.

    Args:
        setup: setup of the assimilation, with the observation models.
        earlier: measurements of the record.
        events: measurements to add; those that the record has already are left out.
        day: day of the assimilation.

    Raises:
        InputError: a measurement lies in the future, has another length than its stream, or there are two values of
            one stream for one time.
    """
    for event in events:
        _demand_possible(setup, event, day)
    joined, repeated = _joined(earlier, events)
    known = standing(joined, day)
    used = tuple(filter(setup.uses, known))
    warnings = (*_repeated(repeated), *_left_out(setup, joined, known, day), *_stopped(used, day))
    return Received(joined, used, tuple(warnings))


def _demand_possible[U](setup: AssimilationSetup[U], event: Event, day: float) -> None:
    if event.acquired > day:
        raise InputError(
            f"stream {event.stream}",
            found=f"a value acquired on day {event.acquired:g}, after today, day {day:g}",
            expected="measurements of the past",
            advice="Check the date, day and month may be exchanged, or assimilate to a later day.",
        )
    model = setup.by_stream.get(event.stream)
    if model is not None and len(event.value) != len(model.quantities):
        raise InputError(
            f"stream {event.stream}",
            found=f"{len(event.value)} numbers on day {event.acquired:g}",
            expected=f"{len(model.quantities)} ({', '.join(model.quantities)})",
            advice="Give the numbers of the stream's observation model, in its order.",
        )


def _joined(earlier: tuple[Event, ...], events: tuple[Event, ...]) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """Return all measurements, each once, and those of `events` that were given twice."""
    known = {(one.acquired, one.available, one.stream): one for one in earlier}
    given: set[tuple[float, float, str]] = set()
    repeated = []
    for one in events:
        place = (one.acquired, one.available, one.stream)
        before = known.setdefault(place, one)
        if not (np.array_equal(before.value, one.value) and np.array_equal(before.error, one.error)):
            raise InputError(
                f"stream {one.stream}",
                found=f"two values for day {one.acquired:g}, both available on day {one.available:g}",
                expected="one value for one time; one that replaces another is available later",
                advice="Take one of them out, or state when the second became available.",
            )
        repeated += [one] if place in given else []
        given.add(place)
    ordered = sorted(known.values(), key=lambda event: (event.acquired, event.stream, event.available))
    return tuple(ordered), tuple(repeated)


def _repeated(repeated: tuple[Event, ...]) -> Iterator[QualityWarning]:
    for one in repeated:
        yield QualityWarning(
            "result-repeated",
            f"{one.stream} of day {one.acquired:g} was given twice with the same value and is used once.",
            "Take the second one out if the visit is a duplicate.",
        )


def _left_out[U](
    setup: AssimilationSetup[U], joined: tuple[Event, ...], known: tuple[Event, ...], day: float
) -> Iterator[QualityWarning]:
    unmodelled = Counter(one.stream for one in joined if one.stream not in setup.by_stream)
    for stream, count in sorted(unmodelled.items()):
        yield QualityWarning(
            "stream-without-model",
            f"{stream}: {count} values are stored and not assimilated, as the stream has no observation model.",
            "They are used once the setup has a model of the stream.",
        )
    standing_ones = {id(one) for one in known}
    for one in joined:
        if one.stream not in setup.by_stream:
            continue
        if one.available > day:
            yield QualityWarning(
                "result-waiting",
                f"{one.stream} of day {one.acquired:g} becomes available on day {one.available:g} and is not used yet.",
                "Assimilate again on or after that day.",
            )
        elif id(one) not in standing_ones:
            yield QualityWarning(
                "result-replaced",
                f"{one.stream} of day {one.acquired:g}: that of day {one.available:g} was replaced by a later result.",
                "The record keeps it and uses the later one.",
            )
        elif 0.0 <= one.acquired <= setup.begins and not setup.uses(one):
            continue
        elif one.acquired < 0.0:
            yield QualityWarning(
                "result-before-first-scan",
                f"{one.stream} of day {one.acquired:g} is stored and not assimilated, as the model begins on day 0.",
                "Count days from the earliest measurement that the model should use.",
            )


def _stopped(used: tuple[Event, ...], day: float) -> Iterator[QualityWarning]:
    for stream in sorted({one.stream for one in used}):
        days = [one.acquired for one in used if one.stream == stream]
        if len(days) < SOME:
            continue
        usual, silent = float(np.median(np.diff(days))), day - days[-1]
        if silent > STOPPED * usual:
            yield QualityWarning(
                "stream-stopped",
                f"{stream} had a value every {usual:g} days and has had none for {silent:g}.",
                "Check whether measuring or sending stopped; until then the twin rests on the other streams.",
            )
