"""Agreement of neighbouring slices in phase and place, where each slice had a breath-hold of its own.

A slice's whole motion may be ahead of its neighbour's, because the actuator ran freely between breath-holds, and the
patient may have breathed in to another depth. Both are measured between neighbours here, and nothing is corrected,
for neither can be told apart from what tissue does: a wave that travels across slices also turns their phase, and
anatomy changes from slice to slice. So both are upper limits of the errors. A shift across slices shows in nothing that
one stack of slices holds.

The outline of a body drifts steadily from slice to slice, while a breath-hold of another depth moves a slice against
both neighbours, or all slices from one on. So a pair's shift is compared with the median of all pairs: by how much it
differs is its jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

_FEWEST_VOXELS = 12
"""Voxels that two slices must share for their phase to be compared."""
_FINE = 20
"""Steps per voxel of the registration."""
_FEWEST_PAIRS = 3
"""Pairs whose median shift stands for the drift of the body's outline."""


@dataclass(frozen=True, slots=True)
class SlicePair:
    """Comparison of two neighbouring slices.

    Attributes:
        slices: their indices along k.
        phase_rad: angle of sum U_(k+1) conj U_k, the turn by which they move alike best; None where they share too
            few voxels.
        agreement: |sum U_(k+1) conj U_k| / sum |U_(k+1) U_k| at that turn, at most 1; None as before.
        shift_mm: shift within the slice that fits their images best, along i and j, mm.
    """

    slices: tuple[int, int]
    phase_rad: float | None
    agreement: float | None
    shift_mm: tuple[float, float]


def slice_agreement(
    waves: NDArray[np.complex128],
    mask: NDArray[np.bool_],
    magnitude: NDArray[np.float64],
    voxel_mm: NDArray[np.float64],
) -> tuple[SlicePair, ...]:
    """Compare each slice with the next one.

    Args:
        waves: first harmonic, shape (direction, i, j, k).
        mask: region of the waves, shape (i, j, k).
        magnitude: mean signal, shape (i, j, k).
        voxel_mm: edges of a voxel along i, j, k, mm, shape (3,).
    """
    return tuple(_compare(waves, mask, magnitude, voxel_mm, pair) for pair in pairwise(range(mask.shape[2])))


def jumps_mm(pairs: tuple[SlicePair, ...]) -> NDArray[np.float64]:
    """Return by how much the shift of each pair differs from the median of all, mm; of two pairs or one, the shift."""
    shifts_mm = np.array([one.shift_mm for one in pairs]).reshape(-1, 2)
    usual_mm = np.median(shifts_mm, axis=0) if len(pairs) >= _FEWEST_PAIRS else np.zeros(2)
    return np.asarray(np.linalg.norm(shifts_mm - usual_mm, axis=1))


def as_record(pairs: tuple[SlicePair, ...]) -> dict[str, object]:
    """Return the comparison as JSON values, with what it means."""
    shifts_mm = [float(np.hypot(*one.shift_mm)) for one in pairs]
    turns = [abs(one.phase_rad) for one in pairs if one.phase_rad is not None]
    return {
        "pairs": [
            {
                "slices": list(one.slices),
                "phase_rad": one.phase_rad,
                "agreement": one.agreement,
                "shift_mm": list(one.shift_mm),
            }
            for one in pairs
        ],
        "largest_phase_rad": max(turns, default=None),
        "largest_shift_mm": max(shifts_mm, default=None),
        "largest_jump_mm": max(jumps_mm(pairs).tolist(), default=None),
        "shift_across_slices_mm": None,
        "meaning": "upper limits: waves that travel across slices and anatomy that changes between them are included; "
        "shifts across slices cannot be told from one stack",
    }


def _compare(
    waves: NDArray[np.complex128],
    mask: NDArray[np.bool_],
    magnitude: NDArray[np.float64],
    voxel_mm: NDArray[np.float64],
    pair: tuple[int, int],
) -> SlicePair:
    first, second = pair
    both = mask[..., first] & mask[..., second]
    phase_rad, agreement = None, None
    if both.sum() >= _FEWEST_VOXELS:
        products = (waves[..., second] * waves[..., first].conj())[:, both]
        total, size = complex(products.sum()), float(np.abs(products).sum())
        if size > 0.0:
            phase_rad, agreement = float(np.angle(total)), abs(total) / size
    images = [np.sqrt(ndimage.gaussian_filter(magnitude[..., k], 1.0)) for k in pair]
    shift = np.zeros(2)
    if min(np.ptp(one) for one in images) > 0.0:
        shift, _, _ = phase_cross_correlation(*images, upsample_factor=_FINE, normalization=None)
    moved_mm = np.asarray(shift) * voxel_mm[:2]
    return SlicePair(pair, phase_rad, agreement, (float(moved_mm[0]), float(moved_mm[1])))
