"""Reading of a drawn region from whatever file holds it: NIfTI, DICOM Segmentation or RT Structure Set."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from palpate.config.region_choice import split_choice
from palpate.errors import InputError
from palpate.imaging.dicom.parsing import UNREADABLE, parse, silence
from palpate.imaging.dicom.sources import unread
from palpate.imaging.files.nifti import is_volume_file
from palpate.imaging.files.plain_names import shown
from palpate.imaging.limits.input_limits import Budget
from palpate.imaging.regions.binary import is_dicom_file, read_binary
from palpate.imaging.regions.contour_reader import read_contours
from palpate.imaging.regions.region import DrawnRegion, VoxelShape
from palpate.imaging.regions.segments import read_segment

_LABEL_MAP: Final = "1.2.840.10008.5.1.4.1.1.66.7"
"""Class of segmentations that are label maps, which pydicom does not name."""
_KINDS: Final = "a binary NIfTI, a DICOM Segmentation or an RT Structure Set"


def read_region(given: Path, slices: NDArray[np.float64] | None = None) -> DrawnRegion:
    """Read a region that a user drew.

    Args:
        given: file, and where it holds several regions the chosen one: `file#name` or `file#number`.
        slices: affine of the images whose slices contours on a single plane may have been drawn on, voxel indices to
            world RAS millimetres, shape (4, 4); None where there are none.

    Raises:
        InputError: the file is unreadable or of another kind, several regions are there and none is chosen, or the
            chosen one encloses no volume in one clear way.
    """
    return read_chosen(*split_choice(given), slices)


def read_chosen(path: Path, choice: str, slices: NDArray[np.float64] | None = None) -> DrawnRegion:
    """Read a region that a user drew, from a file and a choice that are stated apart.

    Args:
        path: file.
        choice: name or number of the region; empty takes the only one.
        slices: affine of the images whose slices contours on a single plane may have been drawn on, voxel indices to
            world RAS millimetres, shape (4, 4); None where there are none.

    Raises:
        InputError: the file is unreadable or of another kind, several regions are there and none is chosen, or the
            chosen one encloses no volume in one clear way.
    """
    if path.is_dir():
        where = path if is_volume_file(path) else shown(path)
        raise InputError(where, found="a folder", expected=f"one file: {_KINDS}", advice="Name the file in it.")
    if is_dicom_file(path):
        return _read_dicom(path, choice, slices)
    if choice:
        advice = "Leave out # and what follows; a NIfTI mask holds one region."
        raise InputError(path, found="a region chosen by name", expected=_KINDS, advice=advice)
    drawn = read_binary(path)
    full = max(float(np.asarray(one, dtype=np.float64).max()) for one in drawn.slabs())
    return DrawnRegion(path, "NIfTI", VoxelShape(drawn, full))


def _read_dicom(path: Path, choice: str, slices: NDArray[np.float64] | None) -> DrawnRegion:
    where = shown(path)
    try:
        content = path.read_bytes()
        with silence():
            image = parse(io.BytesIO(content), len(content), Budget(where), pixels=True)
            return _of_class(image, len(content), choice, where, slices)
    except UNREADABLE as error:
        refusal = InputError(
            where,
            found="a DICOM file that cannot be read to its end as a segmentation or structure set",
            expected=_KINDS,
            advice="Export the region again.",
        )
        raise (unread(error, where) or refusal) from error


def _of_class(
    image: pydicom.FileDataset, stored: int, choice: str, where: str, slices: NDArray[np.float64] | None
) -> DrawnRegion:
    kind = str(image.get("SOPClassUID") or "")
    if kind in (SegmentationStorage, _LABEL_MAP):
        return read_segment(image, stored, choice, where)
    if kind == RTStructureSetStorage:
        return read_contours(image, choice, where, slices)
    raise InputError(
        where,
        found="a DICOM object as mask that is neither a segmentation nor a structure set",
        expected=_KINDS,
        advice="Export the region as one of these.",
    )
