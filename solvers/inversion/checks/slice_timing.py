"""Test for slices acquired at another time than stated: residuals compared with phase errors of each slice.

A slice that was acquired a time t late shows the wave with another phase: d = U exp(i omega t), about U + i omega t U,
alike in all three components. Equilibrium couples neighbouring slices, so that phase errors that jump from slice to
slice stay in the residual; noise hides them in a single voxel, but hundreds of voxels share one. U is the fitted wave
without its plane in each slice and component, because linear phase errors may account for any plane, however far the
head sways.
With U and the residual r of a slice

    phase error = Im(U^H r) / U^H U,

whose size is compared with that of Re(U^H r), as any other failure of the model changes amplitudes as well, and with
the size of both for noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.waves.slice_planes import slice_planes

type Wave = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class SlicePhaseErrors:
    """Phase errors of slices.

    Attributes:
        size_rad: root mean square of the phase errors in the residual, radian; the true ones are larger, as the fit
            follows them in part.
        ratio: their mean square over that of noise or of slices' amplitudes, whichever is larger; about 1, or less,
            where slice times are correct.
    """

    size_rad: float
    ratio: float


FEWEST_VOXELS = 20
"""Least number of voxels of a slice that is used: in a smaller one little is left of the wave without its plane."""

FEWEST_SLICES = 3
"""Least number of slices for the test."""

NO_PHASE_ERRORS = SlicePhaseErrors(0.0, 0.0)
"""Result where there are too few slices for the test."""


def slice_phase_errors(wave: Wave, residual: Wave, probe: Wave, mask: NDArray[np.bool_]) -> SlicePhaseErrors:
    """Return the phase errors of slices relative to the fitted waves.

    Args:
        wave: fitted wave U / sigma, shape (N, 3), with linear phase errors of slices or without, as planes are removed.
        residual: residual of the fit (d - U - Z c) / sigma, shape (N, 3).
        probe: residual of unit noise, shape (N, 3).
        mask: mask of N voxels, shape (i, j, k), slices along k.
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
        return NO_PHASE_ERRORS
    seen, shown = np.array(power), np.array(along)
    expected = 0.5 * float(np.sum(np.abs(np.array(noise)) ** 2) / seen.sum())
    level = max(expected, float(np.mean(shown.real**2 / seen)))
    ratio = float(np.mean(shown.imag**2 / seen)) / level if level > 0.0 else 0.0
    return SlicePhaseErrors(float(np.sqrt(np.mean((shown.imag / seen) ** 2))), ratio)
