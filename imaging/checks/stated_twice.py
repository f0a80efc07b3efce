"""Checks of numbers that both the settings and the wave fields state, and of arrays that are there twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.wavefield import WaveField
from palpate.progress import say
from palpate.quality_warning import QualityWarning

_SAME: Final = 1e-3
"""Relative difference up to which two statements of a number are equal but for rounding."""
_NOTHING: Final = 1e-6
"""Share of the largest displacement below which a difference is rounding of float32."""
_OF_PHASE_IMAGES: Final = ("menc_um_per_rad", "encoding_matrix", "no_motion_series")
_SETTINGS: Final = "the ingest settings"


def settled_by_settings(fields: Sequence[WaveField], settings: IngestSettings, what: str) -> tuple[WaveField, ...]:
    """Return wave fields completed from the settings; refuse settings that contradict the fields.

    Args:
        fields: wave fields as read.
        settings: ingest settings of the study.
        what: source of the fields in words, such as "wave-field folder".

    Raises:
        InputError: frequency or density of the settings differs from that of the fields.
    """
    for name in _OF_PHASE_IMAGES:
        if getattr(settings, name):
            say(f"{name} of the settings concerns phase images; it changes nothing in a {what}")
    frequencies_hz = [field.frequency_hz for field in fields]
    for key, stated in (
        ("frequency_hz", () if settings.frequency_hz is None else (settings.frequency_hz,)),
        ("arrays.frequencies_hz", settings.arrays.frequencies_hz or ()),
    ):
        for frequency_hz in stated:
            if not any(_same(frequency_hz, one) for one in frequencies_hz):
                raise InputError(
                    _SETTINGS,
                    found=f"{key} of {frequency_hz:g} Hz for a {what} of "
                    f"{', '.join(f'{one:g}' for one in sorted(set(frequencies_hz)))} Hz",
                    expected="the frequency that the data state, or none",
                    advice="Stiffness grows with its square: find out which is right, and correct the other.",
                )
    return tuple(_with_density(field, settings.density_kg_m3, what) for field in fields)


def _with_density(field: WaveField, density_kg_m3: float | None, what: str) -> WaveField:
    if density_kg_m3 is None or (_same(density_kg_m3, field.density_kg_m3) and not field.density_assumed):
        return field
    if field.density_assumed:
        return replace(field, density_kg_m3=density_kg_m3, density_assumed=False)
    raise InputError(
        _SETTINGS,
        found=f"density_kg_m3 of {density_kg_m3:g} for a {what} with a Density of {field.density_kg_m3:g} kg/m3",
        expected="the density that the data state, or none",
        advice="Stiffness grows with it: find out which is right, and correct the other.",
    )


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * abs(other)


def believed_headers(frequencies_hz: Sequence[float], stated_hz: float | None) -> tuple[QualityWarning, ...]:
    """Return a warning where the settings state a frequency that no acquisition has, since headers are believed.

    Args:
        frequencies_hz: frequencies of the acquisitions, hertz.
        stated_hz: the settings' frequency_hz, hertz; None where they state none.
    """
    if stated_hz is None or any(_same(stated_hz, one) for one in frequencies_hz):
        return ()
    found = ", ".join(f"{one:g}" for one in sorted(set(frequencies_hz)))
    return (
        QualityWarning(
            "frequency-of-settings",
            f"The settings state a frequency of {stated_hz:g} Hz, the headers {found} Hz: the headers were used.",
            "Stiffness grows with the square of the frequency: find out which is right, and correct the other.",
        ),
    )


def demand_different_fields(where: Path | str, fields: Sequence[WaveField], names: Sequence[str] | None = None) -> None:
    """Raise InputError where one array is given as the displacement at two frequencies.

    Args:
        where: folder or file of the fields.
        fields: all wave fields that it holds.
        names: name of a file of each field; None where they share one.
    """
    for (first_at, one), (second_at, other) in combinations(enumerate(fields), 2):
        told = "" if names is None else f" ({names[first_at]} and {names[second_at]})"
        if one.label != other.label or one.displacement_m.shape != other.displacement_m.shape:
            continue
        both = one.mask & other.mask
        first, second = one.displacement_m[both], other.displacement_m[both]
        if first.size and float(np.abs(first - second).max()) <= _NOTHING * float(np.abs(first).max()):
            raise InputError(
                where,
                found=f"the same displacement at {one.frequency_hz:g} and at {other.frequency_hz:g} Hz{told}",
                expected="a measurement of its own at every frequency",
                advice="Check the export: one array was written twice, or under another frequency.",
            )
