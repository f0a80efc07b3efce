"""Numbers measured beside the images, as measurements of the twin.

A stream whose name is that of one of the rung's volumes, such as a radiologist's enhancing_volume, is compared with the
rung. All others are stored as they are.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from palpate.errors import InputError
from palpate.imaging.tumour.streams.value import StreamValue
from palpate.quality_warning import QualityWarning
from palpate.twin.follow.scan_numbers import LIMIT_ML
from palpate.twin.rungs.observed import BURDEN, ENHANCING_VOLUME, FLAIR_VOLUME, FRONT_RADIUS, LEAST_ML, log_ml
from palpate.twin.state_space.event import Event

VOLUMES: Final = (ENHANCING_VOLUME, FLAIR_VOLUME, BURDEN)
"""Streams of volumes, compared by their logarithms."""
MILLILITRES: Final = {"mL": 1.0, "ml": 1.0, "cm3": 1.0, "L": 1e3, "l": 1e3, "dL": 100.0, "dl": 100.0, "mm3": 1e-3}
"""Units of volumes as UCUM writes them, in ml."""
LENGTHS_MM: Final = {"mm": 1.0, "cm": 10.0}
"""Units of lengths, in mm."""
ASSUMED: Final = 0.15
"""Standard deviation over the value of a volume or radius whose error nobody stated."""


def stream_events(
    values: Collection[StreamValue], modelled: Collection[str]
) -> tuple[tuple[Event, ...], tuple[QualityWarning, ...]]:
    """Return the measurements of all streams, and warnings of assumed errors.

    Args:
        values: numbers of one patient.
        modelled: streams that the rung has an observation model for.

    Raises:
        InputError: a volume has another unit than one of volume, or is negative.
    """
    events: list[Event] = []
    assumed: set[str] = set()
    for one in values:
        if one.stream in VOLUMES and one.stream in modelled:
            events.append(_volume(one))
        elif one.stream == FRONT_RADIUS and one.stream in modelled:
            events.append(_radius(one))
        else:
            error = 1.0 if one.error is None else one.error
            events.append(_event(one, one.value, error**2))
            continue
        assumed |= {one.stream} if one.error is None else set()
    return tuple(events), tuple(map(_assumed, sorted(assumed)))


def _volume(one: StreamValue) -> Event:
    ml = one.value * _factor(one, MILLILITRES, "a volume, such as mL")
    spread = ASSUMED if one.error is None else one.error / max(one.value, one.error)
    limit = float(np.log((ml + LIMIT_ML) / (ml + LEAST_ML)))
    return _event(one, float(log_ml(np.array(ml))), spread**2 + limit**2)


def _radius(one: StreamValue) -> Event:
    factor = _factor(one, LENGTHS_MM, "a length, mm or cm")
    error = ASSUMED * max(one.value, 1.0 / factor) if one.error is None else one.error
    return _event(one, one.value * factor, (error * factor) ** 2)


def _factor(one: StreamValue, units: dict[str, float], expected: str) -> float:
    if one.unit not in units:
        _refuse(one, f"the unit {one.unit}", expected)
    if one.value < 0.0:
        _refuse(one, f"{one.value:g} {one.unit}", "no negative number")
    return units[one.unit]


def _refuse(one: StreamValue, found: str, expected: str) -> None:
    raise InputError(
        f"stream {one.stream}, day {one.acquired:g}",
        found=found,
        expected=expected,
        advice="Correct the file of observations and run palpate tumour again, or give the stream another name.",
    )


def _event(one: StreamValue, value: float, variance: float) -> Event:
    return Event(one.acquired, one.available, one.stream, np.array([value]), np.array([[variance]]))


def _assumed(stream: str) -> QualityWarning:
    return QualityWarning(
        "stream-error-assumed",
        f"{stream}: values without a stated error are taken to err by {ASSUMED:.0%}.",
        "State the standard deviation in the column error.",
    )
