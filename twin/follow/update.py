"""Update of a patient's record by its history: what is new, late or replaced goes where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history import TumourHistory
from palpate.quality_warning import QualityWarning
from palpate.twin.assimilation.assimilate import assimilate
from palpate.twin.assimilation.record import LifelongRecord, begin_record
from palpate.twin.assimilation.setup import AssimilationSetup
from palpate.twin.follow.scan_numbers import scan_events
from palpate.twin.follow.stream_events import stream_events
from palpate.twin.rungs.regimen import Regimen
from palpate.twin.state_space.event import Event


def followed(
    setup: AssimilationSetup[Regimen],
    history: TumourHistory,
    settings: TwinSettings,
    record: LifelongRecord | None = None,
    day: float | None = None,
) -> LifelongRecord:
    """Return the record with all that a history holds.

    Args:
        setup: setup of the patient.
        history: history of the patient, on the images' grid.
        settings: settings of the twin, with the errors of scans.
        record: record so far; None to begin one.
        day: today, days since the first scan; None for the last day on which anything was measured or became known,
            or that of the record if it is later.

    Raises:
        InputError: the record is of another patient or rung, a measurement cannot be, or the day lies before the
            record's.
    """
    if record is None:
        record = begin_record(setup, history.subject)
    _demand_patient(record, history)
    streams, assumed = stream_events(history.streams, setup.by_stream)
    scans = [event for number in range(len(history.scans)) for event in scan_events(history, number, settings)]
    last = max((one.available for one in (*scans, *streams)), default=0.0)
    today = max(last, record.day) if day is None else float(day)
    known, given, corrected = replaced(record.events, tuple(scans), today)
    found = assimilate(setup, replace(record, events=known), (*given, *streams), today)
    return replace(found, warnings=(*found.warnings, *assumed, *corrected))


def replaced(
    earlier: tuple[Event, ...], scans: tuple[Event, ...], today: float
) -> tuple[tuple[Event, ...], tuple[Event, ...], tuple[QualityWarning, ...]]:
    """Return the events of the record to keep, those of the scans to add, and warnings of numbers that changed.

    A history does not say when a scan's regions were drawn anew. Numbers that differ from the record's became
    available today; where the record's are of today as well, they take their place.

    Args:
        earlier: measurements of the record.
        scans: measurements that the scans of the history give.
        today: day of the assimilation.
    """
    newest = {(one.acquired, one.stream): one for one in sorted(earlier, key=lambda one: one.available)}
    kept, given, warnings = list(earlier), [], []
    for one in scans:
        known = newest.get((one.acquired, one.stream))
        if known is None:
            given.append(one)
            continue
        if np.array_equal(known.value, one.value) and np.array_equal(known.error, one.error):
            continue
        if today > known.available:
            given.append(replace(one, available=today))
        else:
            kept = [other for other in kept if other is not known]
            given.append(replace(one, available=known.available))
        warnings.append(
            QualityWarning(
                "scan-numbers-replaced",
                f"The {one.stream} of the scan of day {one.acquired:g} differs from that in the record and replaces "
                "it, from its own day on.",
                "If nobody corrected that scan, check that the history is of the same images.",
            )
        )
    return tuple(kept), tuple(given), tuple(warnings)


def _demand_patient(record: LifelongRecord, history: TumourHistory) -> None:
    if record.subject != history.subject:
        raise InputError(
            "--out",
            found=f"the record of sub-{record.subject}",
            expected=f"that of sub-{history.subject}, whose history is given",
            advice="Name this patient's record, or a new file.",
        )
