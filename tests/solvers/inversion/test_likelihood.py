"""The likelihood of a zone: derivatives, curvature, chance, and all that must not matter to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.meshing.zones import Zone, cut_zones
from palpate.solvers.inversion.zone.equilibrium import equilibrium_of
from palpate.solvers.inversion.zone.likelihood import PRESSURE_FREEDOM, Linearised, ZoneData
from tests.laws.chance import assert_mean_square
from tests.laws.lattice import TURNS, Turn
from tests.laws.operators import assert_positive, assert_symmetric
from tests.laws.taylor import gradient_remainders, hessian_remainders, rates
from tests.solvers.inversion.cases import (
    INERTIA,
    UNIT_VOXEL,
    box,
    consistent,
    homogeneous,
    linearise,
    plane_wave_data,
    varied,
)

ZONE = box(5, 7, 5)
SOLVER = 1e-7
"""Relative error of a misfit: the saddle-point matrix's condition (pressures are only just pinned) times rounding."""


@pytest.fixture(scope="module")
def noisy() -> ZoneData:
    """Waves with noise and phase errors, so that the residual is not small and every term of the gradient matters."""
    return plane_wave_data(ZONE, phase_errors=0.5)


@pytest.fixture(scope="module")
def exact() -> ZoneData:
    """Waves that obey the zone's own equations at varied moduli: residual zero."""
    rough = plane_wave_data(ZONE, noise=0.0, tolerance=0.0)
    return replace(rough, displacement=consistent(rough, varied(ZONE, 1)))


def _direction(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(2 * len(ZONE.voxels))


def test_gradient_is_exact(noisy: ZoneData) -> None:
    """The remainder of f = misfit / 2 falls with h^2, noise, phase errors and divergence tolerance included.

    A gradient that is right only at small residuals would stop Gauss-Newton at a biased stiffness.
    """
    equilibrium = equilibrium_of(ZONE, UNIT_VOXEL, INERTIA)
    m, steps = varied(ZONE, 2), [0.04, 0.02, 0.01, 0.005]

    def half_misfit(parameters: NDArray[np.float64]) -> float:
        return 0.5 * linearise(noisy, parameters, equilibrium).misfit

    gradient = linearise(noisy, m, equilibrium).gradient
    remainders = gradient_remainders(half_misfit, gradient, m, _direction(3), steps)
    assert np.all(rates(remainders, steps) > 1.9), remainders


def test_curvature_is_the_hessian_where_nothing_is_left(exact: ZoneData) -> None:
    """At residual zero Gauss-Newton's Hessian is the Hessian: it is what becomes the width of every interval."""
    equilibrium = equilibrium_of(ZONE, UNIT_VOXEL, INERTIA)
    m, v, steps = varied(ZONE, 1), _direction(4), [0.04, 0.02, 0.01]
    action = linearise(exact, m, equilibrium).curvature(v[:, None])[:, 0]
    remainders = hessian_remainders(lambda x: linearise(exact, x, equilibrium).gradient, action, m, v, steps)
    assert np.all(rates(remainders, steps) > 1.9), remainders
    assert remainders[-1] < 0.01 * np.linalg.norm(action)


def test_curvature_is_symmetric_and_positive(noisy: ZoneData) -> None:
    """It is a precision: a negative direction would make a variance of it that is larger than the prior's."""
    hessian = linearise(noisy, varied(ZONE, 2)).curvature(np.eye(2 * len(ZONE.voxels)))
    assert_symmetric(hessian, SOLVER)
    assert_positive(hessian, SOLVER)


def _equations(zone: Zone) -> int:
    """Independent complex equations for U: momentum and volume, less those that determine the pressures."""
    equilibrium = equilibrium_of(zone, UNIT_VOXEL, INERTIA)
    determined = np.linalg.matrix_rank(equilibrium.pressure_gradient.toarray())
    return len(equilibrium.rows) + equilibrium.divergence.shape[0] - int(determined)


def test_noise_alone_leaves_a_misfit_of_two_for_each_equation() -> None:
    """The misfit of unit noise is chi-square with two degrees of freedom (real, imaginary) for each equation.

    Noise that is too large is told from a wrong model by this number alone; with share 1 and no divergence tolerance
    it is exact.
    """
    zone = box(5, 5, 5)
    equilibrium = equilibrium_of(zone, UNIT_VOXEL, INERTIA)
    misfits = [
        linearise(plane_wave_data(zone, seed, tolerance=0.0), varied(zone, seed), equilibrium).expected_misfit
        for seed in range(30)
    ]
    equations = _equations(zone)
    assert equations == 3 * 27 + 1
    _assert_chi_square(np.array(misfits), 2 * equations)


def _assert_chi_square(values: NDArray[np.float64], freedoms: int) -> None:
    """A sum of chi-squares, as a mean square of that many normal values."""
    assert_mean_square(np.sqrt(values.sum()) * np.eye(len(values) * freedoms)[0], 1.0)


def test_at_the_truth_only_the_noise_is_left(exact: ZoneData) -> None:
    """Waves in equilibrium plus the probe leave what the probe leaves: no bias at the true moduli.

    The pin on the pressures costs at most its precision times |p|^2 < |U|^2 (pressure is below modulus times strain).
    """
    seen = replace(exact, displacement=exact.displacement + exact.probe)
    likelihood = linearise(seen, varied(ZONE, 1))
    pinned = PRESSURE_FREEDOM * float(np.sum(np.abs(seen.displacement) ** 2))
    assert likelihood.misfit == pytest.approx(likelihood.expected_misfit, abs=pinned)


def test_the_start_of_the_clock_does_not_matter(noisy: ZoneData) -> None:
    """The phase of the actuator is arbitrary: data times exp(i phi) say the same of G*."""
    m = varied(ZONE, 2)
    later = replace(noisy, displacement=np.exp(0.7j) * noisy.displacement)
    _assert_same(linearise(noisy, m), linearise(later, m))


def test_loss_tells_the_direction_of_time(exact: ZoneData) -> None:
    """Conjugate data are waves of negative G'': in a lossy medium they must fit worse, in an elastic one alike.

    The wrong sign of the time convention would otherwise pass unseen as a strange loss modulus.
    """
    lossy = varied(ZONE, 1)
    mirrored = replace(exact, displacement=exact.displacement.conj(), probe=exact.probe.conj())
    forward, backward = linearise(exact, lossy), linearise(mirrored, lossy)
    assert forward.misfit < SOLVER * np.sum(np.abs(exact.displacement) ** 2)
    assert backward.misfit > 4.0  # even in this small zone, two standard deviations of the noise
    elastic = np.where(np.arange(len(lossy)) < len(lossy) // 2, lossy, -40.0)  # G'' = e^-40
    _assert_same(linearise(exact, elastic), linearise(mirrored, elastic), gradient=False)


def test_where_the_zone_lies_does_not_matter(noisy: ZoneData) -> None:
    """Voxel (0, 0, 0) has no meaning: coordinates must not enter but as differences."""
    moved = replace(noisy, zone=replace(ZONE, ijk=ZONE.ijk + np.array([40, 3, 12])))
    _assert_same(linearise(noisy, varied(ZONE, 2)), linearise(moved, varied(ZONE, 2)))


@pytest.mark.parametrize("turn", TURNS)
def test_the_order_of_the_axes_does_not_matter(turn: Turn) -> None:
    """A sagittal and a coronal scan of one head say the same: data, voxel edges and zone are laid on another side."""
    edges = np.array([1.0, 1.3, 1.7])
    shape = tuple(np.ptp(ZONE.ijk, axis=0) + 1)
    old = replace(plane_wave_data(ZONE), node_spacing=edges)  # slices are along one axis: no phase errors here
    zone = box(*turn.lengths(np.array(shape)))

    def scalars(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([turn.scalars(part.reshape(shape)).ravel() for part in np.split(values, 2)])

    def vectors(values: NDArray[np.complex128]) -> NDArray[np.complex128]:
        return turn.vectors(values.reshape(*shape, 3)).ravel()

    new = replace(
        old,
        zone=zone,
        displacement=vectors(old.displacement),
        probe=vectors(old.probe),
        node_spacing=turn.lengths(edges),
    )
    m = varied(ZONE, 2)
    plain, turned = linearise(old, m), linearise(new, scalars(m))
    assert turned.misfit == pytest.approx(plain.misfit, rel=SOLVER)
    assert np.abs(turned.gradient - scalars(plain.gradient)).max() < SOLVER * np.abs(plain.gradient).max()
    assert np.abs(turned.residual - vectors(plain.residual)).max() < SOLVER * np.abs(plain.residual).max()


def _other_modulus(data: ZoneData, m: NDArray[np.float64]) -> tuple[ZoneData, NDArray[np.float64]]:
    return replace(data, inertia=data.inertia / 7.0), m - np.log(7.0)


def _other_length(data: ZoneData, m: NDArray[np.float64]) -> tuple[ZoneData, NDArray[np.float64]]:
    return replace(data, node_spacing=data.node_spacing / 3.0, inertia=data.inertia * 9.0), m


@pytest.mark.parametrize("scaled", [_other_modulus, _other_length])
def test_units_do_not_matter(
    scaled: Callable[[ZoneData, NDArray[np.float64]], tuple[ZoneData, NDArray[np.float64]]],
) -> None:
    """The reference modulus g and length h are for the computer: another choice gives the same likelihood.

    Only the pin on the pressures knows the scales, and it is small.
    """
    data, m = plane_wave_data(ZONE, tolerance=0.0), varied(ZONE, 2)
    other, shifted = scaled(data, m)
    assert linearise(other, shifted).misfit == pytest.approx(linearise(data, m).misfit, rel=100 * PRESSURE_FREEDOM)


def test_zones_of_a_mask_with_holes_have_every_equation_in_order() -> None:
    """A missing cell changes which nodes are inner ones; a miscounted pressure would make the matrix singular."""
    mask = np.ones((7, 7, 7), dtype=bool)
    mask[0, 0, 0] = False
    (zone,) = cut_zones(mask, width_voxels=mask.shape, stride_voxels=mask.shape)
    likelihood = linearise(plane_wave_data(zone), homogeneous(zone))
    assert np.isfinite(likelihood.misfit)
    assert np.isfinite(likelihood.gradient).all()


def _assert_same(first: Linearised, second: Linearised, *, gradient: bool = True) -> None:
    assert second.misfit == pytest.approx(first.misfit, rel=SOLVER)
    if gradient:
        assert np.abs(second.gradient - first.gradient).max() < SOLVER * np.abs(first.gradient).max()
