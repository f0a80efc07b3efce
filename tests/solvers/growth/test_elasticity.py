"""The elastic solver against solutions that were made up first."""

from __future__ import annotations

import dolfinx.fem.petsc
import numpy as np
import pytest
import ufl
from dolfinx import fem
from numpy.typing import NDArray

from palpate.solvers.growth.mechanics.elasticity import elasticity
from palpate.solvers.growth.mechanics.lattice import CORNERS, KUHN, BoxLattice, lattice
from tests.laws.taylor import rates

type Values = NDArray[np.float64]

BOXES = (4, 8)
STEPS = (1 / 4, 1 / 8)


def cube(boxes: int, contrast: float = 0.0) -> BoxLattice:
    """The unit cube of one voxel a box, with G' = exp(contrast x)."""
    middles = (np.arange(boxes) + 0.5) / boxes
    modulus = np.exp(contrast * middles)[:, None, None] * np.ones((boxes,) * 3)
    return lattice(np.ones((boxes,) * 3, dtype=np.bool_), np.full(3, 1 / boxes), modulus, 1 / boxes)


def bump(x: Values) -> tuple[Values, Values, Values]:
    """Returns f = (x - x^2)^2 and its first two derivatives: all that w needs to vanish at the walls."""
    return (x - x**2) ** 2, 2 * (x - x**2) * (1 - 2 * x), 2 * (1 - 2 * x) ** 2 - 4 * (x - x**2)


def swelling_error(boxes: int, poisson: float) -> float:
    """Error of w = grad phi, phi = f(x) f(y) f(z): what a density of (2 G + Lame) / lambda times its Laplacian does."""
    box = cube(boxes)
    solver, x = elasticity(box, poisson), box.points_m
    (f, df, ddf), (g, dg, ddg), (h, dh, ddh) = (bump(x[:, i]) for i in range(3))
    exact = np.stack([df * g * h, f * dg * h, f * g * dh], axis=1)
    push = (2 + 2 * poisson / (1 - 2 * poisson)) * (ddf * g * h + f * ddg * h + f * g * ddh)
    found = solver.at_corners @ solver.solve(solver.swelling @ push)[0]
    return float(np.linalg.norm(found - exact.ravel()) / np.linalg.norm(exact))


def rotation_error(boxes: int, poisson: float, contrast: float) -> float:
    """Error in L2 of w = curl (0, 0, phi) carries no pressure; the force is what G' = exp(contrast x) then needs."""
    solver = elasticity(cube(boxes, contrast), poisson)
    x = ufl.SpatialCoordinate(solver.displacements.mesh)
    phi = np.prod([(x[i] - x[i] ** 2) ** 2 for i in range(3)])
    w = ufl.as_vector([phi.dx(1), -phi.dx(0), 0 * x[0]])
    force = -ufl.div(2 * ufl.exp(contrast * x[0]) * ufl.sym(ufl.grad(w)))
    load = dolfinx.fem.petsc.assemble_vector(
        fem.form(ufl.inner(force, ufl.TestFunction(solver.displacements)) * ufl.dx(degree=8))
    )
    found = fem.Function(solver.displacements)
    found.x.array[solver.free] = solver.solve(load.getArray().real[solver.free])[0]
    return _norm(found - w) / _norm(w)


def _norm(field: ufl.core.expr.Expr) -> float:
    return float(np.sqrt(fem.assemble_scalar(fem.form(ufl.inner(field, field) * ufl.dx(degree=8))).real))


@pytest.mark.parametrize("poisson", [0.45, 0.49])
def test_swelling(poisson: float) -> None:
    """Second order, which is that of a density that is linear between corners: approached from below."""
    boxes = (4, 6, 9)
    errors = [swelling_error(count, poisson) for count in boxes]
    coarse, fine = rates(errors, [1 / count for count in boxes])
    assert coarse < fine
    np.testing.assert_allclose(fine, 2.0, atol=0.15)


def test_third_order_without_locking() -> None:
    """P2's order in L2, and at nu = 0.49 the error of nu = 0.3: a locking element would lose both."""
    errors = {nu: [rotation_error(boxes, nu, 0.0) for boxes in BOXES] for nu in (0.3, 0.49)}
    np.testing.assert_allclose([rates(some, STEPS) for some in errors.values()], 3.0, atol=0.15)
    np.testing.assert_allclose(errors[0.49], errors[0.3], rtol=0.05)


def test_stiffness_that_varies() -> None:
    """A box's mean is its modulus at the middle: what is constant in boxes is exact to second order at least."""
    errors = [rotation_error(boxes, 0.47, 1.0) for boxes in BOXES]
    assert (rates(errors, STEPS) > 1.85).all()


def test_boxes_are_filled_by_their_tetrahedra() -> None:
    """Six of equal volume, and faces that match: as many free faces as a cube's surface has triangles."""
    box = cube(2)
    at = box.points_m[box.tetrahedra]
    volumes = np.abs(np.linalg.det(at[:, 1:] - at[:, :1])) / 6.0
    np.testing.assert_allclose(volumes, 1.0 / 48.0)
    assert len(KUHN) == 6
    assert CORNERS[KUHN[:, -1]].all()
    faces = np.sort(np.concatenate([np.delete(box.tetrahedra, i, axis=1) for i in range(4)]), axis=1)
    _, times = np.unique(faces, axis=0, return_counts=True)
    assert np.count_nonzero(times == 1) == 6 * 4 * 2


def test_corners_and_points() -> None:
    """Interpolation is exact for what is linear, and cells that are spread to corners are all there."""
    rng = np.random.default_rng(3)
    box, points = cube(4), rng.random((50, 3))
    weights = box.interpolation(points)
    np.testing.assert_allclose(weights @ box.points_m, points, atol=1e-14)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-14)
    np.testing.assert_allclose(box.corner_means().sum(axis=1), 1.0, atol=1e-14)
    assert box.volumes_m3.sum() == pytest.approx(1.0)
