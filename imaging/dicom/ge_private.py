"""What GE's private groups say of an MR elastography series.

    (0019,109C)  name of the pulse sequence: fgremre, epimre
    (0043,1082)  list of texts, among them lineFreq=<Hz>
    (0019,10BC)  user variable 21: frequency, Hz; not above 0 where unused
    (0019,10B4)  user variable 13: frequency, Hz, of older sequences
    (0043,102F)  0 magnitude, 1 phase, 2 real, 3 imaginary
    (0021,104F)  number of slices

Elements are looked up by number, not through their private creators, for some archives drop those. ImageType and the
series' description are never used: they differ between releases and do not survive de-identification.
"""

from __future__ import annotations

import re
from typing import Final

import pydicom

from palpate.errors import InputError
from palpate.imaging.check_limits import FREQUENCY_HZ
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.series import Series, numbers

MAGNITUDE, PHASE, REAL, IMAGINARY = range(4)
"""Values of (0043,102F)."""

_SEQUENCES: Final = ("fgremre", "epimre")
_LINE_FREQUENCY: Final = re.compile(r"lineFreq\s*=\s*(\d+(?:\.\d*)?)")
_SAME_HZ: Final = 0.1


def is_mre(series: Series) -> bool:
    """Whether a GE elastography sequence made this series, raw or derived."""
    maker = str(series.header.get("Manufacturer", "")).upper()
    sequence = _text(series.header, 0x0019, 0x109C).lower()
    return maker.startswith("GE") and any(name in sequence for name in _SEQUENCES)


def by_frequency(series: Series) -> list[Series]:
    """A series of several frequencies as one series for each; any other as it is.

    Only equally many images of each frequency make one of several: a single image that differs is a fault.
    """
    groups: dict[tuple[tuple[str, float], ...], list[Instance]] = {}
    for one in series.instances:
        groups.setdefault(tuple(sorted(_stated_hz(one.header).items())), []).append(one)
    if len({len(group) for group in groups.values()}) > 1 or () in groups:
        return [series]
    return [Series(series.number, tuple(group)) for group in groups.values()]


def frequency_hz(series: Series, fallback_hz: float | None) -> float:
    """The frequency of the vibration.

    Args:
        series: raw images.
        fallback_hz: what to take where headers state none, or contradict themselves.

    Raises:
        InputError: no header element states it and there is no fallback, or images or elements contradict each other.
    """
    stated = [(one, _stated_hz(one.header)) for one in series.instances]
    first, reference = stated[0]
    for one, found in stated[1:]:
        if found != reference:
            raise InputError(
                one.place,
                found=f"another frequency ({_listed(found)}) than in {first.place} ({_listed(reference)})",
                expected="one frequency throughout a series",
                advice="Give each acquisition as a series of its own.",
            )
    values = list(reference.values())
    if values and max(values) - min(values) < _SAME_HZ:
        return values[0]
    if fallback_hz is not None:
        return fallback_hz
    raise InputError(
        first.place,
        found=f"frequencies that contradict each other ({_listed(reference)})" if values else "no vibration frequency",
        expected="lineFreq in (0043,1082), or hertz in (0019,10BC) or (0019,10B4)",
        advice="State it as frequency_hz in the ingest settings; stiffness grows with its square.",
    )


def offsets(series: Series) -> int:
    """The number of time offsets, (0020,0105), which all images agree on.

    Raises:
        InputError: it is missing or not usable, or images differ.
    """
    first = series.instances[0]
    count = int(numbers(first, "NumberOfTemporalPositions", 1)[0])
    for one in series.instances:
        if int(numbers(one, "NumberOfTemporalPositions", 1)[0]) != count:
            raise InputError(
                one.place,
                found="another Number of Temporal Positions than in the images before",
                expected=f"{count} throughout a series",
                advice="Give each acquisition as a series of its own.",
            )
    if count < 3:
        raise InputError(
            first.place,
            found=f"{count} time offsets",
            expected="at least 3, to tell a vibration from a constant",
            advice="Include the raw series of the elastography.",
        )
    return count


def kind(instance: Instance) -> int | None:
    """MAGNITUDE, PHASE, REAL or IMAGINARY; None where the header does not say."""
    text = _text(instance.header, 0x0043, 0x102F)
    return int(text) if text in ("0", "1", "2", "3") else None


def slice_count(instance: Instance) -> int | None:
    """The number of slices of the acquisition; None where the header does not say."""
    text = _text(instance.header, 0x0021, 0x104F)
    return int(text) if text.isdigit() else None


def _stated_hz(header: pydicom.Dataset) -> dict[str, float]:
    """Every plausible frequency, by the element that states it, the most trusted first."""
    found = {}
    line = _LINE_FREQUENCY.search(_text(header, 0x0043, 0x1082))
    texts = {
        "lineFreq": line.group(1) if line else "",
        "(0019,10BC)": _text(header, 0x0019, 0x10BC),
        "(0019,10B4)": _text(header, 0x0019, 0x10B4),
    }
    for name, text in texts.items():
        try:
            value = float(text)
        except ValueError:
            continue
        if FREQUENCY_HZ[0] <= value <= FREQUENCY_HZ[1]:
            found[name] = value
    # (0019,10B4) is asked last: where sequences state the frequency elsewhere, it holds something else.
    if len(found) > 1:
        found.pop("(0019,10B4)", None)
    return found


def _listed(frequencies: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g} Hz" for name, value in frequencies.items()) or "none"


def _text(header: pydicom.Dataset, group: int, element: int) -> str:
    """The value of a private element as text, lists joined by blanks; empty where it is missing."""
    if (group, element) not in header:
        return ""
    value = header[group, element].value
    if isinstance(value, bytes):
        return value.decode("ascii", errors="replace").replace("\\", " ").strip(" \0")
    if isinstance(value, pydicom.multival.MultiValue):
        return " ".join(str(one) for one in value)
    return "" if value is None else str(value).strip()
