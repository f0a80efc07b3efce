"""The comparators obey the laws of their equations; one with a flaw would flatter what is compared to it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import Zone, cut_zones
from palpate.solvers.comparators.direct import direct_inversion
from palpate.solvers.comparators.direct_fe import corner_interpolation, direct_fe_inversion, least_squares
from palpate.solvers.comparators.dirichlet import ForwardProblem, dirichlet_inversion
from palpate.solvers.comparators.zone_maps import ComparatorResult, ZoneProblem, map_from_zones, units_of
from palpate.solvers.inversion.zone.equilibrium import equilibrium_of
from tests.laws.taylor import gradient_remainders, rates
from tests.solvers.inversion.cases import (
    INERTIA,
    LOSS,
    UNIT_VOXEL,
    box,
    consistent,
    homogeneous,
    plane_wave_data,
    shear_waves,
    varied,
)
from tests.solvers.inversion.tetrahedra import (
    BACKGROUND_PA,
    DENSITY_KG_M3,
    FREQUENCY_HZ,
    VOXEL_M,
    scanned,
    wave_through,
)

ZONE = box(5, 7, 5)


def _problem(zone: Zone, displacement: NDArray[np.complex128]) -> ZoneProblem:
    return ZoneProblem(zone, displacement, equilibrium_of(zone, UNIT_VOXEL, INERTIA, trilinear=True))


def _exact_waves(edge_mm: float, cells: int = 4) -> WaveField:
    """Plane shear waves in uniform tissue, exact at the voxels, on a box of so many cells along an edge."""
    shape = (2 * cells + 1,) * 3
    places_m = np.argwhere(np.ones(shape, dtype=bool)) * edge_mm * 1e-3
    k = complex(2 * np.pi * FREQUENCY_HZ * np.sqrt(DENSITY_KG_M3 / BACKGROUND_PA))
    return WaveField(
        displacement_m=1e-5 * shear_waves(places_m, k).reshape(*shape, 3),
        mask=np.ones(shape, dtype=bool),
        affine_mm=np.diag([edge_mm, edge_mm, edge_mm, 1.0]),
        frequency_hz=FREQUENCY_HZ,
        noise_std_m=None,
        density_kg_m3=DENSITY_KG_M3,
        label="sub-box",
    )


def _zones(field: WaveField, width: int, stride: int) -> list[Zone]:
    return cut_zones(field.mask, width_voxels=(width,) * 3, stride_voxels=(stride,) * 3)


def _modulus(result: ComparatorResult) -> NDArray[np.complex128]:
    return np.asarray(result.storage_pa + 1j * result.loss_pa)


# Zones


def test_zones_that_agree_leave_no_seam() -> None:
    """Overlapping zones that all found the same modulus must give exactly it, at every voxel."""
    field = _exact_waves(2.0, cells=6)
    units, zones = units_of(field), _zones(field, 7, 3)
    storage, loss, own = map_from_zones(field, zones, units, lambda p: np.full(len(p.zone.voxels), 1.0 + 0.5j))
    np.testing.assert_allclose(storage, units.scales.modulus_pa, rtol=1e-12)
    np.testing.assert_allclose(loss, 0.5 * units.scales.modulus_pa, rtol=1e-12)
    assert own.all()


# Heterogeneous direct inversion


def test_corner_interpolation_is_trilinear() -> None:
    """Exact for 1, x, y, z and their products, also where cells are missing: else G* would jump between cells."""
    mask = np.ones((7, 5, 7), dtype=bool)
    mask[:2, :, :2] = False
    (zone,) = cut_zones(mask, width_voxels=mask.shape, stride_voxels=mask.shape)
    interpolation = corner_interpolation(zone.cells, len(zone.voxels))
    at_corner = np.flatnonzero((zone.ijk % 2 == 0).all(axis=1))
    for powers in itertools.product((0, 1), repeat=3):
        values = np.prod(zone.ijk.astype(float) ** powers, axis=1)
        np.testing.assert_allclose(interpolation @ values[at_corner], values, atol=1e-12)


def test_direct_fe_keeps_the_gradient_of_stiffness() -> None:
    """Waves in discrete equilibrium at a varied G* give that G* back: nothing is neglected where G* changes.

    An identity, not an accuracy: the waves obey these very equations. Pressures and G* at the box's corners are least
    determined; the bound is the pinning of 1e-10 over the smallest curvature that the waves leave, 6e-5, times six.
    """
    interpolation = corner_interpolation(ZONE.cells, len(ZONE.voxels))
    generator = np.random.default_rng(3)
    corners = 1.0 + 0.3j + 0.3 * (generator.uniform(-1, 1, (2, interpolation.shape[1])).T @ [1.0, 0.5j])
    modulus = interpolation @ corners
    rough = plane_wave_data(ZONE, noise=0.0, tolerance=0.0)
    equations = equilibrium_of(ZONE, rough.node_spacing, rough.inertia, trilinear=True)
    waves = consistent(rough, np.log(np.concatenate([modulus.real, modulus.imag])), equations)
    found, residual = least_squares(_problem(ZONE, waves / np.abs(waves).mean()))
    assert residual < 1e-5
    inside = ZONE.interior
    np.testing.assert_allclose(found[inside], modulus[inside], rtol=1e-5)


def test_direct_fe_is_consistent() -> None:
    """In exact waves the error falls with the square of the voxel or faster, which quadratic elements promise."""
    edges_mm = [3.0, 2.0, 4.0 / 3.0]
    errors = []
    for edge in edges_mm:
        field = _exact_waves(edge, cells=round(12.0 / edge))
        found = _modulus(direct_fe_inversion(field, _zones(field, len(field.mask), 1)))
        errors.append(float(np.median(np.abs(found / BACKGROUND_PA - 1))))
    assert (rates(errors, edges_mm) > 2).all()


def test_direct_fe_reads_noise_as_softness() -> None:
    """Noise in F(d) attenuates: without this known flaw of data put into the equation it would be another method."""
    clean = _exact_waves(2.0, cells=6)
    noisy = scanned(clean.displacement_m, 0.05, seed=1)
    found = [direct_fe_inversion(field, _zones(field, 13, 12)).storage_pa for field in (clean, noisy)]
    assert np.median(found[1]) < 0.5 * np.median(found[0])


def test_direct_fe_knows_no_amplitude() -> None:
    """Strength and phase of the actuator and the unit of displacement are not in the modulus."""
    field = scanned(_exact_waves(2.0).displacement_m, 0.02, seed=1)
    louder = replace(field, displacement_m=field.displacement_m * 3e5 * np.exp(0.7j))
    zones = _zones(field, 9, 8)
    np.testing.assert_allclose(
        _modulus(direct_fe_inversion(louder, zones)), _modulus(direct_fe_inversion(field, zones)), rtol=1e-5
    )


# Zones with exact boundary data


def test_dirichlet_gradient_is_exact() -> None:
    """The remainder falls with h^2, far from the data too: L-BFGS with a wrong gradient ends anywhere."""
    data = plane_wave_data(ZONE)
    forward = ForwardProblem(_problem(ZONE, data.displacement), noise=1.0)
    m, steps = varied(ZONE, 2), [0.04, 0.02, 0.01, 0.005]
    direction = np.random.default_rng(5).standard_normal(len(m)) / np.sqrt(len(m))
    _, gradient = forward.misfit(m)
    remainders = gradient_remainders(lambda at: forward.misfit(at)[0], gradient, m, direction, steps)
    np.testing.assert_allclose(rates(remainders, steps), 2.0, atol=0.1)


def test_dirichlet_forward_is_exact_in_uniform_tissue() -> None:
    """At the true modulus exact waves are reproduced to the elements' accuracy; noise-free data leave nothing else.

    The bound is what quadratic interpolation leaves of a wave between nodes, max |x (x^2 - 1)| / 6 (k h)^3.
    """
    data = plane_wave_data(ZONE, noise=0.0)
    mean = float(np.abs(data.displacement).mean())
    forward = ForwardProblem(_problem(ZONE, data.displacement), noise=mean)
    value, _ = forward.misfit(homogeneous(ZONE))
    wave_number = float(np.sqrt(INERTIA / abs(1 + 1j * LOSS)))
    assert np.sqrt(value / forward.expected_misfit) < wave_number**3 / np.sqrt(3.0) / 9.0


@pytest.mark.long
def test_dirichlet_finds_a_sphere() -> None:
    """Noise-free waves of another element: the stiff sphere comes out nearer to itself than to what surrounds it.

    On a logarithmic scale; and the whole map is better than the algebraic inversion from which it started.
    """
    shape = (9, 9, 9)
    centre_m = np.full(3, 4 * VOXEL_M)

    def medium(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        inside = np.linalg.norm(points_m - centre_m, axis=1) < 2.2 * VOXEL_M
        return np.where(inside, 2.0, 1.0) * BACKGROUND_PA

    field = scanned(wave_through(medium, shape, 1.7e-3), 1e-4, seed=1)
    field_truth = medium(np.argwhere(field.mask) * VOXEL_M).reshape(shape)
    found = dirichlet_inversion(field, _zones(field, 9, 7))
    algebraic = direct_inversion(field)
    sphere = field_truth.real > 1.5 * BACKGROUND_PA.real
    assert np.exp(np.log(found.storage_pa[sphere]).mean()) > np.sqrt(2.0) * BACKGROUND_PA.real
    errors = [np.abs(np.log(one.storage_pa / field_truth.real)).mean() for one in (found, algebraic)]
    assert errors[0] < errors[1]
