"""Mask that a user drew: taken as it is on the elastogram's grid, resampled from another grid, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.files.nifti import (
    StoredVolume,
    Volume,
    demand_scanner_world,
    read_stored,
    same_grid,
    voxel_indices,
)

_SIGNAL: Final = 0.1
"""Share of the magnitude's 90th percentile above which there is signal."""
_FEWEST_WITH_SIGNAL: Final = 0.5
_PREAMBLE: Final = 128
_PREFIX: Final = b"DICM"
_BINARY: Final = "a binary mask, shape (i, j, k): 0 outside, one other value inside"


def read_user_mask(path: Path, magnitude: Volume) -> tuple[NDArray[np.bool_], dict[str, object]]:
    """Read a mask in the elastogram's world coordinates.

    On another grid each voxel of the elastogram takes the value of the mask's voxel in which its centre lies.

    Args:
        path: mask, NIfTI of zeros and one other value.
        magnitude: magnitude of the elastogram, shape (i, j, k).

    Returns:
        The mask on the elastogram's grid, and its entry in the record of ingest: `kept_share`, the volume on that
        grid over the volume that was drawn, and `share_with_signal`.

    Raises:
        InputError: the mask is unreadable, not one volume, not binary, empty, beside the elastogram, or mostly in
            voxels without signal.
    """
    drawn = read_binary(path)
    shape = magnitude.values.shape
    on_grid = drawn.values.shape == shape and same_grid(drawn.affine_mm, magnitude.affine_mm, shape)
    if not on_grid:
        demand_scanner_world(path, drawn, "mask")
    mask = np.asarray(drawn.values != 0) if on_grid else _carried(drawn, magnitude)
    if not mask.any():
        raise InputError(
            path,
            found="a mask that touches no voxel of the elastogram",
            expected="a mask in the elastogram's world coordinates (RAS, mm)",
            advice="Draw it on the elastogram's magnitude, or check which scan it belongs to.",
        )
    signal = magnitude.values > _SIGNAL * np.percentile(magnitude.values, 90.0)
    with_signal = float(signal[mask].mean())
    if with_signal < _FEWEST_WITH_SIGNAL:
        raise InputError(
            path,
            found=f"a mask of which {100 * with_signal:.0f} % show any signal",
            expected="a mask of tissue that the elastogram shows",
            advice="Look at the mask on the magnitude; it may be inverted, shifted or flipped.",
        )
    drawn_mm3 = float(np.count_nonzero(drawn.values) * abs(np.linalg.det(drawn.affine_mm[:3, :3])))
    kept = float(mask.sum() * abs(np.linalg.det(magnitude.affine_mm[:3, :3]))) / drawn_mm3
    return mask, {"source": "user", "on_grid": on_grid, "kept_share": kept, "share_with_signal": with_signal}


def read_binary(path: Path) -> StoredVolume:
    """Read a mask of zeros and one other value, in the type in which it is stored.

    Args:
        path: mask, NIfTI.

    Raises:
        InputError: the file is unreadable, not one volume, not binary, or empty.
    """
    volume = _read_drawn(path)
    found = _fault_of_mask(volume)
    if found:
        raise InputError(
            path,
            found=found,
            expected=_BINARY,
            advice="Threshold probabilities, and give one label only.",
        )
    return volume


def _read_drawn(path: Path) -> StoredVolume:
    """Return a drawn region as a volume. Readers of other kinds of region than NIfTI belong here.

    Raises:
        InputError: it is a DICOM object, which no reader turns into a volume yet, or no readable NIfTI.
    """
    if _is_dicom(path):
        raise InputError(
            path,
            found="a DICOM object as mask",
            expected="a NIfTI file",
            advice="Export the segmentation or contour as NIfTI in the scanner's world coordinates.",
        )
    return read_stored(path)


def _is_dicom(path: Path) -> bool:
    """Return whether a file begins as DICOM files do, without raising."""
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE + len(_PREFIX)).endswith(_PREFIX)
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


def _carried(drawn: StoredVolume, magnitude: Volume) -> NDArray[np.bool_]:
    """Return the mask's value at the centre of each voxel of the elastogram."""
    indices = np.moveaxis(np.indices(magnitude.values.shape, dtype=np.float64), 0, -1)
    points_mm = indices @ magnitude.affine_mm[:3, :3].T + magnitude.affine_mm[:3, 3]
    index = np.rint(voxel_indices(drawn.affine_mm, points_mm)).astype(np.int64)
    within = np.all((index >= 0) & (index < drawn.values.shape), axis=-1)
    mask = np.zeros(within.shape, dtype=bool)
    mask[within] = drawn.values[tuple(index[within].T)] != 0
    return mask
