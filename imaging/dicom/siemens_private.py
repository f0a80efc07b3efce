"""Siemens' private block (0019,10xx): how many slices a mosaic holds and when each was acquired."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import PrivateBlock

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance

_CREATOR: Final = "SIEMENS MR HEADER"
_N_SLICES: Final = 0x0A
_SLICE_TIMES: Final = 0x29


def slices_in_mosaic(instance: Instance) -> int:
    """The number of slices, (0019,100A).

    Raises:
        InputError: the element is missing, as after a de-identification that drops all private groups.
    """
    block = _private_block(instance)
    value = block[_N_SLICES].value if block is not None and _N_SLICES in block else None
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(
            instance.place,
            found="no (0019,100A), the number of slices in the mosaic",
            expected="Siemens' private header",
            advice="De-identify with private group 0019 kept.",
        )
    return int(value)


def slice_times_s(instance: Instance, n_slices: int) -> NDArray[np.float64] | None:
    """Acquisition time of each slice within its mosaic, (0019,1029), shape (k,); None where the header does not say."""
    block = _private_block(instance)
    if block is None or _SLICE_TIMES not in block:
        return None
    try:
        times_ms = np.atleast_1d(np.asarray(block[_SLICE_TIMES].value, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    return times_ms / 1e3 if times_ms.shape == (n_slices,) and np.all(np.isfinite(times_ms)) else None


def _private_block(instance: Instance) -> PrivateBlock | None:
    try:
        return instance.header.private_block(0x0019, _CREATOR)
    except KeyError:
        return None
