"""Are slices off their time? What the fit leaves, against a turn of each slice's phase.

A slice taken a time t off shows the wave turned: d = U exp(i omega t), about U + i omega t U, the same in all three
components. Equilibrium joins neighbouring slices, so that turns that jump from slice to slice stay in the residual; in
a voxel noise hides them, but hundreds of voxels share one. With the fitted wave U, less its plane in each slice and
component, which drift may take for its own however far the head sways, and the residual r of a slice

    turn = Im(U^H r) / U^H U,

whose size is compared with that of Re(U^H r), as any other failure of the model changes amplitudes as well, and with
what noise alone leaves of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.waves.slice_planes import slice_planes

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


FEWEST_VOXELS = 20
"""A slice of fewer is left out: without its plane, little is left of its wave."""

FEWEST_SLICES = 3

NO_TURNS = SliceTurns(0.0, 0.0)
"""Where there is nothing to tell."""


def slice_turns(wave: Wave, residual: Wave, probe: Wave, mask: NDArray[np.bool_]) -> SliceTurns:
    """Compare slices with the waves that were fitted.

    Args:
        wave: U / sigma, with drift or without, which is planes and goes with them; shape (N, 3).
        residual: what the fit leaves, (d - U - Z c) / sigma, shape (N, 3).
        probe: what is left of unit noise, shape (N, 3).
        mask: shape (i, j, k), slices along k; N voxels.
    """
    power, along, noise = [], [], []
    for inside, terms in slice_planes(mask):
        plane = np.linalg.qr(terms)[0]
        waving = wave[inside] - plane @ (plane.T @ wave[inside])
        if len(inside) >= FEWEST_VOXELS and np.any(waving):
            power.append(float(np.sum(np.abs(waving) ** 2)))
            along.append(complex(np.vdot(waving, residual[inside])))
            noise.append(np.sum(waving.conj() * probe[inside], axis=0))
    if len(power) < FEWEST_SLICES:
        return NO_TURNS
    seen, shown = np.array(power), np.array(along)
    expected = 0.5 * float(np.sum(np.abs(np.array(noise)) ** 2) / seen.sum())
    level = max(expected, float(np.mean(shown.real**2 / seen)))
    ratio = float(np.mean(shown.imag**2 / seen)) / level if level > 0.0 else 0.0
    return SliceTurns(float(np.sqrt(np.mean((shown.imag / seen) ** 2))), ratio)
