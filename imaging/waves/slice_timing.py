"""Correction for slices acquired at different times of the vibration.

An actuator that runs freely while slices are acquired one after another shows each slice another phase of the
vibration: slice k, acquired t_k after the first, measures U_k exp(+i omega t_k). Where the header states t_k, this is
corrected.
Sequences that restart the actuator for every slice need no correction, and headers do not state the kind. It follows
from the data, because neighbouring slices of a wave field move alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.waves.harmonics import first_harmonic
from palpate.imaging.waves.patch_turns import integrate_steps


@dataclass(frozen=True, slots=True)
class SliceTiming:
    """Correction of slices to a common time, and its reason.

    Attributes:
        phase_rad: phase of each slice, radians, shape (k,): slice k is divided by exp(+i phase_rad[k]); zeros where no
            correction is made.
        applied: whether the header's times are used.
        agreement_as_measured: sum Re(U_(k+1) conj U_k) / sum |U_(k+1) U_k| over neighbouring slices, without
            slice means, at most 1.
        agreement_corrected: this agreement after the correction; None where the header states no times.
    """

    phase_rad: NDArray[np.float64]
    applied: bool
    agreement_as_measured: float
    agreement_corrected: float | None


def slice_timing(
    steps: NDArray[np.float64],
    mask: NDArray[np.bool_],
    slice_phase_rad: NDArray[np.float64] | None,
    *,
    choice: Literal["auto", "apply", "ignore"],
) -> SliceTiming:
    """Decide whether slices are moved to a common time.

    Args:
        steps: unwrapped steps of all directions, shape (direction, offset, i, j, k).
        mask: tissue, shape (i, j, k).
        slice_phase_rad: omega times the header's acquisition times, radians, shape (k,); None where it has none.
        choice: choice of the study: "apply", "ignore", or "auto" for the one by which neighbouring slices agree better.
    """
    field = np.stack([first_harmonic(integrate_steps(one)) for one in steps])
    as_measured = _agreement(field, mask)
    still = np.zeros(mask.shape[2])
    if slice_phase_rad is None:
        return SliceTiming(still, applied=False, agreement_as_measured=as_measured, agreement_corrected=None)
    corrected = _agreement(field * np.exp(-1j * slice_phase_rad), mask)
    applied = choice == "apply" or (choice == "auto" and corrected > as_measured)
    return SliceTiming(slice_phase_rad if applied else still, applied, as_measured, corrected)


def _agreement(field: NDArray[np.complex128], mask: NDArray[np.bool_]) -> float:
    """Return how alike neighbouring slices move, between -1 and 1; 1 for a single slice."""
    both = mask[..., 1:] & mask[..., :-1]
    counts = np.maximum(mask.sum(axis=(0, 1)), 1)
    centred = field - (field * mask).sum(axis=(1, 2), keepdims=True) / counts
    products = (centred[..., 1:] * centred[..., :-1].conj())[:, both]
    total = float(np.abs(products).sum())
    return float(products.real.sum() / total) if total > 0 else 1.0
