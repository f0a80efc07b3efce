"""Checks of phase images for contradictions within themselves, for every scanner and without headers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
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
        InputError: the offsets do not fill one period, or run backwards, beyond doubt.
    """
    acquisition = reconstruction.acquisition
    _demand_forward(reconstruction)
    found = offset_times(np.stack([one.unwrapped.phase_rad for one in reconstruction.directions]), mask)
    return found, check_offset_times(found, acquisition.phase_rad.shape[1], acquisition.name)


def _demand_forward(reconstruction: Reconstruction) -> None:
    """Refuse directions whose offsets run backwards against the times of their slices."""
    backwards, count = reconstruction.timing.backwards, len(reconstruction.directions)
    if not backwards:
        return
    every = len(backwards) == count
    named = " and ".join(str(number + 1) for number in backwards)
    reversed_, other = min(backwards.values())
    remedy = (
        "If the scanner counts offsets down, set time_step_sign to negative in the ingest settings"
        if every
        else "Export the series again with its time offsets in their order"
    )
    raise InputError(
        reconstruction.acquisition.name,
        found="time offsets "
        + ("" if every and count > 1 else f"of encoding direction {named} ")
        + f"that run backwards: neighbouring slices agree to {100 * reversed_:.0f} % if they do, and to "
        f"{100 * max(other, 0.0):.0f} % otherwise",
        expected="offsets that follow each other as the slices' acquisition times do",
        advice=f"{remedy}; if the actuator starts anew for every slice, set slice_timing to ignore.",
    )
