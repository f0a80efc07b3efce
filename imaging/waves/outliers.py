"""Voxels whose displacement cannot be that of their neighbours' wave: wrong turns of the phase, vessels, spikes.

A wave is smooth on the scale of a voxel. In each voxel every component is compared with a quadratic polynomial fitted
to the voxels around it, itself left out. The residual has a spread set by noise and the wave's curvature, which is
estimated robustly over all voxels that are surrounded alike, because at the organ's surface the polynomial must
extrapolate. The spread is taken no smaller than the stated noise: a smaller residual cannot harm. Beyond OUTLYING
spreads a voxel is no measurement of the wave. An outlier spoils its neighbours' polynomials, so that in each round only
the voxel with the largest residual among its neighbours is left out, or all of them where several are equal.

Slices too thick for the wave are no neighbours of each other: a wave of 29 mm is no quadratic over five slices of
10 mm, and misses at a border would be its own curvature. There polynomials are those of each slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations_with_replacement, product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.inversion_grid import longest_edge_mm
from palpate.imaging.waves.robust import robust_std

OUTLYING = 7.0
"""Number of robust standard deviations beyond which a voxel is left out.

It lies above the largest in a few thousand good voxels, some 5, where waves bend most.
"""

_REACH = 5
"""Largest square of the distance of a voxel that is taken into the polynomial, voxels."""

_EQUAL = 1e-6
"""Relative difference below which two residuals are equal: in a symmetric wave rounding would choose one."""

_ROUNDED = 1e-6
"""Spread over the mean displacement below which it is rounding: wave fields are stored in single precision."""

_WORST_CONDITION = 1e4
"""Condition number above which the neighbours do not determine the coefficients."""

_ROUNDS = 300
"""Largest number of rounds: one for each voxel of a spot as large as a polynomial's neighbourhood, and more."""

_AT_A_TIME = 20_000
"""Number of voxels whose neighbours are held in memory at a time: 20 MB."""


@dataclass(frozen=True)
class _Neighbourhood:
    """Voxels around a voxel, and the polynomials over them.

    Attributes:
        axes: axes along which neighbours lie, of 0, 1 and 2.
    """

    axes: tuple[int, ...]

    @cached_property
    def around(self) -> NDArray[np.int64]:
        """Steps to the neighbours, voxels, shape (v, 3)."""
        spans = [range(-2, 3) if axis in self.axes else (0,) for axis in range(3)]
        return np.array([step for step in product(*spans) if 0 < np.dot(step, step) <= _REACH])

    @cached_property
    def close(self) -> NDArray[np.float64]:
        """Weights of the neighbours, shape (v,): a polynomial holds the better, the nearer they are."""
        return np.asarray(np.exp(-0.5 * np.sum(self.around**2, axis=1)))

    @cached_property
    def basis(self) -> NDArray[np.float64]:
        """Monomials up to second order at the neighbours, 1 first, shape (v, a)."""
        along = [self.around[:, axis].astype(np.float64) for axis in self.axes]
        squares = [x * y for x, y in combinations_with_replacement(along, 2)]
        return np.stack([np.ones(len(self.around)), *along, *squares], axis=1)

    @cached_property
    def footprint(self) -> NDArray[np.bool_]:
        """The neighbours in a box of five voxels, shape (5, 5, 5)."""
        found = np.zeros((5, 5, 5), dtype=np.bool_)
        found[tuple((self.around + 2).T)] = True
        return found

    def near[T: np.generic](self, values: NDArray[T], ijk: NDArray[np.int64]) -> NDArray[T]:
        """Return values at the neighbours of voxels, zero outside the grid, shape (n, v)."""
        padded = np.pad(values, 2)
        return np.asarray(padded[tuple(np.moveaxis(ijk[:, None] + 2 + self.around, -1, 0))])


@lru_cache(maxsize=4)
def _neighbourhood(apart: int | None) -> _Neighbourhood:
    """Return the neighbourhood without an axis along which voxels are too far apart."""
    return _Neighbourhood(tuple(axis for axis in range(3) if axis != apart))


def _axis_apart(field: WaveField) -> int | None:
    """Axis along which voxels are too long for the wave; None where the longest are short enough."""
    axis = int(np.argmax(field.voxel_size_mm))
    return axis if field.voxel_size_mm[axis] > longest_edge_mm(field.frequency_hz) else None


def outlying_voxels(field: WaveField) -> NDArray[np.bool_]:
    """Return the voxels of the mask that do not belong to their neighbours' wave, shape (N,).

    Args:
        field: wave field to check.
    """
    trusted = field.mask.copy()
    ijk = np.argwhere(field.mask)
    at = tuple(ijk.T)
    of = _neighbourhood(_axis_apart(field))
    misses, surface = _misses_by_parts(field.displacement_m, trusted, ijk, of)
    amplitude_m = float(np.linalg.norm(field.displacement_m[field.mask], axis=-1).mean())
    least_m = max(field.noise_std_m or 0.0, _ROUNDED * amplitude_m)
    beside = tuple(5 if axis in of.axes else 1 for axis in range(3))
    for _ in range(_ROUNDS):
        strange = np.zeros(trusted.shape)
        strange[at] = _strangeness(misses, surface, least_m)
        strange[~trusted] = 0.0
        worst = (strange > OUTLYING) & (strange >= (1.0 - _EQUAL) * ndimage.maximum_filter(strange, size=beside))
        if not worst.any():
            break
        trusted &= ~worst
        # Polynomials change only around what has just gone.
        changed = ndimage.binary_dilation(worst, structure=of.footprint)[at]
        if changed.any():
            misses[changed], surface[changed] = _misses_by_parts(field.displacement_m, trusted, ijk[changed], of)
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
    displacement_m: NDArray[np.complex128], trusted: NDArray[np.bool_], ijk: NDArray[np.int64], of: _Neighbourhood
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return _misses, computed for so many voxels at a time that memory suffices."""
    parts = np.array_split(ijk, max(1, -(-len(ijk) // _AT_A_TIME)))
    both = [_misses(displacement_m, trusted, part, of) for part in parts]
    misses, surface = (np.concatenate(side) for side in zip(*both, strict=True))
    return misses, surface


def _misses(
    displacement_m: NDArray[np.complex128], trusted: NDArray[np.bool_], ijk: NDArray[np.int64], of: _Neighbourhood
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return what the neighbours' polynomial misses, real and imaginary parts, and where it extrapolates.

    Returns:
        Misses, shape (N, 2 C) for C components, over their standard deviation for white noise of unit size, NaN where
        the neighbours do not determine the polynomial; and whether it lies on one side of the voxel, shape (N,).
    """
    weights, basis = of.close * of.near(trusted, ijk), of.basis
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
        near = of.near(displacement_m[..., component], ijk[usable])
        missed = displacement_m[(*ijk[usable].T, component)] - np.sum(share * near, axis=1)
        for part, column in ((missed.real, component), (missed.imag, components + component)):
            misses[usable, column] = part / np.sqrt(1.0 + gain[usable])
    return misses, gain > 0.5
