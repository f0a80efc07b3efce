"""Contours of a DICOM RT Structure Set: the closed contours of one ROI, from patient coordinates (LPS) to RAS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from palpate.errors import InputError
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.persons import person_of
from palpate.imaging.regions.choice import RegionEntry, chosen
from palpate.imaging.regions.planes import AGAIN, Space, shape_of
from palpate.imaging.regions.region import DrawnRegion

_CLOSED: Final = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_TYPES: Final = (*_CLOSED, "POINT", "OPEN_PLANAR", "OPEN_NONPLANAR")


def read_contours(structures: Dataset, choice: str, where: str, slices: NDArray[np.float64] | None) -> DrawnRegion:
    """Return the region that the contours of one ROI enclose.

    Args:
        structures: RT Structure Set.
        choice: name or number of the ROI; empty takes the only one that has contours.
        where: name of the file in errors.
        slices: affine of images whose slices a ROI on a single plane may have been drawn on; None for none.

    Raises:
        InputError: no ROI or several fit the choice, or its contours enclose no volume in one clear way.
        Exception: one of UNREADABLE, where the file is damaged.
    """
    drawn = {int(one.ReferencedROINumber): one for one in structures.get("ROIContourSequence") or []}
    listed = {int(one.ROINumber): one for one in structures.get("StructureSetROISequence") or []}
    filled = {number for number, one in drawn.items() if one.get("ContourSequence")}
    entries = [
        RegionEntry(number, str(one.get("ROIName") or ""))
        for number, one in listed.items()
        if choice or number in filled
    ]
    one = chosen(entries, choice, where, "ROI")
    items = list(drawn[one.number].ContourSequence) if one.number in filled else []
    if not items:
        raise InputError(where, found="a ROI without contours", expected="closed contours", advice=AGAIN)
    shape, warnings, facts = shape_of([_corners(item, where) for item in items], _slab_mm(items), Space(where, slices))
    frame = str(listed[one.number].get("ReferencedFrameOfReferenceUID") or "") or _only_frame(structures)
    person, series = person_of(structures), _series(structures)
    return DrawnRegion(where, "RTSTRUCT", shape, one.number, one.plain_name, frame, warnings, facts, person, series)


def _series(structures: Dataset) -> tuple[str, ...]:
    """Return the series of the images that contours were drawn on, as far as the file names them."""
    return tuple(
        str(series.get("SeriesInstanceUID") or "")
        for frame in structures.get("ReferencedFrameOfReferenceSequence") or []
        for study in frame.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
    )


def _only_frame(structures: Dataset) -> str:
    listed = structures.get("ReferencedFrameOfReferenceSequence") or []
    frames = {str(one.get("FrameOfReferenceUID") or "") for one in listed}
    return frames.pop() if len(frames) == 1 else ""


def _corners(item: Dataset, where: str) -> NDArray[np.float64]:
    """Return the corners of a closed contour, RAS, mm, shape (m, 3), none of them twice in a row.

    Raises:
        InputError: the contour is not closed, or damaged.
    """
    kind = str(item.get("ContourGeometricType") or "").strip().upper()
    if kind not in _CLOSED:
        named = kind if kind in _TYPES else "no known type"
        raise InputError(where, found=f"a contour of type {named}", expected="CLOSED_PLANAR contours", advice=AGAIN)
    numbers = np.array(item.get("ContourData") or [], dtype=np.float64)
    stated = int(item.get("NumberOfContourPoints") or numbers.size // 3)
    if numbers.size != 3 * stated or not np.all(np.isfinite(numbers)):
        found = f"a contour of {numbers.size} coordinates for {stated} points, or coordinates that are not finite"
        raise InputError(where, found=found, expected="three coordinates a point", advice=AGAIN)
    points = numbers.reshape(-1, 3) @ LPS_TO_RAS.T
    repeats = np.all(points == np.roll(points, 1, axis=0), axis=1)
    return np.asarray(points[~repeats])


def _slab_mm(items: Sequence[Dataset]) -> float | None:
    """Return the thickness that every contour states; None where they state none or several."""
    stated = {float(one.get("ContourSlabThickness") or 0.0) for one in items}
    return stated.pop() if len(stated) == 1 and min(stated) > 0.0 else None
