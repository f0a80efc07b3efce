"""Siemens' private block (0019,10xx): number of slices in a mosaic, and the time at which each was acquired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import PrivateBlock

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.siemens_csa import slice_count

_CREATOR: Final = "SIEMENS MR HEADER"
_N_SLICES: Final = 0x0A
_SLICE_TIMES: Final = 0x29
_RASTER_S: Final = 2.5e-3 + 1e-9
"""Some software versions write times in steps of 2.5 ms, so that those of two images may differ by one."""


def slices_in_mosaic(instance: Instance) -> int:
    """Return the number of slices: (0019,100A), or what the CSA header states where that is missing.

    Raises:
        InputError: both are missing, as after a de-identification that drops all private groups.
    """
    block = _private_block(instance)
    value = block[_N_SLICES].value if block is not None and _N_SLICES in block else slice_count(instance)
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(
            instance.place,
            found="no (0019,100A), the number of slices in the mosaic",
            expected="Siemens' private header",
            advice="De-identify with private group 0019 kept.",
        )
    return int(value)


def states_slices(instance: Instance) -> bool:
    """Return whether (0019,100A) counts several slices, which only mosaics have, without raising."""
    block = _private_block(instance)
    value = block[_N_SLICES].value if block is not None and _N_SLICES in block else None
    return isinstance(value, (int, float)) and value > 1


def slice_times_s(instance: Instance, n_slices: int) -> NDArray[np.float64] | None:
    """Return the time of each slice of a mosaic, (0019,1029), seconds, shape (k,); None where the header does not say.

    Raises:
        InputError: there are times of more or fewer slices, so that one of the two numbers is wrong.
    """
    block = _private_block(instance)
    if block is None or _SLICE_TIMES not in block:
        return None
    try:
        times_ms = np.atleast_1d(np.asarray(block[_SLICE_TIMES].value, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    if times_ms.ndim != 1 or not np.all(np.isfinite(times_ms)):
        return None
    if len(times_ms) != n_slices:
        raise InputError(
            instance.place,
            found=f"{len(times_ms)} slice times in (0019,1029) of {n_slices} slices",
            expected="one for every slice of the mosaic",
            advice="Export the series again from the scanner or archive.",
        )
    return times_ms / 1e3


def common_slice_times_s(images: Sequence[Instance], n_slices: int) -> NDArray[np.float64] | None:
    """Return the slice times that all mosaics of an acquisition state, seconds, shape (k,); None where none states any.

    Raises:
        InputError: an image lacks them, or states others by more than the raster in which scanners write them: one
            damaged header must not set the times at which slices saw the vibration.
    """
    stated = [slice_times_s(one, n_slices) for one in images]
    known = [one for one in stated if one is not None]
    if not known:
        return None
    typical = np.median(known, axis=0)
    for image, times in zip(images, stated, strict=True):
        if times is None or np.abs(times - typical).max() > _RASTER_S:
            raise InputError(
                image.place,
                found="no slice times in (0019,1029)" if times is None else "other slice times than in other images",
                expected="the same in every image of the series",
                advice="Export the series again from the scanner or archive.",
            )
    return np.asarray(typical)


def _private_block(instance: Instance) -> PrivateBlock | None:
    try:
        return instance.header.private_block(0x0019, _CREATOR)
    except KeyError:
        return None
