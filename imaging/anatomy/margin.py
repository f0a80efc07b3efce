"""Tissue around a drawn region that is inverted with it, because waves tell a wavelength's tissue and not a voxel's.

A region of few wavelengths, of one direction in thick slices, holds too few data to tell its waves from noise: the
posterior of a drawn liver alone is its prior. Within a wavelength around it the same waves travel, and beyond that
tissue is another organ's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SPEED_M_PER_S: Final = 1.4
"""Speed of the shear waves whose wavelength is meant, m/s: that of a healthy liver (2 kPa) at 60 Hz."""


def margin_mm(frequency_hz: float) -> float:
    """Return the width of the margin, mm: a wavelength c/f at SPEED_M_PER_S.

    Args:
        frequency_hz: frequency f of the vibration, Hz.
    """
    return 1e3 * SPEED_M_PER_S / frequency_hz


def with_margin(
    drawn: NDArray[np.bool_], usable: NDArray[np.bool_], voxel_mm: NDArray[np.float64], width_mm: float
) -> NDArray[np.bool_]:
    """Return a drawn region and the usable tissue around it that hangs together with it, shape (i, j, k).

    Args:
        drawn: the region, shape (i, j, k).
        usable: tissue that may be inverted, shape (i, j, k).
        voxel_mm: distances of voxels along i, j, k, mm, shape (3,).
        width_mm: largest distance of a voxel's centre from that of a voxel of the region, mm.
    """
    near = ndimage.distance_transform_edt(~drawn, sampling=voxel_mm) <= width_mm
    pieces, _ = ndimage.label(drawn | (usable & near))
    return np.isin(pieces, np.unique(pieces[drawn]))
