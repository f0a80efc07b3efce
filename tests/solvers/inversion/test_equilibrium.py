"""The equations of a zone: symmetric, linear in G*, right for rigid motion and for waves that are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from palpate.meshing.zones import Zone, cut_zones
from palpate.solvers.inversion.zone.equilibrium import Scales, WaveEquilibrium, equilibrium_of
from palpate.solvers.inversion.zone.factorisation import Factorisation
from tests.laws.operators import ROUNDING, assert_symmetric
from tests.laws.taylor import rates
from tests.solvers.inversion.cases import INERTIA, box, shear_waves, wavenumber

UNEQUAL = np.array([1.0, 1.3, 1.7])
"""Voxel edges that mix up wherever axes are mixed up."""

type Medium = Callable[[NDArray[np.float64]], NDArray[np.complex128]]


@dataclass(frozen=True, slots=True)
class Notched:
    """A zone with its equations."""

    zone: Zone
    equations: WaveEquilibrium

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.zone.voxels)

    def stress(self, modulus: NDArray[np.complex128]) -> sparse.csr_matrix:
        """K without inertia."""
        return self.equations.momentum(modulus) - self.equations.momentum(np.zeros_like(modulus))


@pytest.fixture(scope="module")
def notched() -> Notched:
    """Unequal voxels and a mask with a missing corner, so that cells are not a full box."""
    mask = np.ones((7, 5, 7), dtype=bool)
    mask[:2, :, :2] = False
    (zone,) = cut_zones(mask, width_voxels=mask.shape, stride_voxels=mask.shape)
    return Notched(zone, equilibrium_of(zone, UNEQUAL, INERTIA))


def _complex(shape: int, seed: int) -> NDArray[np.complex128]:
    real, imaginary = np.random.default_rng(seed).standard_normal((2, shape))
    return np.asarray(real + 1j * imaginary)


def test_stiffness_is_symmetric(notched: Notched) -> None:
    """K = K^T without conjugation is reciprocity; a row that belongs to another column's node would break it."""
    interior = notched.equations.momentum(_complex(notched.nodes, 0))[:, notched.equations.rows]
    assert_symmetric(interior.toarray(), ROUNDING)


def test_sensitivity_is_the_derivative_of_the_forces(notched: Notched) -> None:
    """F dG* = (K(dG*) - K(0)) U exactly, as K is linear in G*: the gradient and every interval rest on F."""
    change, displacement = _complex(notched.nodes, 1), _complex(3 * notched.nodes, 2)
    expected = notched.stress(change) @ displacement
    found = notched.equations.sensitivity(displacement) @ change
    assert np.abs(found - expected).max() <= ROUNDING * np.abs(expected).max()


def test_rigid_motion_stresses_nothing(notched: Notched) -> None:
    """A patient who only moves or turns must not look stiff: stress and divergence of all six rigid motions vanish."""
    place = notched.zone.ijk * UNEQUAL
    stress, divergence = notched.stress(_complex(notched.nodes, 3)), notched.equations.divergence
    for axis in range(3):
        unit = np.eye(3)[axis]
        for motion in (np.tile(unit, (notched.nodes, 1)), np.cross(unit, place)):
            for matrix in (stress, divergence):
                left = np.abs(matrix @ motion.ravel()).max()
                assert left <= ROUNDING * abs(matrix).max() * np.abs(motion).max()


def test_translation_weighs_what_the_tissue_weighs() -> None:
    """Inertia of a translation at an inner node is rho omega^2 times the integral of its shape function.

    For triquadratic elements of two voxels that is, per axis, 4/3 of a voxel in the middle of a cell and 2/3 at its
    vertices (Simpson's rule): a lost density, frequency or voxel edge would show in every stiffness.
    """
    zone = box(7, 5, 5)
    equilibrium = equilibrium_of(zone, UNEQUAL, INERTIA)
    inertia = equilibrium.momentum(np.zeros(len(zone.voxels), dtype=np.complex128))
    for axis in range(3):
        force = inertia @ np.tile(np.eye(3)[axis], len(zone.voxels))
        weight = np.prod(np.where(zone.ijk[zone.interior] % 2 == 1, 4 / 3, 2 / 3) * UNEQUAL, axis=1)
        expected = -INERTIA * weight[:, None] * np.eye(3)[axis]
        assert np.abs(force.reshape(-1, 3) - expected).max() <= ROUNDING * weight.max()


def test_inertia_number_has_no_unit() -> None:
    """The number rho omega^2 h^2 / g at 1000 kg/m^3, 60 Hz, 2 mm, 3 kPa: (2 pi 60)^2 * 4e-6 / 3 by hand."""
    assert Scales(2e-3, 3000.0).inertia(1000.0, 60.0) == pytest.approx((2 * np.pi * 60.0) ** 2 * 4e-6 / 3.0)


def _oblique(place: NDArray[np.float64]) -> NDArray[np.complex128]:
    return shear_waves(place, wavenumber(0.5, 1.0 + 0.3j))


def _uniform(place: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.full(len(place), 1.0 + 0.3j)


def _layered_wave(place: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(np.exp((0.3 - 0.5j) * place[:, 2])[:, None] * np.array([1.0, 0.5j, 0.0]))


def _layered(place: NDArray[np.float64]) -> NDArray[np.complex128]:
    """(G U')' + 0.5 U = 0 for U = exp(a z), with a free constant of integration that makes G vary with z."""
    a = 0.3 - 0.5j
    return np.asarray(-0.5 / a**2 + 0.6 * np.exp(-a * place[:, 2]))


@pytest.mark.parametrize(("wave", "medium", "order"), [(_oblique, _uniform, 2), (_layered_wave, _layered, 1)])
def test_exact_waves_obey_the_equations_ever_better(wave: Medium, medium: Medium, order: int) -> None:
    """div(2 G* eps(U)) + rho omega^2 U = 0, div U = 0: oblique waves in uniform tissue, and waves in layers.

    The residual of an exact wave, in the energy norm's dual, is at most the interpolation error of triquadratic
    displacement, order 2, and where stiffness varies that of one G* a voxel, order 1, on voxels of unequal edges.
    """
    forces, leaks, counts = [], [], (3, 6)
    for cells in counts:
        zone = box(*(2 * cells + 1,) * 3)
        edges = np.array([1.0, 1.2, 0.8]) * 6.0 / (2 * cells)
        inertia = 0.5 * edges.min() ** 2
        equilibrium = equilibrium_of(zone, edges / edges.min(), inertia)
        place = zone.ijk * edges
        u = wave(place).ravel()
        force = equilibrium.momentum(medium(place)) @ u
        forces.append(_dual_norm(equilibrium, force, len(zone.voxels)) * np.sqrt(edges.min()))
        leak = equilibrium.divergence @ u
        spread = scipy.sparse.linalg.spsolve(equilibrium.pressure_mass.tocsc(), leak)
        leaks.append(float(np.sqrt(np.vdot(leak, spread).real * edges.min())))
    sizes = [1 / count for count in counts]
    assert rates(forces, sizes)[0] >= order - 0.1, forces
    assert max(leaks) < 1e-10 or rates(leaks, sizes)[0] >= 1.9, leaks  # layers move without divergence exactly


def _dual_norm(equilibrium: WaveEquilibrium, force: NDArray[np.complex128], nodes: int) -> float:
    """The supremum of f(V) / |2 eps(V)|: the size of a force in the norm of the displacements that it can cause."""
    stress = equilibrium.momentum(np.ones(nodes, dtype=np.complex128))
    stress = stress - equilibrium.momentum(np.zeros(nodes, dtype=np.complex128))
    factor = Factorisation(stress[:, equilibrium.rows].tocsr())
    size = np.vdot(force, factor.solve(force[:, None])[:, 0]).real
    factor.close()
    return float(np.sqrt(size))
