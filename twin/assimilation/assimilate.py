"""Assimilation of measurements into a lifelong record, and the present state that follows.

A late or replaced result changes the keys of its visit and of all later ones. The run goes on from the last checkpoint
whose key is unchanged, and so gives what a run from day 0 gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.quality_warning import QualityWarning
from palpate.twin.assimilation.belief import Belief
from palpate.twin.assimilation.course import Visit, course, transitions
from palpate.twin.assimilation.filters import filter_of, operations_of, through
from palpate.twin.assimilation.joint_state import JointModel
from palpate.twin.assimilation.received import receive
from palpate.twin.assimilation.record import LifelongRecord, VisitCheckpoint
from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.state_space.event import Event, standing

type Values = NDArray[np.float64]


def assimilate[U](
    setup: AssimilationSetup[U], record: LifelongRecord, events: Iterable[Event], day: float
) -> LifelongRecord:
    """Return the record with everything that is known on a day.

    Args:
        setup: model, streams, treatment and filter.
        record: record so far, of the same rung.
        events: new measurements in any order; measurements that the record has already change nothing.
        day: today, counted from the first scan; results that become available later are stored and wait.

    Raises:
        InputError: a measurement that cannot be, a day before that of the record, or a record of another rung.
        RuntimeError: the model gave numbers that are not finite.
    """
    _demand_successor(setup, record, day)
    received = receive(setup, record.events, tuple(events), float(day))
    visits = course(setup, received.used)
    kept = record.checkpoints[: _unchanged(record, visits)]
    warnings = (*received.warnings, *_restarted(setup, record))
    return replace(
        record,
        setup_digest=setup.digest,
        day=float(day),
        events=received.events,
        checkpoints=(*kept, *_continued(setup, kept, visits)),
        warnings=warnings,
    )


def present[U](setup: AssimilationSetup[U], record: LifelongRecord, day: float | None = None) -> Belief:
    """Return what is known of the state on a day from the last visit on, before treatment of that day.

    Args:
        setup: setup of the record's last assimilation.
        record: record.
        day: day, not before the last visit; None for the record's own.

    Raises:
        InputError: the day lies before the last visit, or the record is of another setup.
    """
    at = record.day if day is None else float(day)
    last = record.checkpoints[-1].day if record.checkpoints else setup.begins
    if record.setup_digest != setup.digest:
        raise InputError(
            "record",
            found="an assimilation with another setup",
            expected="the setup with which the present state is asked for",
            advice="Assimilate with this setup first.",
        )
    if not last <= at < math.inf:
        raise InputError(
            "day",
            found=f"day {at:g}",
            expected=f"a day from that of the last visit, {last:g}, on",
            advice="Smooth the record for the days before.",
        )
    own = filter_of(setup)
    visits = course(setup, used_events(setup, record))
    belief = record.checkpoints[-1].belief if record.checkpoints else own.begin()
    return through(own, belief, transitions(setup, last, at), operations_of(visits))[0]


def present_draws[U](
    setup: AssimilationSetup[U], record: LifelongRecord, count: int, day: float | None = None
) -> tuple[Values, Values]:
    """Return draws of state and parameters on a day, shapes (count, states) and (count, parameters).

    A forecast goes on from them, on the same rung.

    Args:
        setup: setup of the record's last assimilation.
        record: record.
        count: number of draws.
        day: day, not before the last visit; None for the record's own.

    Raises:
        InputError: the day lies before the last visit, or the record is of another setup.
    """
    joint = JointModel(setup)
    z = present(setup, record, day).draws(count, np.random.default_rng([setup.filter.seed, count]))
    return joint.split(joint.within(z))


def used_events[U](setup: AssimilationSetup[U], record: LifelongRecord) -> tuple[Event, ...]:
    """Return the measurements that the record's last assimilation used."""
    known = standing(record.events, record.day)
    return tuple(filter(setup.uses, known))


def _demand_successor[U](setup: AssimilationSetup[U], record: LifelongRecord, day: float) -> None:
    if record.rung != setup.model.rung:
        raise InputError(
            "record",
            found=f"a record of the rung {record.rung}",
            expected=f"one of the rung {setup.model.rung}",
            advice="Begin a record of this rung with the same measurements.",
        )
    if not (math.isfinite(day) and day >= record.day):
        raise InputError(
            "day",
            found=f"day {day:g}",
            expected=f"a day from that of the record, {record.day:g}, on",
            advice="Begin a new record to see what was known on an earlier day.",
        )


def _unchanged(record: LifelongRecord, visits: tuple[Visit, ...]) -> int:
    """Return how many checkpoints, from the first on, have the keys of the visits."""
    pairs = list(zip(record.checkpoints, visits, strict=False))
    return next((n for n, (kept, visit) in enumerate(pairs) if kept.key != visit.key), len(pairs))


def _continued[U](
    setup: AssimilationSetup[U], kept: tuple[VisitCheckpoint, ...], visits: tuple[Visit, ...]
) -> list[VisitCheckpoint]:
    own = filter_of(setup)
    belief = kept[-1].belief if kept else own.begin()
    past = operations_of(visits[: len(kept)])
    made = []
    for visit in visits[len(kept) :]:
        belief, innovations = through(own, belief, visit.operations, past)
        past = (*past, *visit.operations)
        made.append(VisitCheckpoint(visit.day, visit.key, belief, innovations))
    return made


def _restarted[U](setup: AssimilationSetup[U], record: LifelongRecord) -> tuple[QualityWarning, ...]:
    if record.setup_digest == setup.digest or not record.checkpoints:
        return ()
    return (
        QualityWarning(
            "record-run-again",
            "Settings or version differ from those of the record, so that all visits were assimilated again.",
            "Keep the settings of a patient's record to go on from its last state.",
        ),
    )
