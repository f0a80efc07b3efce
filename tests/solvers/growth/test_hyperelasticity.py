"""The growing neo-Hookean body: what its law must do whatever the mesh, and equilibria that were made up first."""

from __future__ import annotations

import numpy as np
import pytest
import ufl
from dolfinx import fem
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.solvers.growth.mechanics.elasticity import elasticity
from palpate.solvers.growth.mechanics.equilibrium import FORCES_LIMIT, equilibrium
from palpate.solvers.growth.mechanics.hyperelasticity import Hyperelasticity, hyperelasticity
from tests.laws.taylor import rates
from tests.solvers.growth.test_elasticity import cube

type Values = NDArray[np.float64]

POISSON = 0.47
KAPPA = 2 * POISSON / (1 - 2 * POISSON) + 2 / 3
"""Bulk modulus of a shear modulus of one."""
CLOSE = 1e-12
"""Some thousand rounded products of numbers of order one."""


def body(boxes: int = 2, poisson: float = POISSON, contrast: float = 0.0) -> Hyperelasticity:
    """The unit cube with G' = exp(contrast x), in pascal."""
    return hyperelasticity(elasticity(cube(boxes, contrast), poisson))


def put(it: Hyperelasticity, displacement: Values, push: float) -> None:
    """A displacement that is linear in place, at the walls too, no pressure and a uniform push."""
    it.state.x.array[:] = 0.0
    it.state.sub(0).interpolate(lambda points: displacement @ points)
    it.state.x.array[it.pushes] = push


def gradients(it: Hyperelasticity) -> Values:
    """Forces at every degree of freedom, the walls' too."""
    return np.asarray(fem.assemble_vector(it.energy_slope).array)


def own(it: Hyperelasticity) -> Values:
    """Those by displacement and pressure: growth itself is not free to move."""
    return np.delete(gradients(it), it.pushes)


@pytest.mark.parametrize("share", [0.05, 1.5])
def test_free_growth_is_a_stretch_without_stress(share: float) -> None:
    """Growth by phi is a stretch of (1 + phi)^(1/3) without stress: the share that the small-strain load means."""
    it = body()
    put(it, ((1 + share) ** (1 / 3) - 1) * np.eye(3), share * KAPPA)
    assert np.abs(own(it)).max() < CLOSE
    assert np.abs(it.stresses()).max() < CLOSE
    assert it.least_volume_ratio() == pytest.approx(1 + share)
    put(it, np.zeros((3, 3)), share * KAPPA)
    assert np.abs(own(it)).max() > 1e-3  # held back, it pushes


def test_a_turn_of_the_frame() -> None:
    """A rotation of 70 degrees turns forces and stresses with it and strains nothing: small strain would fail this."""
    it, rng = body(), np.random.default_rng(5)
    stretch = np.eye(3) + 0.2 * rng.normal(size=(3, 3))
    angle, (x, y, z) = np.deg2rad(70.0), np.array([2.0, -1.0, 2.0]) / 3
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across
    put(it, stretch - np.eye(3), 0.3)
    here, forces = it.stresses().reshape(-1, 3, 3), gradients(it)
    put(it, turn @ stretch - np.eye(3), 0.3)
    np.testing.assert_allclose(it.stresses().reshape(-1, 3, 3), turn @ here @ turn.T, atol=CLOSE)
    nodes = fem.Function(it.elastic.displacements).x.array.size // 3
    _, places = it.state.function_space.sub(0).collapse()
    before, after = (one[np.asarray(places)].reshape(nodes, 3) for one in (forces, gradients(it)))
    np.testing.assert_allclose(after, before @ turn.T, atol=CLOSE)
    put(it, turn - np.eye(3), 0.0)
    assert np.abs(own(it)).max() < CLOSE


def test_cauchy_stress_of_a_stretch() -> None:
    """G' J_e^(-1) dev(b J^(-2/3)) by hand, for a shear and growth that is held back: it is Cauchy's stress."""
    it = body()
    deformation = np.array([[1.3, 0.4, 0.0], [0.0, 0.9, 0.0], [0.0, -0.2, 1.1]])
    put(it, deformation - np.eye(3), 0.5 * KAPPA)
    ratio = float(np.linalg.det(deformation))
    stretched = ratio ** (-2 / 3) * deformation @ deformation.T
    by_hand = 1.5 / ratio * (stretched - np.trace(stretched) / 3 * np.eye(3))
    np.testing.assert_allclose(it.stresses().reshape(-1, 3, 3), np.broadcast_to(by_hand, (48, 3, 3)), atol=CLOSE)


def test_at_rest_it_is_the_small_strain_system() -> None:
    """To rounding, with moduli that vary: the two laws have one element, one factor and one load."""
    it = body(3, contrast=1.0)
    it.place(np.zeros(len(it.unknowns)), np.zeros(len(it.pushes)))
    system, small = it.curvature()[0], it.elastic
    assert abs(system - small.system).max() <= CLOSE * abs(small.system).max()
    by_unknowns, by_push = it.stress_slopes()
    assert abs(by_unknowns[:, : len(small.free)] - small.stress).max() <= CLOSE * abs(small.stress).max()
    assert abs(by_push).max() <= CLOSE


def test_small_growth_is_small_strain() -> None:
    """Both laws differ by the square of the growth, hence relatively by the growth: the option is a correction.

    On one mesh, since the discrete systems agree and not only their limits.
    """
    it, growths = body(3, contrast=1.0), (0.02, 0.01, 0.005)
    push = KAPPA * np.random.default_rng(2).random(len(it.pushes))
    small = it.elastic.solve(it.elastic.swelling @ push)[0]
    displacement, stress = it.elastic.at_corners @ small, it.elastic.stress @ small
    found = [equilibrium(it, growth * push) for growth in growths]
    off = [np.abs(one.displacement_m.ravel() - g * displacement).max() for one, g in zip(found, growths, strict=True)]
    np.testing.assert_allclose(rates(off, growths), 2.0, atol=0.1)
    off = [np.abs(one.stress.ravel() - g * stress).max() for one, g in zip(found, growths, strict=True)]
    np.testing.assert_allclose(rates(off, growths), 2.0, atol=0.1)


def twisted_error(boxes: int, poisson: float) -> float:
    """Error in L2 of a twist by up to 69 degrees about the cube's axis, under the forces that it needs.

    Turning every circle about the axis by its own angle keeps volumes, so that the exact solution has no pressure.
    """
    it = body(boxes, poisson)
    x = ufl.SpatialCoordinate(it.elastic.displacements.mesh)
    away = [x[0] - 0.5, x[1] - 0.5]
    within = ufl.max_value(1 - 4 * (away[0] ** 2 + away[1] ** 2), 0.0)
    angle = 1.2 * within**3 * 16 * (x[2] - x[2] ** 2) ** 2
    cosine, sine = ufl.cos(angle) - 1, ufl.sin(angle)
    w = ufl.as_vector([cosine * away[0] - sine * away[1], sine * away[0] + cosine * away[1], 0 * x[0]])
    deformation = ufl.Identity(3) + ufl.grad(w)
    stress = deformation - ufl.tr(deformation.T * deformation) / 3 * ufl.inv(deformation).T
    test = ufl.TestFunction(it.elastic.displacements)
    load = fem.assemble_vector(fem.form(ufl.inner(stress, ufl.grad(test)) * ufl.dx(degree=6), dtype=np.float64))
    found = equilibrium(it, np.zeros(len(it.pushes)), load.array[it.elastic.free])
    it.place(found.unknowns, found.push)
    off, size = (
        fem.assemble_scalar(fem.form(ufl.inner(one, one) * ufl.dx(degree=6), dtype=np.float64))
        for one in (ufl.split(it.state)[0] - w, w)
    )
    return float(np.sqrt(off / size))


@pytest.mark.long
def test_third_order_at_large_strain_without_locking() -> None:
    """P2's order in L2 where turns are large, and at nu = 0.49 the error of nu = 0.45: a locking element loses both.

    2.88 between 6 and 9 boxes; with 12 it would be 3.04, in half a minute.
    """
    coarse, fine = twisted_error(6, 0.49), twisted_error(9, 0.49)
    np.testing.assert_allclose(rates([coarse, fine], [1 / 6, 1 / 9]), 3.0, atol=0.15)
    assert coarse == pytest.approx(twisted_error(6, 0.45), rel=0.02)


def test_equilibrium_is_one() -> None:
    """Growth by 2.5 in the middle: forces vanish to the tolerance, nothing is inside out, the skull stays filled."""
    it = body(4)
    push = np.where(np.all(np.abs(cube(4).points_m - 0.5) < 0.3, axis=1), 2.5 * KAPPA, 0.0)
    it.place(np.zeros(len(it.unknowns)), push)
    held = float(np.linalg.norm(it.forces()))
    found = equilibrium(it, push)
    it.place(found.unknowns, push)
    assert float(np.linalg.norm(it.forces())) <= 1.01 * FORCES_LIMIT * held
    assert 0.0 < it.least_volume_ratio() < 0.9
    ratio = ufl.det(ufl.Identity(3) + ufl.grad(ufl.split(it.state)[0]))
    volume = fem.assemble_scalar(fem.form(ratio * ufl.dx(degree=4), dtype=np.float64))
    assert volume == pytest.approx(1.0, rel=CLOSE)


def test_growth_beyond_all_bounds_is_refused() -> None:
    """A body that finds no rest says how far it got in steps, and what to try, and returns nothing unconverged."""
    it = body(3)
    push = np.where(np.linalg.norm(cube(3).points_m - [0.66, 0.33, 0.5], axis=1) < 0.35, 10.0 * KAPPA, 0.0)
    with pytest.raises(InputError, match=r"no equilibrium beyond [1-9].*small strains"):
        equilibrium(it, push)
