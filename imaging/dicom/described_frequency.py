"""Vibration frequency in the descriptions of series, such as "mre_60Hz": product sequences name it nowhere else.

A description is free text. It is used where it names one frequency, and where no setting names another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from palpate.errors import InputError
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.vocabulary import frequencies_in
from palpate.imaging.limits.check_limits import FREQUENCY_HZ
from palpate.progress import say

_DESCRIPTIONS: Final = ("SeriesDescription", "ProtocolName")


def described_frequency_hz(series: Series) -> float | None:
    """Return the one frequency that a series' descriptions name; None where they name none, or several.

    Args:
        series: series of any maker.
    """
    for name in _DESCRIPTIONS:
        low, high = FREQUENCY_HZ
        stated = {hz for hz in frequencies_in(str(series.header.get(name, "") or "")) if low <= hz <= high}
        if stated:
            return stated.pop() if len(stated) == 1 else None
    return None


def told_frequencies(series: Sequence[Series], setting_hz: float | None) -> Mapping[int, float | None]:
    """Return the frequency of each series, by its number: the setting's, else the one that its description names.

    Args:
        series: phase images whose headers do not state it otherwise.
        setting_hz: frequency_hz of the ingest settings; None where it is not set.

    Raises:
        InputError: descriptions name several frequencies and the setting gives one for all.
    """
    described = {one.number: described_frequency_hz(one) for one in series}
    named = sorted({hz for hz in described.values() if hz is not None})
    if setting_hz is None:
        for number, hz in described.items():
            if hz is not None:
                say(f"series {number}: {hz:g} Hz, as its description says; a setting frequency_hz takes precedence")
        return described
    if len(named) > 1:
        raise InputError(
            "frequency_hz",
            found=f"one frequency, {setting_hz:g} Hz, for series whose descriptions name "
            f"{' and '.join(f'{hz:g}' for hz in named)} Hz",
            expected="the frequency of each series",
            advice="Remove frequency_hz from the ingest settings, so that descriptions are taken, or give the series "
            "of one frequency only.",
        )
    if named and named[0] != setting_hz:
        say(f"frequency_hz of the settings, {setting_hz:g} Hz, is taken; descriptions of series say {named[0]:g} Hz")
    return dict.fromkeys(described, setting_hz)
