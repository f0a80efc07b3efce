"""The forward wave solver against exact solutions, and the symmetries that any wave must have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dolfinx
import numpy as np
import pytest
import ufl
from dolfinx import fem
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.solvers.wave import Tetrahedra, WaveProblem, WaveSolution, distribute, solve_wave

type Formula = Any
"""Numbers of numpy or expressions of UFL, or the module that has their sine."""

EDGE_M = 0.04
FREQUENCY_HZ = 50.0
DENSITY = 1000.0
pytestmark = pytest.mark.mpi

POINTS_M = np.random.default_rng(0).uniform(0.1, 0.9, (40, 3)) * EDGE_M


def cube(n: int) -> dolfinx.mesh.Mesh:
    """A cube of EDGE_M, 6 n^3 tetrahedra."""
    corners = [np.zeros(3), np.full(3, EDGE_M)]
    return dolfinx.mesh.create_box(MPI.COMM_WORLD, corners, [n, n, n], dolfinx.mesh.CellType.tetrahedron)


def modulus(x: Formula, functions: Formula = np) -> Formula:
    """A complex modulus that varies in all directions, pascal; of numpy coordinates or UFL ones."""
    wavy = functions.sin(90 * x[0]) * functions.cos(70 * x[1]) + 0.5 * functions.sin(110 * x[2])
    return 3000 + 700 * wavy + 1j * (1100 + 300 * functions.cos(80 * x[0] + 60 * x[2]))


def modulus_at(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The same, of points (n, 3)."""
    return np.asarray(modulus(points_m.T), dtype=np.complex128)


def smooth_field(x: Formula, compressible: float, functions: Formula = np) -> list[Formula]:
    """Components of a displacement: a curl, plus `compressible` times the gradient of sin(60 x) sin(50 y) cos(70 z)."""
    sin, cos = functions.sin, functions.cos
    turning = [
        -90j * cos(90 * x[2] + 1),
        70 * sin(70 * x[0]) - 50 * sin(80 * x[1]) * sin(50 * x[2]),
        -80 * cos(80 * x[1]) * cos(50 * x[2]),
    ]
    stretching = [
        60 * cos(60 * x[0]) * sin(50 * x[1]) * cos(70 * x[2]),
        50 * sin(60 * x[0]) * cos(50 * x[1]) * cos(70 * x[2]),
        -70 * sin(60 * x[0]) * sin(50 * x[1]) * sin(70 * x[2]),
    ]
    return [1e-7 * (one + compressible * other) for one, other in zip(turning, stretching, strict=True)]


def manufactured(n: int, bulk_modulus_pa: float, compressible: float) -> tuple[float, float, float]:
    """Errors of U in L2 and H1 and of p in L2, relative to |U|, |grad U| and 3 kPa |grad U|, on an n^3 cube."""
    domain = cube(n)
    exact = ufl.as_vector(smooth_field(ufl.SpatialCoordinate(domain), compressible, ufl))
    pressure = -bulk_modulus_pa * ufl.div(exact) if compressible else fem.Constant(domain, 0j)

    def force(position: Formula) -> Formula:
        stress = 2 * modulus(position, ufl) * ufl.sym(ufl.grad(exact)) - pressure * ufl.Identity(3)
        return -ufl.div(stress) - DENSITY * (2 * np.pi * FREQUENCY_HZ) ** 2 * exact

    solution = solve_wave(
        domain,
        WaveProblem(
            modulus_pa=modulus_at,
            boundary_displacement_m=lambda x: np.stack(smooth_field(x.T, compressible), axis=1),
            frequency_hz=FREQUENCY_HZ,
            density_kg_m3=DENSITY,
            bulk_modulus_pa=bulk_modulus_pa,
            body_force=force,
        ),
    )
    measure = ufl.dx(domain=domain, metadata={"quadrature_degree": 6})

    def norm(expression: Formula) -> float:
        squared = fem.assemble_scalar(fem.form(ufl.inner(expression, expression) * measure))
        return float(np.sqrt(domain.comm.allreduce(squared.real, op=MPI.SUM)))

    # With U given all around and nothing compressible, p is known only up to a constant.
    volume = domain.comm.allreduce(fem.assemble_scalar(fem.form(fem.Constant(domain, 1 + 0j) * measure)), op=MPI.SUM)
    difference = solution.pressure - pressure
    mean = domain.comm.allreduce(fem.assemble_scalar(fem.form(difference * measure)), op=MPI.SUM) / volume
    gradient = norm(ufl.grad(exact))
    return (
        norm(solution.displacement - exact) / norm(exact),
        norm(ufl.grad(solution.displacement - exact)) / gradient,
        norm(difference - fem.Constant(domain, mean)) / (3000 * gradient),
    )


def plane_wave(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Two crossing shear waves, metres."""
    first = np.exp(-1j * 150 * points_m[:, 0])[:, None] * [0, 1, 0.3j]
    second = np.exp(-1j * 120 * points_m[:, 2])[:, None] * [0.5j, 1, 0]
    return np.asarray(1e-5 * (first + second))


def solve(
    change: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda x: x,
    modulus_pa: Callable[[NDArray[np.float64]], NDArray[np.complex128]] = modulus_at,
    boundary_m: Callable[[NDArray[np.float64]], NDArray[np.complex128]] = plane_wave,
    frequency_hz: float = FREQUENCY_HZ,
    density: float = DENSITY,
    bulk_modulus_pa: float = 1e7,
) -> WaveSolution:
    """A wave in the cube after a change of its coordinates."""
    domain = cube(3)
    domain.geometry.x[:] = change(domain.geometry.x)
    return solve_wave(domain, WaveProblem(modulus_pa, boundary_m, frequency_hz, density, bulk_modulus_pa))


def relative(first: NDArray[np.complex128], second: NDArray[np.complex128]) -> float:
    """Largest difference relative to the largest value."""
    return float(np.abs(first - second).max() / np.abs(second).max())


def test_converges_at_the_rates_of_taylor_hood() -> None:
    """div(2 G* eps(U)) - grad p + rho omega^2 U + f = 0 with smooth exact U, p = -kappa div U and variable complex G*.

    Everything else rests on this: a wrong term, sign or quadrature shows as a lost rate. Theory: P2-P1 gives
    order 3 for U in L2, 2 in H1 and 2 for p.
    """
    coarse, fine = manufactured(4, 3e4, 0.05), manufactured(8, 3e4, 0.05)
    rates = np.log2(np.array(coarse) / np.array(fine))
    assert np.all(rates >= [2.8, 1.85, 1.85]), rates


def test_does_not_lock_when_tissue_becomes_incompressible() -> None:
    """For div U = 0 the exact solution does not depend on kappa; a locking element loses accuracy as kappa grows."""
    soft, hard = manufactured(4, 1e7, 0.0), manufactured(4, 2.2e9, 0.0)
    assert hard == pytest.approx(soft, rel=0.05)


def test_free_surface_is_free_of_traction() -> None:
    """U_x = cos(k z) has no shear stress at z = 0: leaving that face free must reproduce what giving it would."""
    stiffness = 3000 + 1100j
    wavenumber = 2 * np.pi * FREQUENCY_HZ * np.sqrt(DENSITY / stiffness)

    def standing(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        return np.asarray(np.cos(wavenumber * points_m[:, 2])[:, None] * np.array([1e-5, 0, 0]))

    def misleading(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Right on the given faces, wrong within the free one, so that a solver that fixes it fails."""
        inside = (np.abs(points_m[:, :2] / EDGE_M - 0.5) < 0.499).all(axis=1) & (points_m[:, 2] < 1e-9)
        return np.where(inside[:, None], 0, standing(points_m))

    problem = WaveProblem(
        modulus_pa=lambda x: np.full(len(x), stiffness),
        boundary_displacement_m=misleading,
        frequency_hz=FREQUENCY_HZ,
        traction_free=lambda x: x[:, 2] < 1e-9,
    )
    points = np.vstack([POINTS_M, POINTS_M * [1, 1, 0]])
    errors = [relative(solve_wave(cube(n), problem).at(points), standing(points)) for n in (4, 8)]
    assert np.log2(errors[0] / errors[1]) > 2.5, errors


def test_scaling_modulus_and_density_together_changes_nothing() -> None:
    """Only G* / rho enters U: the law by which stiffness is known no better than density."""
    plain = solve().at(POINTS_M)
    scaled = solve(modulus_pa=lambda x: 4 * modulus_at(x), density=4 * DENSITY, bulk_modulus_pa=4e7).at(POINTS_M)
    assert relative(scaled, plain) < 1e-8


def test_scaling_lengths_and_periods_together_changes_nothing() -> None:
    """A patient twice as large at half the frequency moves alike; a hidden length or unit would break this."""
    plain = solve().at(POINTS_M)
    large = solve(
        change=lambda x: 2 * x,
        modulus_pa=lambda x: modulus_at(x / 2),
        boundary_m=lambda x: plane_wave(x / 2),
        frequency_hz=FREQUENCY_HZ / 2,
    ).at(2 * POINTS_M)
    assert relative(large, plain) < 1e-8


def test_conjugate_modulus_gives_the_conjugate_wave() -> None:
    """The other time convention is the complex conjugate of everything; mixing conventions breaks it."""
    plain = solve().at(POINTS_M)
    other = solve(modulus_pa=lambda x: modulus_at(x).conj(), boundary_m=lambda x: plane_wave(x).conj()).at(POINTS_M)
    assert relative(other.conj(), plain) < 1e-8


def test_turning_the_patient_turns_the_wave() -> None:
    """Isotropic tissue has no preferred axis: components mixed up anywhere would show here."""
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    turn *= np.linalg.det(turn)
    plain = solve().at(POINTS_M)
    turned = solve(
        change=lambda x: x @ turn.T,
        modulus_pa=lambda x: modulus_at(x @ turn),
        boundary_m=lambda x: plane_wave(x @ turn) @ turn.T,
    ).at(POINTS_M @ turn.T)
    assert relative(turned @ turn, plain) < 1e-8


def test_points_outside_the_mesh_are_not_a_number() -> None:
    """A silent zero there would look like tissue that does not move."""
    found = solve().at(np.array([[0.5, 0.5, 0.5], [2.0, 0.5, 0.5]]) * EDGE_M)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_arrays_become_the_mesh_they_describe() -> None:
    """The phantom brings its mesh as arrays; a permuted or lost cell would change the volume."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=np.float64)
    domain = distribute(MPI.COMM_WORLD, Tetrahedra(points, np.array([[0, 1, 2, 3], [1, 2, 3, 4]])))
    volume = fem.assemble_scalar(fem.form(fem.Constant(domain, 1 + 0j) * ufl.dx(domain=domain)))
    assert domain.comm.allreduce(volume.real) == pytest.approx(1 / 6 + 1 / 3)


def test_an_unusable_modulus_is_refused() -> None:
    """A NaN in a map must not come out as a wave."""
    with pytest.raises(InputError, match="moduli"):
        solve(modulus_pa=lambda x: np.full(len(x), np.nan + 0j))


@pytest.mark.parametrize("field", ["frequency_hz", "density_kg_m3", "bulk_modulus_pa"])
def test_numbers_without_meaning_are_refused(field: str) -> None:
    """Valid at birth: a zero frequency would silently give a static problem."""
    with pytest.raises(ValueError, match=field):
        WaveProblem(modulus_at, plane_wave, **{"frequency_hz": 50.0, field: 0.0})


@pytest.mark.parametrize(("travel", "polarisation"), [(0, 1), (1, 0), (1, 2)])
def test_fibres_speed_up_what_shears_them(travel: int, polarisation: int) -> None:
    """Plane waves that travel or swing along the fibres (x) obey G_0 (1 + phi), those across both G_0.

    Exact in uniform tissue; a wrong factor in the anisotropic stress, or of its isotropic part, would make the truth of
    the benchmark of misspecified models wrong. Third order, as for isotropic tissue.
    """
    isotropic, phi = 3000 + 1100j, 0.4
    stiffness = isotropic / (1 + 0.4 * phi) * (1 + phi if 0 in (travel, polarisation) else 1)
    wavenumber = 2 * np.pi * FREQUENCY_HZ * np.sqrt(DENSITY / stiffness)

    def wave(points_m: NDArray[np.float64]) -> NDArray[np.complex128]:
        return np.asarray(1e-5 * np.exp(-1j * wavenumber * points_m[:, travel])[:, None] * np.eye(3)[polarisation])

    problem = WaveProblem(
        modulus_pa=lambda x: np.full(len(x), isotropic),
        boundary_displacement_m=wave,
        frequency_hz=FREQUENCY_HZ,
        anisotropy=lambda x: np.full(len(x), phi),
        fibres=(1.0, 0.0, 0.0),
    )
    errors = [relative(solve_wave(cube(n), problem).at(POINTS_M), wave(POINTS_M)) for n in (4, 8)]
    assert np.log2(errors[0] / errors[1]) > 2.5, errors
