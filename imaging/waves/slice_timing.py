"""Correction for slices acquired at different times of the vibration.

An actuator that runs freely while slices are acquired one after another shows each slice another phase of the
vibration: slice k, acquired t_k after the first, measures U_k exp(+i omega t_k). Where the header states t_k, this is
corrected.
Sequences that restart the actuator for every slice need no correction, and headers do not state the kind. It follows
from the data, because neighbouring slices of a wave field move alike.

Where the offsets of one direction run backwards, slice k shows conj(U_k) exp(-i omega t_k) instead. Its slices then
agree after the correction with -t_k, and no phase of the whole direction puts it right (decision 0098).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.limits.check_limits import SLICES_AGREE, SLICES_DISAGREE
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
        backwards: agreement of each direction after the correction with reversed times, and the better one of those as
            measured and as corrected, for the directions whose slices say that their offsets run backwards, by number
            from 0.
    """

    phase_rad: NDArray[np.float64]
    applied: bool
    agreement_as_measured: float
    agreement_corrected: float | None
    backwards: Mapping[int, tuple[float, float]] = field(default_factory=dict)


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
    waves = np.stack([first_harmonic(integrate_steps(one)) for one in steps])
    as_measured = _agreement(waves, mask)
    still = np.zeros(mask.shape[2])
    if slice_phase_rad is None:
        return SliceTiming(still, applied=False, agreement_as_measured=as_measured, agreement_corrected=None)
    corrected = _agreement(waves * np.exp(-1j * slice_phase_rad), mask)
    applied = choice == "apply" or (choice == "auto" and corrected > as_measured)
    backwards = {} if choice == "ignore" else _backwards(waves, mask, slice_phase_rad)
    return SliceTiming(slice_phase_rad if applied else still, applied, as_measured, corrected, backwards)


def _backwards(
    waves: NDArray[np.complex128], mask: NDArray[np.bool_], slice_phase_rad: NDArray[np.float64]
) -> dict[int, tuple[float, float]]:
    """Return agreements, reversed and else, of the directions whose slices agree with reversed times alone.

    Slices far apart may agree so by chance, but then in every direction: one of several is named only beside another
    one that runs forward.
    """
    turns = [np.exp(1j * sign * slice_phase_rad) for sign in (1.0, 0.0, -1.0)]
    agreed = [[_agreement(waves[n : n + 1] * turn, mask) for turn in turns] for n in range(len(waves))]
    found = {
        number: (reversed_, max(others))
        for number, (reversed_, *others) in enumerate(agreed)
        if reversed_ >= SLICES_AGREE and max(others) <= SLICES_DISAGREE * reversed_
    }
    forward = any(stated >= max(SLICES_AGREE, *others) for *others, stated in agreed)
    return found if forward or len(found) == len(waves) else {}


def _agreement(waves: NDArray[np.complex128], mask: NDArray[np.bool_]) -> float:
    """Return how alike neighbouring slices move, between -1 and 1; 1 for a single slice."""
    both = mask[..., 1:] & mask[..., :-1]
    counts = np.maximum(mask.sum(axis=(0, 1)), 1)
    centred = waves - (waves * mask).sum(axis=(1, 2), keepdims=True) / counts
    products = (centred[..., 1:] * centred[..., :-1].conj())[:, both]
    total = float(np.abs(products).sum())
    return float(products.real.sum() / total) if total > 0 else 1.0
