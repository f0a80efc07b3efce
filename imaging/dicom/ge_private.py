"""Facts of an MR elastography series in GE's private groups.

    (0019,109C)  name of the pulse sequence, of which SEQUENCES lists those of elastography
    (0043,10A2)  "MEG data": frequency of the vibration in Hz, number of offsets
    (0019,10BC)  user variable 21: frequency, Hz; not above 0 where unused
    (0019,10B4)  user variable 13: frequency, Hz, of older sequences
    (0043,102F)  0 magnitude, 1 phase, 2 real, 3 imaginary; says nothing where all images of a series have the same
    (0021,104F)  number of slices

`lineFreq` in (0043,1082) is the frequency of the site's mains and never that of the vibration: taking it for the drive
makes stiffness wrong by the square of their ratio.

Elements are looked up by number, not through their private creators, for some archives drop those. ImageType and the
series' description are never used: they differ between releases and do not survive de-identification.
"""

from __future__ import annotations

from typing import Final

import pydicom

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.series import Series, numbers
from palpate.imaging.limits.check_limits import FREQUENCY_HZ
from palpate.progress import say

MAGNITUDE, PHASE, REAL, IMAGINARY = range(4)
"""Values of (0043,102F)."""

SEQUENCES: Final = ("mr-touch", "fgremre", "epimre", "iqmre2d", "se_iron_mre")
"""Parts of pulse sequences' names, lower case."""
_MEG_DATA: Final = (0x0043, 0x10A2)
_VARIABLES: Final = ((0x0019, 0x10BC), (0x0019, 0x10B4))
_SAME_HZ: Final = 0.1


def is_mre(series: Series) -> bool:
    """Return whether a GE elastography sequence made this series, raw or derived."""
    maker = str(series.header.get("Manufacturer", "")).upper()
    sequence = _text(series.header, 0x0019, 0x109C).lower()
    return maker.startswith("GE") and any(name in sequence for name in SEQUENCES)


def by_frequency(series: Series) -> list[Series]:
    """Return a series of several frequencies as one series for each, and any other as it is.

    A series counts as one of several frequencies only if each has equally many images: a single image that differs is a
    fault.
    """
    groups: dict[tuple[tuple[str, float], ...], list[Instance]] = {}
    for one in series.instances:
        groups.setdefault(tuple(sorted(_stated_hz(one.header).items())), []).append(one)
    if len({len(group) for group in groups.values()}) > 1 or () in groups:
        return [series]
    return [Series(series.number, tuple(group)) for group in groups.values()]


def frequency_hz(series: Series, fallback_hz: float | None) -> float:
    """Return the frequency of the vibration.

    Args:
        series: series of raw images.
        fallback_hz: frequency to take, hertz, where headers state none or contradict themselves; None for no such
            value.

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
        _say_what_differs(series, values[0], fallback_hz)
        return values[0]
    if fallback_hz is not None:
        return fallback_hz
    raise InputError(
        first.place,
        found=f"frequencies that contradict each other ({_listed(reference)})" if values else "no vibration frequency",
        expected="one frequency in hertz in (0043,10A2), (0019,10BC) or (0019,10B4)",
        advice="State it as frequency_hz in the ingest settings; stiffness grows with its square.",
    )


def _say_what_differs(series: Series, taken_hz: float, setting_hz: float | None) -> None:
    """Log a frequency of the settings or of the least trusted element that is not the one taken."""
    older = _numbers(series.header, *_VARIABLES[-1])[:1]
    others = {"(0019,10B4)": older[0] if older else 0.0, "the setting frequency_hz": setting_hz or 0.0}
    for name, other_hz in others.items():
        if FREQUENCY_HZ[0] <= other_hz <= FREQUENCY_HZ[1] and abs(other_hz - taken_hz) >= _SAME_HZ:
            say(f"series {series.number}: {taken_hz:g} Hz as its headers state; {other_hz:g} Hz of {name} is not used")


def offsets(series: Series) -> int:
    """Return the number of time offsets, which (0020,0105) and (0043,10A2) state alike in all images.

    Raises:
        InputError: it is missing or not usable, or images or elements differ.
    """
    first = series.instances[0]
    counts = _offset_counts(first)
    for one in series.instances:
        if _offset_counts(one) != counts:
            raise InputError(
                one.place,
                found="another Number of Temporal Positions or of offsets in (0043,10A2) than in the images before",
                expected=f"{' and '.join(str(count) for count in counts)} throughout a series",
                advice="Give each acquisition as a series of its own.",
            )
    if len(set(counts)) > 1:
        raise InputError(
            first.place,
            found=f"{counts[0]} temporal positions and {counts[1]} offsets in (0043,10A2)",
            expected="the same number of both",
            advice="Include the raw series of the elastography; processed waves have other offsets.",
        )
    if counts[0] < 3:
        raise InputError(
            first.place,
            found=f"{counts[0]} time offsets",
            expected="at least 3, to tell a vibration from a constant",
            advice="Include the raw series of the elastography.",
        )
    return counts[0]


def _offset_counts(instance: Instance) -> tuple[int, ...]:
    """Return the numbers of offsets that an image states, Number of Temporal Positions first; at least one."""
    meg = _numbers(instance.header, *_MEG_DATA)
    stated = [int(meg[1])] if len(meg) > 1 and meg[1] >= 1 else []
    if stated and instance.header.get("NumberOfTemporalPositions") in (None, ""):
        return tuple(stated)
    return (int(numbers(instance, "NumberOfTemporalPositions", 1)[0]), *stated)


def kinds(series: Series) -> list[int] | None:
    """Return MAGNITUDE, PHASE, REAL or IMAGINARY for each image of a series.

    The result is None where an image lacks the element, or where all images state the same kind.
    """
    found = [_text(one.header, 0x0043, 0x102F) for one in series.instances]
    if len(set(found)) < 2 or not set(found) <= {"0", "1", "2", "3"}:
        return None
    return [int(text) for text in found]


def slice_count(instance: Instance) -> int | None:
    """Return the number of slices of the acquisition; None where the header does not say."""
    text = _text(instance.header, 0x0021, 0x104F)
    return int(text) if text.isdigit() else None


def _stated_hz(header: pydicom.Dataset) -> dict[str, float]:
    """Return every plausible frequency, by the element that states it, the most trusted first."""
    found = {}
    for tag in (_MEG_DATA, *_VARIABLES):
        stated = _numbers(header, *tag)[:1]
        if stated and FREQUENCY_HZ[0] <= stated[0] <= FREQUENCY_HZ[1]:
            found["({:04X},{:04X})".format(*tag)] = stated[0]
    # (0019,10B4) is asked last: where sequences state the frequency elsewhere, it holds something else.
    if len(found) > 1:
        found.pop("({:04X},{:04X})".format(*_VARIABLES[-1]), None)
    return found


def _numbers(header: pydicom.Dataset, group: int, element: int) -> list[float]:
    """Return the numbers of a private element, in whatever type it is stored; none where one is no number."""
    try:
        return [float(text) for text in _text(header, group, element).split()]
    except ValueError:
        return []


def _listed(frequencies: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g} Hz" for name, value in frequencies.items()) or "none"


def _text(header: pydicom.Dataset, group: int, element: int) -> str:
    """Return the value of a private element as text, lists joined by blanks; empty where it is missing."""
    if (group, element) not in header:
        return ""
    value = header[group, element].value
    if isinstance(value, bytes):
        return value.decode("ascii", errors="replace").replace("\\", " ").strip(" \0")
    if isinstance(value, pydicom.multival.MultiValue):
        return " ".join(str(one) for one in value)
    return "" if value is None else str(value).strip()
