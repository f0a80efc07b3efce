"""Streams of one subject, from the files that lie beside the table of sessions."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from palpate.config.study import STREAM_TABLE, stream_files
from palpate.imaging.tumour.streams.fhir import read_fhir_observations
from palpate.imaging.tumour.streams.stated import StatedValue, demand_one_unit, demand_one_value
from palpate.imaging.tumour.streams.table import read_observations_table
from palpate.imaging.tumour.streams.value import StreamValue

SILENT: Final = 4.0
"""A stream has stopped where its last value lies further back than this many of its median intervals."""
_FEWEST: Final = 4


def read_streams(
    sessions: Path, subject: str, first: datetime.date, last: float, subjects: Collection[str]
) -> tuple[tuple[StreamValue, ...], tuple[str, ...]]:
    """Read what was measured of one subject beside its images.

    Args:
        sessions: the table of sessions; files of streams lie beside it.
        subject: BIDS label.
        first: date of the first scan of the tumour, from which days count.
        last: day of the last scan.
        subjects: labels of all subjects of the study.

    Returns:
        The numbers in order of their days, and notes in sentences without names or dates.

    Raises:
        InputError: a file cannot be used, a stream has two units, or two values for one time.
    """
    today = datetime.date.today()
    stated: list[StatedValue] = []
    notes: list[str] = []
    for path in stream_files(sessions):
        if path.name == STREAM_TABLE:
            stated += read_observations_table(path, today)
        else:
            found, left_out = read_fhir_observations(path, today)
            stated += found
            notes += left_out
    demand_one_unit(stated)
    own = [one for one in stated if one.subject == subject]
    demand_one_value(own)
    strangers = {one.subject for one in stated} - set(subjects)
    if strangers:
        notes.append(
            f"observations of {len(strangers)} subjects that the table of sessions does not have were left out; check "
            "the labels"
        )
    values = sorted((one.since(first) for one in own), key=lambda one: (one.acquired, one.stream, one.available))
    return tuple(values), (*notes, *stopped(values, last))


def stopped(values: Sequence[StreamValue], last: float) -> tuple[str, ...]:
    """Return a sentence for each stream that was regular and has no value of late.

    Args:
        values: numbers of one subject.
        last: day up to which one looks.
    """
    said = []
    for stream in sorted({one.stream for one in values}):
        days = np.unique([one.acquired for one in values if one.stream == stream])
        if len(days) < _FEWEST:
            continue
        usual = float(np.median(np.diff(days)))
        silent = last - float(days[-1])
        if silent > SILENT * usual:
            said.append(
                f"{stream} has no value in the last {silent:.0f} days before the last scan, though it came every "
                f"{usual:.0f} days before"
            )
    return tuple(said)
