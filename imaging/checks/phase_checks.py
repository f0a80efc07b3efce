"""Checks of phase images for contradictions within themselves, for every scanner and without headers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.checks.offset_step import OffsetTimes, check_offset_times, demand_different_images, offset_times
from palpate.imaging.checks.phase_scale import check_phase_scale, wrap_period_rad
from palpate.imaging.waves.reconstruct import Reconstruction
from palpate.quality_warning import QualityWarning


def check_images(acquisition: PhaseAcquisition) -> None:
    """Refuse phase images that have a wrong scale or are there twice.

    Args:
        acquisition: acquisition as a reader delivers it, before images are moved or unwrapped.

    Raises:
        InputError: the images contradict their scale or their number.
    """
    period_rad = acquisition.wrap_period_rad
    if period_rad is None and acquisition.encoding_gain == 1.0:
        period_rad = wrap_period_rad(acquisition.phase_rad)
    check_phase_scale(period_rad, acquisition.name)
    demand_different_images(acquisition)


def check_offsets(
    reconstruction: Reconstruction, mask: NDArray[np.bool_]
) -> tuple[OffsetTimes | None, tuple[QualityWarning, ...]]:
    """Compare the time offsets with one period of the vibration.

    Args:
        reconstruction: reconstruction of one acquisition.
        mask: tissue, shape (i, j, k).

    Returns:
        The comparison, None where nothing can be compared; and the warnings that follow from it.

    Raises:
        InputError: the offsets do not fill one period beyond doubt.
    """
    acquisition = reconstruction.acquisition
    found = offset_times(np.stack([one.unwrapped.phase_rad for one in reconstruction.directions]), mask)
    return found, check_offset_times(found, acquisition.phase_rad.shape[1], acquisition.name)
