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
    warnings = _check_forward(reconstruction)
    found = offset_times(np.stack([one.unwrapped.phase_rad for one in reconstruction.directions]), mask)
    return found, (*warnings, *check_offset_times(found, acquisition.phase_rad.shape[1], acquisition.name))


def _check_forward(reconstruction: Reconstruction) -> tuple[QualityWarning, ...]:
    """Refuse single directions whose offsets run backwards against the times of their slices; warn where all do.

    Raises:
        InputError: some directions run backwards and another one forward.
    """
    backwards = reconstruction.timing.backwards
    if not backwards:
        return ()
    reversed_, other = min(backwards.values())
    shares = f"{100 * reversed_:.0f} % if they do, and to {100 * max(other, 0.0):.0f} % otherwise"
    if len(backwards) == len(reconstruction.directions):
        sentence = f"All time offsets seem to run backwards: neighbouring slices agree to {shares}."
        advice = (
            "Check the order of the offsets in the export; if the scanner counts them down, set time_step_sign to "
            "negative in the ingest settings."
        )
        return (QualityWarning("sign-of-time", sentence, advice),)
    raise InputError(
        reconstruction.acquisition.name,
        found=f"time offsets of encoding direction {' and '.join(str(number + 1) for number in backwards)} that run "
        f"backwards: neighbouring slices agree to {shares}",
        expected="offsets that follow each other as the slices' acquisition times do",
        advice="Export the series again with its time offsets in their order; if the actuator starts anew for every "
        "slice, set slice_timing to ignore.",
    )
