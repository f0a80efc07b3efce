"""One component, or thick slices: the scanner's operator, the prior of the displacement, and its determinant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.config.mesh import MeshSettings
from palpate.meshing.lattice import Lattice
from palpate.meshing.refined_zones import zones_on
from palpate.meshing.zones import Refinement, Zone
from palpate.solvers.inversion.zone.equilibrium import WaveEquilibrium, equilibrium_of
from palpate.solvers.inversion.zone.likelihood import ZoneData, saddle
from palpate.solvers.inversion.zone.wave_prior import calibrated
from tests.laws.taylor import gradient_remainders, rates
from tests.solvers.inversion.cases import (
    INERTIA,
    LOSS,
    SIGNAL_TO_NOISE,
    UNIT_VOXEL,
    box,
    homogeneous,
    linearise,
    plane_wave_data,
    shear_waves,
    unit_noise,
    varied,
    wavenumber,
)

THROUGH = np.array([[0.0, 0.0, 1.0]])
"""The one component of a liver's exam, along the slices' normal."""

SLICES = Lattice(np.ones((7, 7, 3), dtype=bool), (1.0, 1.0, 4.0), (None, None, 12), (1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def zone() -> Zone:
    """One zone of three slices four times as thick as their voxels are wide."""
    (found,) = zones_on(SLICES, MeshSettings(zone_width_mm=7.0, zone_stride_mm=5.0))
    return found


OBLIQUE = np.array([[0.0, np.sin(np.radians(80.0)), np.cos(np.radians(80.0))], [0.0, 0.0, 1.0]])
"""Two components, 80 degrees apart."""


def one_component(zone: Zone, seed: int = 0, axes: NDArray[np.float64] = THROUGH) -> ZoneData:
    """Shear waves of the homogeneous medium, averaged over slices, their third component with noise of one sigma.

    Or the components along other axes.
    """
    assert zone.refinement is not None
    places = np.argwhere(SLICES.nodes) * SLICES.spacing_mm
    waves = shear_waves(places, wavenumber(INERTIA, 1.0 + 1j * LOSS))
    waves *= SIGNAL_TO_NOISE / np.linalg.norm(waves, axis=1).mean()
    seen = (zone.refinement.scanner @ waves @ axes.T).ravel()
    noise, probe = (unit_noise(zone, one)[: len(seen)] for one in (seed, seed + 1000))
    return ZoneData(
        zone=zone,
        displacement=seen + noise,
        axes=axes,
        phase_errors=sparse.csr_matrix((len(seen), 0)),
        probe=probe,
        node_spacing=UNIT_VOXEL,
        inertia=INERTIA,
        divergence_tolerance=0.3,
    )


def both_moduli(zone: Zone) -> NDArray[np.float64]:
    """Uniform changes of ln G' and of ln G'', shape (2 n, 2)."""
    return np.asarray(np.kron(np.eye(2), np.ones((len(zone.voxels), 1))))


def with_prior(plain: ZoneData) -> ZoneData:
    """The data with the prior of greatest evidence in homogeneous tissue."""
    zone = plain.zone
    found = calibrated(plain, equilibrium_of(zone, UNIT_VOXEL, INERTIA), homogeneous(zone), (1,), both_moduli(zone))
    found.fitted.close()
    return found.data


@pytest.fixture(scope="module")
def data(zone: Zone) -> ZoneData:
    """Such data with the prior of greatest evidence."""
    return with_prior(one_component(zone))


def test_operator_that_sees_everything_changes_nothing() -> None:
    """With A the identity the likelihood is that of data on the nodes, to rounding: misfit, gradient and curvature."""
    whole = plane_wave_data(box(5, 5, 5), phase_errors=0.5)
    n = len(whole.zone.voxels)
    seen = Refinement(sparse.identity(n, format="csr"), sparse.identity(n, format="csr"))
    through = replace(whole, zone=replace(whole.zone, refinement=seen))
    m, v = varied(whole.zone, 2), np.random.default_rng(3).standard_normal((2 * n, 2))
    plain, same = linearise(whole, m), linearise(through, m)
    assert same.misfit == pytest.approx(plain.misfit, rel=1e-7)
    np.testing.assert_allclose(same.gradient, plain.gradient, atol=1e-6 * np.abs(plain.gradient).max())
    np.testing.assert_allclose(same.curvature(v), plain.curvature(v), atol=1e-6 * np.abs(plain.curvature(v)).max())


@pytest.fixture(scope="module")
def pair(zone: Zone) -> ZoneData:
    """Data of two components with the prior of greatest evidence."""
    return with_prior(one_component(zone, axes=OBLIQUE))


@pytest.mark.parametrize("which", ["data", "pair"])
def test_gradient_is_exact_with_missing_components(which: str, request: pytest.FixtureRequest) -> None:
    """The remainder of half the misfit falls with the square of the step, through operator, prior and pooled moduli.

    Two components need no right angle: each datum is the displacement along its own direction.
    """
    given: ZoneData = request.getfixturevalue(which)
    m, steps = varied(given.zone, 2), [0.04, 0.02, 0.01, 0.005]
    gradient = linearise(given, m).gradient
    direction = np.random.default_rng(3).standard_normal(len(m))
    remainders = gradient_remainders(lambda x: 0.5 * linearise(given, x).misfit, gradient, m, direction, steps)
    assert np.all(rates(remainders, steps) > 1.9), remainders


def test_two_components_turned_in_their_plane_say_the_same(pair: ZoneData) -> None:
    """White noise has no axes: two components at right angles, and both turned in their plane, are one measurement."""
    m, turn = varied(pair.zone, 2), np.array([[0.8, 0.6], [-0.6, 0.8]])
    square = replace(pair, axes=np.eye(3)[1:])
    turned = replace(
        square,
        axes=turn @ square.axes,
        displacement=(square.displacement.reshape(-1, 2) @ turn.T).ravel(),
        probe=(square.probe.reshape(-1, 2) @ turn.T).ravel(),
    )
    one, other = linearise(square, m), linearise(turned, m)
    assert other.misfit == pytest.approx(one.misfit, rel=1e-7)
    np.testing.assert_allclose(other.gradient, one.gradient, atol=1e-6 * np.abs(one.gradient).max())


@pytest.mark.long
def test_slope_is_that_of_the_determinant(data: ZoneData) -> None:
    """The gradient from drawn data agrees with differences of the exact log-determinant, within its own chance.

    Without it stiffness would be drawn to where the equations leave the wave most freedom.
    """
    assert data.wave_prior is not None
    plain = replace(data, wave_prior=None)
    equilibrium = equilibrium_of(data.zone, UNIT_VOXEL, INERTIA)
    known, uniform = replace(plain, wave_prior=data.wave_prior), homogeneous(data.zone)
    slopes = [_slope(known, equilibrium, uniform, seed).reshape(2, -1).sum(axis=1) for seed in range(8)]
    mean, error = np.mean(slopes, axis=0), np.std(slopes, axis=0, ddof=1) / np.sqrt(len(slopes))
    step = 0.05
    for field in range(2):
        change = np.zeros((2, len(data.zone.voxels)))
        change[field] = step
        ends = [_log_determinant(data, homogeneous(data.zone) + sign * change.ravel()) for sign in (1, -1)]
        exact = (ends[0] - ends[1]) / (2.0 * step)
        assert abs(mean[field] - exact) < 4.0 * error[field] + 0.02 * abs(exact)


def _slope(data: ZoneData, equilibrium: WaveEquilibrium, m: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Gradient of the determinant by one seed's drawn data, shape (2 n,)."""
    found = calibrated(data, equilibrium, m, (seed,), both_moduli(data.zone))
    found.fitted.close()
    return found.prior.slope


def _log_determinant(data: ZoneData, m: NDArray[np.float64]) -> float:
    """Ln det S of the data's covariance, by the saddle-point matrices with and without data."""
    equilibrium = equilibrium_of(data.zone, UNIT_VOXEL, INERTIA)
    storage, loss = np.exp(data.at_nodes(m.reshape(2, -1)))
    momentum = equilibrium.momentum(storage + 1j * loss)
    unseen = replace(data, zone=replace(data.zone, weight=np.zeros_like(data.zone.weight)))
    with_data, without = (np.linalg.slogdet(saddle(one, equilibrium, momentum).toarray())[1] for one in (data, unseen))
    return float(with_data - without)


@pytest.mark.long
def test_scale_is_that_of_greatest_evidence(data: ZoneData) -> None:
    """Twice and half the prior's precision explain the data less well: the fixed point has found the best."""
    prior, m = data.wave_prior, homogeneous(data.zone)
    assert prior is not None
    found = []
    for factor in (0.5, 1.0, 2.0):
        plain = replace(prior, precision=factor * prior.precision, slope=np.zeros_like(prior.slope), offset=0.0)
        one = replace(data, wave_prior=plain)
        found.append(0.5 * linearise(one, m).misfit + _log_determinant(one, m))
    assert found[1] < min(found[0], found[2])


@pytest.mark.parametrize("faintness", [1.0, 60.0])
def test_information_is_no_larger_than_the_curvature(zone: Zone, faintness: float) -> None:
    """Data of a clear wave hold nearly what the Gauss-Newton Hessian says; of one as small as the noise, less."""
    clear = one_component(zone)
    noise = clear.displacement - one_component(zone, 1).displacement  # of two noises
    faint = replace(clear, displacement=clear.displacement / faintness + (faintness > 1.0) * noise / np.sqrt(2.0))
    equilibrium = equilibrium_of(zone, UNIT_VOXEL, INERTIA)
    found = calibrated(faint, equilibrium, homogeneous(zone), (1,), both_moduli(zone))
    found.fitted.close()
    assert (found.information_share > 0.6) == (faintness == 1.0)


def test_intervals_of_uniform_tissue_hold_from_one_component(zone: Zone) -> None:
    """Uniform moduli fitted to one component: the error over its standard deviation is of unit size over many noises.

    It is what a flat prior of the displacement cannot do: it leaves the modulus open.
    """
    equilibrium, truth = equilibrium_of(zone, UNIT_VOXEL, INERTIA), homogeneous(zone)
    n = len(zone.voxels)
    uniform = np.zeros((2 * n, 2))
    uniform[:n, 0] = uniform[n:, 1] = 1.0
    errors = []
    for seed in range(12):
        found = calibrated(one_component(zone, seed), equilibrium, truth, (seed,), both_moduli(zone))
        found.fitted.close()
        here = linearise(found.data, truth)
        hessian, gradient = uniform.T @ here.curvature(uniform), uniform.T @ here.gradient
        step = -np.linalg.solve(hessian, gradient)
        errors.append(step / np.sqrt(np.diag(np.linalg.inv(hessian))))
    size = np.sqrt(np.mean(np.square(errors), axis=0))
    assert np.all(size < 1.6)
    assert np.all(size > 0.4)
