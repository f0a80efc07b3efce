"""Every region of a DICOM file: all segments of a Segmentation, or all ROIs with contours of an RT Structure Set."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from palpate.errors import InputError
from palpate.imaging.dicom.parsing import UNREADABLE, parse, silence
from palpate.imaging.dicom.sources import unread
from palpate.imaging.files.plain_names import shown
from palpate.imaging.limits.input_limits import Budget
from palpate.imaging.regions.contour_reader import read_contours
from palpate.imaging.regions.region import DrawnRegion
from palpate.imaging.regions.segments import read_segment
from palpate.progress import say

_SEGMENTATIONS: Final = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_KINDS: Final = "a DICOM Segmentation or an RT Structure Set"


def read_every_region(path: Path, slices: NDArray[np.float64] | None = None) -> tuple[DrawnRegion, ...]:
    """Return every region of a file, in the order of the file, each with a name of its own.

    ROIs without contours, and ROIs of points alone, enclose nothing: they are left out, which is said.

    Args:
        path: DICOM Segmentation or RT Structure Set.
        slices: affine of the images whose slices contours on a single plane may have been drawn on; None for none.

    Raises:
        InputError: the file is unreadable or of another kind, holds no region, or contours enclose no volume in one
            clear way.
    """
    where = shown(path)
    try:
        content = path.read_bytes()
        with silence():
            image = parse(io.BytesIO(content), len(content), Budget(where), pixels=True)
            found = tuple(_regions(image, len(content), where, slices))
    except UNREADABLE as error:
        refusal = InputError(
            where,
            found="a DICOM file that cannot be read to its end as a segmentation or structure set",
            expected=_KINDS,
            advice="Export the regions again.",
        )
        raise (unread(error, where) or refusal) from error
    if not found:
        raise InputError(where, found="no region", expected="one at least", advice="Export the regions again.")
    return named_apart(found)


def named_apart(regions: tuple[DrawnRegion, ...]) -> tuple[DrawnRegion, ...]:
    """Return regions with names that differ: those without one, or of a name that others have, get their number.

    Args:
        regions: regions of one file.
    """
    noun = {"SEG": "segment", "RTSTRUCT": "ROI"}
    often = Counter(one.name for one in regions)
    named = []
    for one in regions:
        alone = bool(one.name) and often[one.name] == 1
        told = f"{one.name or noun.get(one.kind, 'region')} {one.number}"
        named.append(one if alone else replace(one, name=told.strip()))
    return tuple(named)


def _regions(
    image: pydicom.FileDataset, stored: int, where: str, slices: NDArray[np.float64] | None
) -> Iterator[DrawnRegion]:
    kind = str(image.get("SOPClassUID") or "")
    if kind in _SEGMENTATIONS:
        items = [(int(one.SegmentNumber), str(one.get("SegmentLabel") or "")) for one in image.SegmentSequence]
        for choice in _choices([one for one in items if one[0] > 0]):  # 0 is the background of label maps
            yield read_segment(image, stored, choice, where)
    elif kind == RTStructureSetStorage:
        for choice in _choices(_with_contours(image, where)):
            yield read_contours(image, choice, where, slices)
    else:
        found = "a DICOM object that is neither a segmentation nor a structure set"
        raise InputError(where, found=found, expected=_KINDS, advice="Export the regions as one of these.")


def _choices(items: list[tuple[int, str]]) -> list[str]:
    """Return words that choose each region: its name where no other has it, else its number."""
    often = Counter(name.strip().casefold() for _, name in items)
    return [
        name.strip() if name.strip() and often[name.strip().casefold()] == 1 else str(number) for number, name in items
    ]


def _with_contours(structures: Dataset, where: str) -> list[tuple[int, str]]:
    """Return number and name of the ROIs that have contours beside points."""
    kinds = {
        int(one.ReferencedROINumber): {
            str(item.get("ContourGeometricType") or "").strip().upper() for item in one.get("ContourSequence") or []
        }
        for one in structures.get("ROIContourSequence") or []
    }
    listed = [(int(one.ROINumber), str(one.get("ROIName") or "")) for one in structures.StructureSetROISequence]
    drawn = [one for one in listed if kinds.get(one[0], set()) - {"POINT"}]
    if len(drawn) < len(listed):
        say(f"{where}: {len(listed) - len(drawn)} of {len(listed)} ROIs enclose nothing (points, or no contours)")
    return drawn
