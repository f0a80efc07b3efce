"""Checks of the phase images of the real liver exam, which encodes one direction and so makes no wave field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from planted_faults import OFFSETS, OFFSETS_REFUSED, SCALE

from palpate.errors import InputError
from palpate.imaging.anatomy.tissue_mask import tissue_mask
from palpate.imaging.checks.offset_step import check_offset_times, offset_times
from palpate.imaging.checks.phase_scale import check_phase_scale, wrap_period_rad
from palpate.imaging.dicom.files import read_instances
from palpate.imaging.dicom.ge_images import read_waves
from palpate.imaging.dicom.series import group_series
from palpate.imaging.dicom.sorting import why_no_image
from palpate.imaging.waves.unwrap import unwrap_vibration

_RAW_SERIES: Final = 5


def liver_phase(exam: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return wrapped phase, shape (offset, i, j, k), mean magnitude, shape (i, j, k), and edges of voxels in mm."""
    images = [one for one in read_instances(exam) if why_no_image(one) is None]
    waves = read_waves(next(one for one in group_series(images) if one.number == _RAW_SERIES))
    signals = waves.signals[0]
    return np.angle(signals), np.abs(signals).mean(axis=0), np.linalg.norm(waves.affine_mm[:3, :3], axis=0)


def said_of_phase(
    phase_rad: NDArray[np.float64], magnitude: NDArray[np.float64], voxel_mm: NDArray[np.float64]
) -> list[str]:
    """Return the codes of the phase checks' warnings for one direction, or the reason of a refusal.

    Args:
        phase_rad: wrapped phase, radians, shape (offset, i, j, k).
        magnitude: mean signal, shape (i, j, k).
        voxel_mm: edges of voxels, millimetres, shape (3,).
    """
    mask = tissue_mask(magnitude, voxel_mm, threshold=0.2, opening_mm=4.0)
    try:
        check_phase_scale(wrap_period_rad(phase_rad), "liver")
        unwrapped = unwrap_vibration(phase_rad, mask).phase_rad
        warnings = check_offset_times(offset_times(unwrapped[None], mask), len(phase_rad), "liver")
    except InputError as error:
        return [error.found]
    return [one.code for one in warnings]


def _again(phase_rad: NDArray[np.float64], order: list[int]) -> NDArray[np.float64]:
    return np.asarray(phase_rad[order])


LIVER_FAULTS: Final[tuple[tuple[str, tuple[str, ...], Callable[[NDArray[np.float64]], NDArray[np.float64]]], ...]] = (
    ("one offset twice, measured again", (OFFSETS, OFFSETS_REFUSED), lambda phase: _again(phase, [0, 1, 2, 3, 0])),
    ("two periods", (OFFSETS, OFFSETS_REFUSED), lambda phase: _again(phase, [0, 2, 0, 2])),
    ("phase at half scale", (SCALE,), lambda phase: 0.5 * phase),
)
"""Name of each fault, codes or words that name it, and the function that plants it; the exam's offsets are too few
for one to be missing."""
