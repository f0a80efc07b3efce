"""Binary masks in NIfTI files: zeros and one other value."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from palpate.errors import InputError
from palpate.imaging.dicom.file_kinds import HEAD_BYTES
from palpate.imaging.dicom.parsing import is_dicom
from palpate.imaging.files.nifti import StoredVolume, read_stored

_BINARY: Final = "a binary mask, shape (i, j, k): 0 outside, one other value inside"


def read_binary(path: Path) -> StoredVolume:
    """Read a mask of zeros and one other value, in the type in which it is stored.

    Args:
        path: mask, NIfTI.

    Raises:
        InputError: the file is DICOM, unreadable, not one volume, not binary, or empty.
    """
    if is_dicom_file(path):
        raise InputError(
            path,
            found="a DICOM object as mask",
            expected="a NIfTI file",
            advice="Export the segmentation or contour as NIfTI in the scanner's world coordinates.",
        )
    volume = read_stored(path)
    found = _fault_of_mask(volume)
    if found:
        raise InputError(
            path,
            found=found,
            expected=_BINARY,
            advice="Threshold probabilities, and give one label only.",
        )
    return volume


def is_dicom_file(path: Path) -> bool:
    """Return whether a file begins as DICOM files do, without raising."""
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(HEAD_BYTES))
    except OSError:
        return False


def _fault_of_mask(volume: StoredVolume) -> str:
    """Return why a volume is no binary mask; empty where it is one. Slab by slab, as masks may fill the memory."""
    if volume.values.ndim != 3:
        return f"an array of shape {volume.values.shape}"
    infinite, least, largest = 0, np.inf, -np.inf
    for slab in volume.slabs():
        numbers = np.asarray(slab, dtype=np.float64)
        infinite += int(np.count_nonzero(~np.isfinite(numbers)))
        least, largest = min(least, float(numbers.min())), max(largest, float(numbers.max()))
    if infinite:
        return f"{infinite} values that are not finite"
    if largest <= 0.0:
        return "no voxel above 0"
    if least not in (0.0, largest) or any(np.any((one != 0) & (one != largest)) for one in volume.slabs()):
        different = set().union(*(np.unique(np.asarray(one, dtype=np.float64)).tolist() for one in volume.slabs()))
        return f"{len(different)} different values from {least:g} to {largest:g}"
    return ""
