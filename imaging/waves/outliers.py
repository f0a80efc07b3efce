"""Voxels whose displacement cannot be that of their neighbours' wave: wrong turns of the phase, vessels, spikes.

A wave is smooth on the scale of a voxel. In each voxel every component is compared with a quadratic polynomial fitted
to the voxels around it, itself left out. The residual has a spread set by noise and the wave's curvature, which is
estimated robustly over all voxels that are surrounded alike, because at the organ's surface the polynomial must
extrapolate. The spread is taken no smaller than the stated noise: a smaller residual cannot harm. Beyond OUTLYING
spreads a voxel is no measurement of the wave. An outlier spoils its neighbours' polynomials, so that in each round only
the voxel with the largest residual among its neighbours is left out, or all of them where several are equal.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.robust import robust_std

OUTLYING = 7.0
"""Number of robust standard deviations beyond which a voxel is left out.

It lies above the largest in a few thousand good voxels, some 5, where waves bend most.
"""

_REACH = 5
"""Largest square of the distance of a voxel that is taken into the polynomial, voxels."""

_AROUND = np.array([step for step in product(range(-2, 3), repeat=3) if 0 < np.dot(step, step) <= _REACH])
_FOOTPRINT = np.zeros((5, 5, 5), dtype=np.bool_)
_FOOTPRINT[tuple((_AROUND + 2).T)] = True
_CLOSE = np.exp(-0.5 * np.sum(_AROUND**2, axis=1))
"""Weights of the neighbours: a polynomial holds the better, the nearer they are."""

_EQUAL = 1e-6
"""Relative difference below which two residuals are equal: in a symmetric wave rounding would choose one."""

_ROUNDED = 1e-6
"""Spread over the mean displacement below which it is rounding: wave fields are stored in single precision."""

_WORST_CONDITION = 1e4
"""Condition number above which the neighbours do not determine ten coefficients."""

_ROUNDS = 300
"""Largest number of rounds: one for each voxel of a spot as large as a polynomial's neighbourhood, and more."""

_AT_A_TIME = 20_000
"""Number of voxels whose neighbours are held in memory at a time: 20 MB."""


def outlying_voxels(field: WaveField) -> NDArray[np.bool_]:
    """Return the voxels of the mask that do not belong to their neighbours' wave, shape (N,).

    Args:
        field: wave field to check.
    """
    trusted = field.mask.copy()
    ijk = np.argwhere(field.mask)
    at = tuple(ijk.T)
    misses, surface = _misses_by_parts(field.displacement_m, trusted, ijk)
    amplitude_m = float(np.linalg.norm(field.displacement_m[field.mask], axis=-1).mean())
    least_m = max(field.noise_std_m or 0.0, _ROUNDED * amplitude_m)
    for _ in range(_ROUNDS):
        strange = np.zeros(trusted.shape)
        strange[at] = _strangeness(misses, surface, least_m)
        strange[~trusted] = 0.0
        worst = (strange > OUTLYING) & (strange >= (1.0 - _EQUAL) * ndimage.maximum_filter(strange, size=5))
        if not worst.any():
            break
        trusted &= ~worst
        # Polynomials change only around what has just gone.
        changed = ndimage.binary_dilation(worst, structure=_FOOTPRINT)[at]
        if changed.any():
            misses[changed], surface[changed] = _misses_by_parts(field.displacement_m, trusted, ijk[changed])
    return np.asarray(~trusted[field.mask])


def _strangeness(misses: NDArray[np.float64], surface: NDArray[np.bool_], least_m: float) -> NDArray[np.float64]:
    """Return the largest miss of any component over its spread, shape (N,); 0 where neighbours do not tell."""
    strange = np.zeros(len(misses))
    for group in (surface, ~surface):
        known = group & np.isfinite(misses).all(axis=1)
        if known.any():
            spread = np.maximum(robust_std(misses[known]), max(least_m, 1e-300))
            strange[known] = (np.abs(misses[known]) / spread).max(axis=1)
    return strange


def _misses_by_parts(
    displacement_m: NDArray[np.complex128], trusted: NDArray[np.bool_], ijk: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return _misses, computed for so many voxels at a time that memory suffices."""
    parts = np.array_split(ijk, max(1, -(-len(ijk) // _AT_A_TIME)))
    both = [_misses(displacement_m, trusted, part) for part in parts]
    misses, surface = (np.concatenate(side) for side in zip(*both, strict=True))
    return misses, surface


def _misses(
    displacement_m: NDArray[np.complex128], trusted: NDArray[np.bool_], ijk: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what the neighbours' polynomial misses, real and imaginary parts, and where it extrapolates.

    Returns:
        Misses, shape (N, 2 C) for C components, over their standard deviation for white noise of unit size, NaN where
        the neighbours do not determine the polynomial; and whether it lies on one side of the voxel, shape (N,).
    """
    weights = _CLOSE * _near(trusted, ijk)
    basis = _quadratics(_AROUND.astype(np.float64))
    normal = np.einsum("nv,va,vb->nab", weights, basis, basis, optimize=True)
    usable = np.linalg.cond(normal) < _WORST_CONDITION
    middle = np.zeros((int(usable.sum()), basis.shape[1], 1))
    middle[:, 0] = 1.0
    # The polynomial's value in the middle is its first coefficient, a weighted sum of the neighbours.
    share = np.einsum("va,na->nv", basis, np.linalg.solve(normal[usable], middle)[..., 0]) * weights[usable]
    gain = np.full(len(ijk), np.inf)
    gain[usable] = np.sum(share**2, axis=1)
    components = displacement_m.shape[-1]
    misses = np.full((len(ijk), 2 * components), np.nan)
    for component in range(components):
        near = _near(displacement_m[..., component], ijk[usable])
        missed = displacement_m[(*ijk[usable].T, component)] - np.sum(share * near, axis=1)
        for part, column in ((missed.real, component), (missed.imag, components + component)):
            misses[usable, column] = part / np.sqrt(1.0 + gain[usable])
    return misses, gain > 0.5


def _near[T: np.generic](values: NDArray[T], ijk: NDArray[np.int64]) -> NDArray[T]:
    """Return values at the neighbours of voxels, zero outside the grid, shape (n, v)."""
    padded = np.pad(values, 2)
    return np.asarray(padded[tuple(np.moveaxis(ijk[:, None] + 2 + _AROUND, -1, 0))])


def _quadratics(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ten monomials up to second order, 1 first, at places of shape (v, 3)."""
    x, y, z = place.T
    return np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, y * z, x * z], axis=1)
