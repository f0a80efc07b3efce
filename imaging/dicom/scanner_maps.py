"""Stiffness, waves and confidence that the scanner itself computed, as found beside the raw series it made them from.

They are another operator's answer, to be shown beside ours, and no input of the inversion. Units are those of the
header, or those in which the maker documents them: GE stores stiffness in pascal and confidence from 0 to 1000, without
a rescale tag. Where neither says it, or where values contradict it, the unit is not stated, and nothing is scaled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.derived_images import type_words
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.frames import with_frames
from palpate.imaging.dicom.ge_private import is_mre
from palpate.imaging.dicom.no_motion import series_of
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.stack import stack_slices
from palpate.imaging.dicom.time_order import NUMBER, number_or_nan
from palpate.progress import say

STIFFNESS, WAVES, CONFIDENCE = "stiffness", "waves", "confidence"
_GE_ROLES: Final = {0: STIFFNESS, 1: STIFFNESS, 5: WAVES, 7: CONFIDENCE}
_WORDS: Final = {"STIFFNESS": STIFFNESS, "ELASTOGRAM": STIFFNESS, "CONFIDENCE": CONFIDENCE, "WV": WAVES, "WAVE": WAVES}
_GE_UNITS: Final = {STIFFNESS: "Pa", CONFIDENCE: "1/1000"}
_SCALES: Final = {"pa": ("kPa", 1e-3), "kpa": ("kPa", 1.0), "1/1000": ("1", 1e-3)}
"""Unit and factor in which maps are written, by the unit in which they are stored."""
_MEDIAN_KPA: Final = (0.1, 100.0)
"""Range of the median stiffness above zero; outside it the unit is another one."""
_SATURATED: Final = 32766.0
"""Largest value of GE's stiffness maps."""


@dataclass(frozen=True, slots=True)
class ScannerMap:
    """Map that the scanner computed.

    Attributes:
        kind: STIFFNESS, WAVES or CONFIDENCE.
        series_number: SeriesNumber.
        values: values in `units`, float32, shape (i, j, k), or (i, j, k, offset) for waves.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        units: unit of the values; None where it is not stated, and values are as stored.
        stored_units: unit in which the scanner stored them; None where it is not stated.
        scale: factor from stored values to values.
        intercept: value, in `units`, of a stored 0.
        units_from: "header", "maker's documentation" or "not stated".
        saturated: share of voxels above zero that hold the largest value that the scanner writes.
    """

    kind: str
    series_number: int
    values: NDArray[np.float32]
    affine_mm: NDArray[np.float64]
    units: str | None
    stored_units: str | None
    scale: float
    intercept: float
    units_from: str
    saturated: float

    def as_record(self) -> dict[str, object]:
        """Return what the sidecar and the record say of the map."""
        return {
            "SeriesNumber": self.series_number,
            "Units": self.units or "not stated",
            "StoredUnits": self.stored_units or "not stated",
            "UnitsFrom": self.units_from,
            "Scale": self.scale,
            "Intercept": self.intercept,
            "SaturatedShare": self.saturated,
        }


def scanner_roles(series: Sequence[Series], acquisition: PhaseAcquisition) -> dict[int, str]:
    """Return the kind of each series that the scanner computed from an acquisition, by SeriesNumber.

    Args:
        series: series of the study.
        acquisition: acquisition that a reader made of some of them.
    """
    raw = set(series_of(acquisition))
    found: dict[int, str] = {}
    for one in series:
        if one.number in raw:
            continue
        role = _role_by_number(one, raw) if is_mre(one) else _role_by_words(one, raw)
        if role is not None and role not in found.values():
            found[one.number] = role
    return found


def scanner_maps(series: Sequence[Series], acquisition: PhaseAcquisition) -> tuple[ScannerMap, ...]:
    """Return the maps that the scanner computed from an acquisition; a map that cannot be read is named in the log.

    Args:
        series: series of the study.
        acquisition: acquisition that a reader made of some of them.
    """
    roles = scanner_roles(series, acquisition)
    made = []
    for one in series:
        if one.number not in roles:
            continue
        try:
            made.append(_read(one, roles[one.number]))
        except InputError as error:
            say(f"series {one.number}: the scanner's {roles[one.number]} is left out ({error.found})")
    return tuple(made)


def _role_by_number(series: Series, raw: set[int]) -> str | None:
    """Return the kind of a GE series 100 s + role of a raw series s; colour screen saves are none."""
    gray = all(one.header.get("SamplesPerPixel", 1) == 1 for one in series.instances)
    return _GE_ROLES.get(series.number % 100) if gray and series.number // 100 in raw else None


def _role_by_words(series: Series, raw: set[int]) -> str | None:
    """Return the kind that Image Type names, of a series that follows the acquisition's own."""
    if series.number < min(raw, default=0):
        return None
    words = {word for one in series.instances for word in type_words(one)}
    kinds = {kind for word, kind in _WORDS.items() if word in words}
    return kinds.pop() if len(kinds) == 1 else None


def _read(series: Series, kind: str) -> ScannerMap:
    """Return the map of one series.

    Raises:
        InputError: its images lie on no grid, differ in number or scale, or cannot be read.
    """
    whole = with_frames(series)
    stack = stack_slices(sorted(whole.instances, key=NUMBER.read))
    images = np.stack([stack.volume(number) for number in range(stack.images_per_slice)], axis=-1)
    if kind != WAVES and stack.images_per_slice != 1:
        raise InputError(
            f"series {series.number}",
            found=f"{stack.images_per_slice} images of every slice",
            expected="one",
            advice="Export the series as the scanner made it.",
        )
    slope, intercept, unit = _scale(whole.instances)
    source = "header" if unit else "not stated"
    saturated = 0.0
    if is_mre(series) and unit is None and slope == 1.0 and intercept == 0.0:
        unit = _GE_UNITS.get(kind)
        source = "maker's documentation" if unit else source
        positive = images[images > 0]
        saturated = float(np.mean(positive >= _SATURATED)) if kind == STIFFNESS and positive.size else 0.0
    values = images * slope + intercept
    written, factor = _SCALES.get((unit or "").lower(), (None, 1.0))
    made = ScannerMap(
        kind=kind,
        series_number=series.number,
        values=np.asarray((values * factor) if kind == WAVES else (values * factor)[..., 0], dtype=np.float32),
        affine_mm=stack.grid.affine_mm,
        units=written,
        stored_units=unit,
        scale=slope * factor,
        intercept=intercept * factor,
        units_from=source,
        saturated=saturated,
    )
    if not _contradicted(made):
        return made
    say(f"series {series.number}: the scanner's {kind} is kept as stored, for its values contradict {unit}")
    raw = np.asarray(values if kind == WAVES else values[..., 0], dtype=np.float32)
    return replace(
        made, values=raw, units=None, stored_units=None, scale=slope, intercept=intercept, units_from="not stated"
    )


def _scale(instances: Sequence[Instance]) -> tuple[float, float, str | None]:
    """Return slope, intercept and unit of a series' images; 1, 0 and None where headers do not state them.

    Raises:
        InputError: images differ.
    """
    found = {_scale_of(one) for one in instances}
    if len(found) > 1:
        raise InputError(
            instances[0].place,
            found="images of one map with different scales",
            expected="one Rescale Slope, Intercept and Type",
            advice="Export the series as the scanner made it.",
        )
    return found.pop()


def _scale_of(instance: Instance) -> tuple[float, float, str | None]:
    slope, intercept = (number_or_nan(instance, name) for name in ("RescaleSlope", "RescaleIntercept"))
    unit = str(instance.header.get("RescaleType", "") or "").strip().lower()
    known = {"pa": "Pa", "kpa": "kPa"}.get(unit)
    return slope if np.isfinite(slope) else 1.0, intercept if np.isfinite(intercept) else 0.0, known


def _contradicted(made: ScannerMap) -> bool:
    """Return whether a map's values cannot be in the unit that it is said to have."""
    values = made.values[np.isfinite(made.values) & (made.values > 0)]
    if made.units is None or not values.size:
        return False
    if made.kind == CONFIDENCE:
        return bool(values.max() > 1.0)
    low, high = _MEDIAN_KPA
    return made.kind == STIFFNESS and not low <= float(np.median(values)) <= high
