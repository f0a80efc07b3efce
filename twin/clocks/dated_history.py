"""Streams of a tumour's history, and the history as it was if one of them is dated wrongly.

A shift moves the treatments recorded before the last scan; planned ones stay where they are. Scans keep their order,
and no resection passes a scan, since a cavity is seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from palpate.imaging.tumour.history import DrugDose, Irradiation, Surgery, TumourHistory
from palpate.twin.clocks.shift import REACH_DAYS, TREATMENTS, Shift, StreamClock
from palpate.twin.priors import drugs

RADIOTHERAPY: Final = "radiotherapy"
"""Name of the stream of fractions."""
SURGERY: Final = "surgery"
"""Name of the stream of resections."""
APART_DAYS: Final = 1
"""Least number of days between two scans."""


def scan_stream(day: float) -> str:
    """Return the name of the stream of one scan's date.

    Args:
        day: recorded day of the scan.
    """
    return f"scan of day {day:g}"


def clocks(history: TumourHistory) -> tuple[StreamClock, ...]:
    """Return the streams of a history with the shifts that are possible for each.

    The dates of a history with one scan cannot be compared with anything: it has no streams. Where several kinds of
    treatment were given, all of them together are a stream as well, the first.

    Args:
        history: scans and treatments of a tumour.
    """
    if len(history.scans) < 2:
        return ()
    last = history.scans[-1].day
    kinds = [name for name in _kinds(history) if any(day < last for day in _days(history, name))]
    if len(kinds) > 1:
        kinds.insert(0, TREATMENTS)
    found = [_possible(history, name) for name in kinds]
    found += [_possible(history, scan_stream(scan.day)) for scan in history.scans]
    return tuple(one for one in found if one.earliest < one.latest)


def shifted(history: TumourHistory, shift: Shift) -> TumourHistory:
    """Return the history on its true days, if a stream's recorded dates are late by some days.

    Treatments that come to lie before the first scan are left out: that scan shows their effect. Days still count from
    the recorded first scan, so that the first scan may lie on another day than 0.

    Args:
        history: history as recorded.
        shift: possible shift of one of its streams.
    """
    scans = tuple(
        replace(scan, day=scan.day - shift.days) if scan_stream(scan.day) == shift.stream else scan
        for scan in history.scans
    )
    moved = shifted_treatments(history, shift)
    first = scans[0].day
    return replace(
        moved,
        scans=scans,
        irradiations=tuple(one for one in moved.irradiations if one.day >= first),
        drug_doses=tuple(one for one in moved.drug_doses if one.day >= first),
        surgeries=tuple(one for one in moved.surgeries if one.day >= first),
    )


def shifted_treatments(history: TumourHistory, shift: Shift) -> TumourHistory:
    """Return the history with its treatments on their true days and its scans as recorded.

    Args:
        history: history as recorded.
        shift: shift of one of its streams; that of a scan changes no treatment.
    """
    last = history.scans[-1].day

    def moved[T: (Irradiation, DrugDose, Surgery)](events: Sequence[T]) -> tuple[T, ...]:
        own = [
            replace(one, day=one.day - shift.days)
            if one.day < last and shift.stream in (TREATMENTS, _stream(one))
            else one
            for one in events
        ]
        return tuple(sorted(own, key=lambda one: one.day))

    return replace(
        history,
        irradiations=moved(history.irradiations),
        drug_doses=moved(history.drug_doses),
        surgeries=moved(history.surgeries),
    )


def _stream(event: Irradiation | DrugDose | Surgery) -> str:
    if isinstance(event, DrugDose):
        return event.drug
    return RADIOTHERAPY if isinstance(event, Irradiation) else SURGERY


def _kinds(history: TumourHistory) -> list[str]:
    found = [RADIOTHERAPY] if history.irradiations else []
    return [*found, *drugs(history), *([SURGERY] if history.surgeries else [])]


def _days(history: TumourHistory, stream: str) -> list[float]:
    if stream == RADIOTHERAPY:
        return [one.day for one in history.irradiations]
    if stream == SURGERY:
        return [one.day for one in history.surgeries]
    return [one.day for one in history.drug_doses if one.drug == stream]


def _possible(history: TumourHistory, stream: str) -> StreamClock:
    """Return a stream with its furthest possible shifts to either side."""
    bounds = []
    for side in (-1, 1):
        reach = range(side, side * (REACH_DAYS + 1), side)
        days = itertools.takewhile(lambda d: _in_order(history, Shift(stream, d)), reach)
        bounds.append(max(map(abs, days), default=0))
    return StreamClock(stream, -bounds[0], bounds[1])


def _in_order(history: TumourHistory, shift: Shift) -> bool:
    """Return whether scans keep their order under a shift, and each resection its place among them."""
    scans = [one.day - shift.days * (scan_stream(one.day) == shift.stream) for one in history.scans]
    if any(later - earlier < APART_DAYS for earlier, later in itertools.pairwise(scans)):
        return False
    last, moves = history.scans[-1].day, shift.stream in (TREATMENTS, SURGERY)
    recorded = [one.day for one in history.surgeries]
    true = [day - shift.days * (moves and day < last) for day in recorded]
    before = np.searchsorted([one.day for one in history.scans], recorded, side="right")
    return bool(np.array_equal(before, np.searchsorted(scans, true, side="right")))
