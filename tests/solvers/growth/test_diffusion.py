"""Diffusion alone: u_t = div(D grad u) with zero flux, on voxels, along fibres and on tetrahedra."""

from __future__ import annotations

import numpy as np
import pytest
from dolfinx import fem, mesh
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.growth.scheme.diffusion import diffusion
from palpate.solvers.growth.space.selling import decompose
from palpate.solvers.growth.space.space import GrowthSpace
from palpate.solvers.growth.space.tetrahedra import tetrahedra
from palpate.solvers.growth.space.voxels import voxels
from tests.laws.taylor import rates

type Values = NDArray[np.float64]

EXACT = 1e-9
"""Tolerance of a step where only space is studied."""


def tensors(shape: tuple[int, int, int], seed: int = 3) -> tuple[Values, Values]:
    """One strongly anisotropic tensor, 20 : 2 : 1 in an oblique frame, and the same at every voxel."""
    frame = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    one = frame @ np.diag([20.0, 2.0, 1.0]) @ frame.T / 23.0
    return one, np.broadcast_to(one, (*shape, 3, 3)).copy()


def _wave(x: Values, t: float, d: float) -> Values:
    """cos(pi x) cos(2 pi y) exp(-5 pi^2 D t): zero flux at the sides of the unit cube."""
    return np.asarray(np.cos(np.pi * x[0]) * np.cos(2 * np.pi * x[1]) * np.exp(-5 * np.pi**2 * d * t))


def test_second_order_in_space_on_voxels() -> None:
    """The eigenfunction of a box decays at its own rate, with an error of order h^2."""
    errors, edges = [], []
    for n in (16, 32, 64):
        place = voxels(np.ones((n, n, 2), dtype=bool), np.array([1 / n, 1 / n, 1 / n]))
        x = (np.indices(place.mask.shape).reshape(3, -1) + 0.5) / n
        step = diffusion(place.space, np.full(place.space.size, 0.7), EXACT)
        errors.append(float(np.abs(step.step(_wave(x, 0.0, 0.7), 0.02) - _wave(x, 0.02, 0.7)).max()))
        edges.append(1 / n)
    np.testing.assert_allclose(rates(errors, edges), 2.0, atol=0.1)


def test_second_order_where_diffusivity_varies() -> None:
    """D = exp(x), u = cos(pi x): -(D u')' = pi exp(x) (sin(pi x) + pi cos(pi x)), up to an error of order h^2."""
    errors, edges = [], []
    for n in (64, 128, 256):
        place = voxels(np.ones((n, 1, 1), dtype=bool), np.full(3, 1 / n))
        x = (np.arange(n) + 0.5) / n
        step = diffusion(place.space, np.exp(x), EXACT)
        u = np.cos(np.pi * x)
        loss = step.rate_1_s * (u - step.multiply(u))
        exact = np.pi * np.exp(x) * (np.sin(np.pi * x) + np.pi * np.cos(np.pi * x))
        errors.append(float(np.abs(loss - exact)[1:-1].max()))
        edges.append(1 / n)
    np.testing.assert_allclose(rates(errors, edges), 2.0, atol=0.1)


def test_second_order_on_tetrahedra() -> None:
    """The same eigenfunction on linear elements with lumped mass; the lattice's tetrahedra are monotone."""
    errors, edges = [], []
    for n in (6, 12, 24):
        box = mesh.create_box(MPI.COMM_SELF, [[0, 0, 0], [1, 1, 2 / n]], [n, n, 2])
        linear = fem.functionspace(box, ("Lagrange", 1))
        place = tetrahedra(linear)
        assert place.volumes_m3.sum() == pytest.approx(2 / n, rel=1e-12)
        x = linear.tabulate_dof_coordinates().T
        step = diffusion(place, np.full(place.size, 0.7), EXACT)
        wrong = step.step(_wave(x, 0.0, 0.7), 0.02) - _wave(x, 0.02, 0.7)
        errors.append(float(np.sqrt(place.volumes_m3 @ wrong**2 / place.volumes_m3.sum())))
        edges.append(1 / n)
    np.testing.assert_allclose(rates(errors, edges), 2.0, atol=0.15)


def test_second_order_in_time() -> None:
    """With the fewest weights the error of one step falls with the cube of its duration: second order for many."""
    place = voxels(np.ones((40, 1, 1), dtype=bool), np.full(3, 1.0))
    u = np.random.default_rng(0).random(40)
    exact = diffusion(place.space, np.ones(40), 1e-13)
    durations = np.array([0.08, 0.04, 0.02])
    coarse = diffusion(place.space, np.ones(40), 1.0)  # any weights that have the moments
    errors = [float(np.abs(coarse.step(u, t) - exact.step(u, t)).max()) for t in durations]
    assert (rates(errors, durations.tolist()) > 2.8).all()


@pytest.mark.parametrize("kind", ["isotropic", "fibres", "tetrahedra"])
def test_bounds_and_mass(kind: str) -> None:
    """Cells are neither made nor lost, and rough data never leave their range, however long and coarse the step."""
    rng = np.random.default_rng(5)
    place = _space(kind, rng)
    u = (rng.random(place.size) > 0.5).astype(np.float64)
    for tolerance, duration_s in ((1.0, 0.01), (1e-2, 1.0), (1e-2, 30.0)):
        after = diffusion(place, np.exp(rng.normal(size=place.size)), tolerance).step(u, duration_s)
        assert after.min() >= 0.0
        assert after.max() <= 1.0 + 1e-12
        assert place.integral_m3(after) == pytest.approx(place.integral_m3(u), rel=1e-12)


def _space(kind: str, rng: np.random.Generator) -> GrowthSpace:
    if kind == "tetrahedra":
        box = mesh.create_box(MPI.COMM_SELF, [[0, 0, 0], [6, 7, 8]], [6, 7, 8])
        place = tetrahedra(fem.functionspace(box, ("Lagrange", 1)))
    else:
        mask = rng.random((6, 7, 8)) > 0.2
        place = voxels(
            mask, np.array([1.0, 1.0, 2.0]), tensors=None if kind == "isotropic" else tensors((6, 7, 8))[1]
        ).space
    assert place.monotone
    return place


def test_selling_restores_the_tensor() -> None:
    """Weights are not negative and the steps add up to D: the promise that makes oblique fibres monotone."""
    frames = np.linalg.qr(np.random.default_rng(1).normal(size=(200, 3, 3)))[0]
    spread = 10.0 ** np.random.default_rng(2).uniform(-2, 0, size=(200, 3))
    given = np.einsum("nia,na,nja->nij", frames, spread, frames)
    weights, steps = decompose(given)
    assert weights.min() >= 0.0
    np.testing.assert_allclose(np.einsum("nk,nki,nkj->nij", weights, steps, steps), given, atol=1e-12)


def test_fibres_spread_cells_by_twice_the_tensor() -> None:
    """Second moments of a drop grow by 2 D T t, exactly: a wrong factor or frame shows at once."""
    shape = (41, 41, 41)
    one, everywhere = tensors(shape)
    edges = np.array([1.0, 1.5, 1.0])
    place = voxels(np.ones(shape, dtype=bool), edges, tensors=everywhere)
    drop = np.zeros(shape)
    drop[20, 20, 20] = 1.0
    spread = place.to_volume(diffusion(place.space, np.full(place.space.size, 2.0), 1e-12).step(drop.ravel(), 0.5))
    x = (np.indices(shape).reshape(3, -1) - 20) * edges[:, None]
    moments = np.einsum("in,jn,n->ij", x, x, spread.ravel())
    np.testing.assert_allclose(moments, 2.0 * 2.0 * 0.5 * one, atol=1e-6)  # what reached the box's sides is below this


def test_unit_tensor_is_no_tensor() -> None:
    """Both ways to conductances agree where there are no fibres."""
    mask = np.random.default_rng(4).random((5, 6, 7)) > 0.3
    edges = np.array([1.0, 2.0, 3.0])
    plain = voxels(mask, edges).space.conductances_m
    unit = voxels(mask, edges, tensors=np.broadcast_to(np.eye(3), (*mask.shape, 3, 3))).space.conductances_m
    assert abs(plain - unit).max() <= 1e-14 * abs(plain).max()


def test_degenerate_tensors() -> None:
    """A tensor without diffusion in some direction has no monotone stencil; say so instead of looping."""
    with pytest.raises(ValueError, match="positive definite"):
        decompose(np.diag([1.0, 1.0, 0.0])[None])
