"""The algebraic baseline: local direct inversion in weak form, without a mesh, a prior or an iteration.

Around each voxel G* is taken as constant. Tested with divergence-free functions v_e = curl(psi e_e), e = R, A, S of the
grid, the balance of momentum loses its pressure and, psi and its first two derivatives being zero at the edge of the
window, both derivatives of the data:

    G* a_e = rho omega^2 b_e,     a_e = -integral U . Laplacian(v_e),     b_e = integral U . v_e

(this is a Helmholtz inversion of the curl, filtered by psi). Neighbouring windows are joined, weighted with b:

    G* = rho omega^2  sum w |b_e|^2 / sum w conj(b_e) a_e.

The usual least squares divides by sum |a_e|^2, where noise adds up and stiffness comes out too low; here the mean
effect of noise on |b|^2 and conj(b) a is known and is subtracted. Weighting with b also prevents soft tissue, whose
waves curve most, from dominating its neighbours. docs/decisions/0021-direct-baseline.md compares the method with a fit
of local polynomials.

Where fewer than three components were measured, each obeys a Helmholtz equation of its own, v = psi e; where slices are
few or thick, within the slices only. What pressure waves and waves through the slices add is then read as stiffness.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import prod

import numpy as np
import scipy.ndimage as ndimage
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.wavefield import WaveField
from palpate.units import hz_to_rad_s, mm_to_m

WINDOW_MM = 10.0
"""Edge of the window of psi: the odd number of voxels that is nearest, at least five."""

_LEAST_REACH = 2
"""Smallest number of voxels from the window's middle to its edge.

Three voxels along an axis do not tell a third derivative from a first: waves along it would look 20 % too stiff."""

AVERAGE_MM = 3.0
"""Standard deviation of the Gaussian weights w with which neighbouring windows are joined."""

_EXACT_DEGREE = 4
"""Degree of the polynomial displacements along each axis that are integrated exactly, where the window has enough
voxels."""

_POWER = 3
"""Exponent in psi = (1 - (x / R)^2)^3 along each axis: smooth enough for the third derivatives in a_e."""

type Orders = tuple[int, int, int]
type Term = tuple[int, Orders, float]
"""Component of U, orders of the derivative of psi along i, j, k, and sign."""


@dataclass(frozen=True, slots=True)
class DirectResult:
    """Moduli of the algebraic inversion.

    Attributes:
        storage_pa: storage modulus G', pascal, shape (i, j, k), positive; NaN outside the mask.
        loss_pa: loss modulus G'', pascal, shape (i, j, k), positive; NaN outside the mask.
        own: voxels whose own window lies wholly in tissue and gave two positive moduli, shape (i, j, k). The others use
            the waves of the nearest windows, or the median of their neighbours where a modulus came out negative.
    """

    storage_pa: NDArray[np.float64]
    loss_pa: NDArray[np.float64]
    own: NDArray[np.bool_]


def direct_inversion(field: WaveField, *, window_mm: float = WINDOW_MM, average_mm: float = AVERAGE_MM) -> DirectResult:
    """Compute the complex shear modulus by local direct inversion.

    Args:
        field: displacement, mask and, where known, noise, whose mean effect is then subtracted.
        window_mm: edge of the window of a test function, millimetres.
        average_mm: standard deviation of the weights that join neighbouring windows, millimetres.

    Raises:
        InputError: the mask is too thin for a single window, or the waves are nowhere above the noise.
    """
    edges_m = mm_to_m(field.voxel_size_mm)
    reach = _reach(field, window_mm)
    kernels = [
        [_kernel(order, r, float(edge)) for order in range(4)] if r else [np.ones(1)]
        for r, edge in zip(reach, edges_m, strict=True)
    ]
    whole = ndimage.minimum_filter(field.mask, size=[2 * r + 1 for r in reach], mode="constant", cval=False)
    if not whole.any():
        raise InputError(
            "mask",
            found="tissue too thin for any window of a local inversion",
            expected=f"tissue of {' x '.join(str(2 * r + 1) for r in reach)} voxels somewhere",
            advice="Check the mask, or scan more slices.",
        )
    energy, stiffness = _moments(field, kernels, whole)
    blur = average_mm / field.voxel_size_mm
    energy, stiffness = _blurred(energy, blur).real, _blurred(stiffness, blur)
    reached = field.mask & (_blurred(whole.astype(np.float64), blur).real > 0.0)
    usable = reached & (energy > 0.0) & (stiffness != 0.0)
    modulus = np.full(field.mask.shape, np.nan, dtype=np.complex128)
    inertia = field.density_kg_m3 * hz_to_rad_s(field.frequency_hz) ** 2
    modulus[usable] = inertia * energy[usable] / stiffness[usable]
    own = whole & (modulus.real > 0.0) & (modulus.imag > 0.0)
    return DirectResult(filled_positive(modulus.real, field.mask), filled_positive(modulus.imag, field.mask), own)


def _reach(field: WaveField, window_mm: float) -> list[int]:
    """Return voxels from the window's middle to its edge along each axis; a thin slab narrows the window."""
    fits = [int(extent) // 2 for extent in np.ptp(np.argwhere(field.mask), axis=0)]
    wanted = [round((window_mm / float(edge) - 1.0) / 2.0) for edge in field.voxel_size_mm]
    found = [max(_LEAST_REACH, min(reach, limit)) for reach, limit in zip(wanted, fits, strict=True)]
    return [*found[:2], 0] if _in_plane(field) else found


def _in_plane(field: WaveField) -> bool:
    """Whether derivatives through the slices are left out, as in exams of thick slices or of few components and slices.

    Elsewhere tissue so thin is refused.
    """
    thick = bool(field.voxel_size_mm[2] > WINDOW_MM / 2.0)
    few = int(np.ptp(np.argwhere(field.mask)[:, 2])) < 2 * _LEAST_REACH
    return (thick or field.directions is not None) and (thick or few)


def _kernel(order: int, reach: int, edge_m: float) -> NDArray[np.float64]:
    """Return weights k with sum_x k(x) u(x) = integral of psi^(order) u over the window, exactly for polynomials u.

    The sampled integrand is changed as little as the exactness demands. Positions are in units of the half width R.

    Args:
        order: order of the derivative of psi.
        reach: the window has 2 reach + 1 voxels; R = (reach + 1/2) edge.
        edge_m: the voxel's edge.
    """
    half_width_m = (reach + 0.5) * edge_m
    position = np.arange(-reach, reach + 1) / (reach + 0.5)
    bump = polynomial.polyder(polynomial.polypow([1.0, 0.0, -1.0], _POWER), order)
    degree = min(_EXACT_DEGREE, 2 * reach)
    points, weights = np.polynomial.legendre.leggauss(_POWER + _EXACT_DEGREE)
    moments = (weights * polynomial.polyval(points, bump)) @ polynomial.polyvander(points, degree)
    sampled = polynomial.polyval(position, bump) / (reach + 0.5)
    powers = polynomial.polyvander(position, degree)
    corrected = sampled + np.linalg.pinv(powers.T) @ (moments - sampled @ powers)
    return np.asarray(corrected * half_width_m ** (1 - order))


def _tests(field: WaveField) -> list[tuple[list[Term], list[Term]]]:
    """Test functions of the field: curls, or psi along each component where curls are not to be had."""
    if field.directions is None and not _in_plane(field):
        return [_test_terms(direction) for direction in range(3)]
    axes = range(2) if _in_plane(field) else range(3)
    return [
        ([(one, (0, 0, 0), 1.0)], [(one, _plus((0, 0, 0), axis), -1.0) for axis in axes])
        for one in range(field.displacement_m.shape[-1])
    ]


def _test_terms(direction: int) -> tuple[list[Term], list[Term]]:
    """U . v and -U . Laplacian(v) for v = curl(psi e): curl(psi e_z) = (d_y psi, -d_x psi, 0), and cyclically."""
    first, second = (direction + 1) % 3, (direction + 2) % 3
    inertia = [(first, _orders(second), 1.0), (second, _orders(first), -1.0)]
    stiffness = [(component, _plus(orders, axis), -sign) for component, orders, sign in inertia for axis in range(3)]
    return inertia, stiffness


def _orders(axis: int) -> Orders:
    return (int(axis == 0), int(axis == 1), int(axis == 2))


def _plus(orders: Orders, axis: int) -> Orders:
    """Return two more derivatives along an axis."""
    i, j, k = (order + 2 * (axis == along) for along, order in enumerate(orders))
    return (i, j, k)


def _moments(
    field: WaveField, kernels: list[list[NDArray[np.float64]]], whole: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return sum_e |b_e|^2 and sum_e conj(b_e) a_e less the mean effect of noise, zero where no window is whole."""
    axes = field.affine_mm[:3, :3] / field.voxel_size_mm
    turned = field.displacement_m if field.directions is not None else field.displacement_m @ axes
    displacement = np.where(field.mask[..., None], turned, 0.0)
    noise = 2.0 * (field.noise_std_m or 0.0) ** 2  # E |n|^2 of one component
    energy = np.zeros(field.mask.shape)
    stiffness = np.zeros(field.mask.shape, dtype=np.complex128)
    for inertia_terms, stiffness_terms in _tests(field):
        b = _integral(displacement, inertia_terms, kernels)
        a = _integral(displacement, stiffness_terms, kernels)
        energy += np.abs(b) ** 2 - noise * _overlap(inertia_terms, inertia_terms, kernels)
        stiffness += b.conj() * a - noise * _overlap(inertia_terms, stiffness_terms, kernels)
    return np.where(whole, energy, 0.0), np.where(whole, stiffness, 0.0)


def _integral(
    displacement: NDArray[np.complex128], terms: list[Term], kernels: list[list[NDArray[np.float64]]]
) -> NDArray[np.complex128]:
    """Return the sum of the terms' integrals around every voxel."""
    total = np.zeros(displacement.shape[:3], dtype=np.complex128)
    for component, orders, sign in terms:
        part = displacement[..., component]
        for axis, order in enumerate(orders):
            part = ndimage.correlate1d(part, kernels[axis][order], axis=axis, mode="constant")
        total += sign * part
    return total


def _overlap(first: list[Term], second: list[Term], kernels: list[list[NDArray[np.float64]]]) -> float:
    """Return the sum over voxels and components of two functionals' weights, their covariance under unit noise."""
    return float(
        sum(
            sign * other_sign * prod(float(kernels[axis][m] @ kernels[axis][n]) for axis, (m, n) in enumerate(pairs))
            for (component, orders, sign), (other, other_orders, other_sign) in itertools.product(first, second)
            if component == other
            for pairs in [tuple(zip(orders, other_orders, strict=True))]
        )
    )


def _blurred[T: np.generic](values: NDArray[T], std_voxels: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return Gaussian sums over neighbours; values outside the grid count as zero."""
    return np.asarray(ndimage.gaussian_filter(values.astype(np.complex128), std_voxels, mode="constant"))


def filled_positive(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Replace values that are not positive.

    The replacement is the median of the positive values among the 27 neighbours or, without any, the nearest value.

    Args:
        values: values to fill, shape (i, j, k); NaN counts as not positive.
        mask: tissue voxels, shape (i, j, k); NaN is returned outside.

    Raises:
        InputError: no value is positive.
    """
    good = mask & (values > 0.0)
    if not good.any():
        raise InputError(
            "wave field",
            found="no voxel where a shear wave stands out from the noise",
            expected="waves that a local inversion can see",
            advice="Check the frequency, the units and the sign of the time convention.",
        )
    known = np.where(good, values, np.nan)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(known, 1, constant_values=np.nan), (3, 3, 3))
    missing = mask & ~good
    neighbours = around[missing].reshape(-1, 27)
    some = np.isfinite(neighbours).any(axis=1)
    found = np.full(len(neighbours), np.nan)
    found[some] = np.nanmedian(neighbours[some], axis=1)
    known[missing] = found
    nearest = ndimage.distance_transform_edt(~np.isfinite(known), return_distances=False, return_indices=True)
    return np.where(mask, known[tuple(nearest)], np.nan)
