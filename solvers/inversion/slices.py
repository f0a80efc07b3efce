"""Are slices off their time? What the fit leaves, against a turn of each slice's phase.

A slice taken a time t off shows the wave turned: d = U exp(i omega t), about U + i omega t U, the same in all three
components. Equilibrium joins neighbouring slices, so that turns that jump from slice to slice stay in the residual, and
a voxel that hides them in its noise does not matter where hundreds share one. With the fitted wave U and the residual r
of a slice,

    turn = Im(U^H r) / U^H U,

whose size is compared with that of Re(U^H r), as any other failure of the model changes amplitudes as well, and with
what noise alone leaves of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Wave = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class SliceTurns:
    """By how much slices' phases are off.

    Attributes:
        size_rad: root mean square of the turns that the residual shows; they were larger, as the fit follows in part.
        ratio: their mean square over that of noise or of slices' amplitudes, whichever is larger; about 1, or less,
            where slices are taken when they should be.
    """

    size_rad: float
    ratio: float


NO_TURNS = SliceTurns(0.0, 0.0)
"""Where there is nothing to tell."""


def slice_turns(wave: Wave, residual: Wave, probe: Wave, mask: NDArray[np.bool_]) -> SliceTurns:
    """Compare slices with the waves that were fitted.

    Args:
        wave: U / sigma, shape (N, 3).
        residual: (d - U) / sigma, shape (N, 3).
        probe: what is left of unit noise, shape (N, 3).
        mask: shape (i, j, k), slices along k; N voxels.
    """
    _, slices = np.unique(np.nonzero(mask)[2], return_inverse=True)
    count = int(slices.max()) + 1

    def by_slice(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.bincount(slices, one, count) for one in values.T], axis=1)

    power = by_slice(np.abs(wave) ** 2)
    along, noise = wave.conj() * residual, wave.conj() * probe
    of_noise = by_slice(noise.real) ** 2 + by_slice(noise.imag) ** 2
    seen = power.sum(axis=1)
    if not np.all(seen > 0.0):
        return NO_TURNS
    expected = 0.5 * of_noise.sum() / power.sum()
    amplitude, turn = by_slice(along.real).sum(axis=1), by_slice(along.imag).sum(axis=1)
    level = max(expected, float(np.mean(amplitude**2 / seen)))
    ratio = float(np.mean(turn**2 / seen)) / level if level > 0.0 else 0.0
    return SliceTurns(float(np.sqrt(np.mean((turn / seen) ** 2))), ratio)
