"""The coupling as the forecast sees it: derivatives, invariances, and what it does to a tumour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from palpate.errors import InputError
from palpate.solvers.growth.mechanics.coupling import Pressure, mechanics, middles_m
from palpate.solvers.growth.mechanics.lattice import lattice, storage_by_tissue
from palpate.solvers.growth.parameters import block
from tests.laws.operators import ROUNDING
from tests.laws.taylor import rates
from tests.solvers.growth.head import EDGES_M, PRESSURE, coupled, demand_same_on_all_ranks
from tests.solvers.growth.patient import SHAPE
from tests.solvers.growth.test_derivatives import STEPS, functional

SOLVED = 1e-10
"""Two factorisations of a system of condition 1e5 or so, relatively, with room for a larger condition."""


@pytest.mark.mpi
def test_gradient_of_the_coupled_model() -> None:
    """Taylor remainders of order two through resection, drugs, fractions and renewals: calibration relies on it."""
    who, _ = coupled(MPI.COMM_WORLD)
    kept = who.model.forecast(who.parameters, who.density, keep=True)
    weights = [who.field() for _ in kept.states]
    gradient = who.model.gradient(kept, [y + 2 * u for y, u in zip(weights, kept.states, strict=True)])
    by = who.direction()
    slope, here = gradient.dot(by, who.voxels.space), functional(kept.states, weights, who)
    remainders = [
        abs(functional(who.model.forecast(*who.moved(by, h)).states, weights, who) - here - h * slope) for h in STEPS
    ]
    np.testing.assert_allclose(rates(remainders, STEPS), 2.0, atol=0.1)


@pytest.mark.mpi
def test_coupled_tangent_is_the_gradients_transpose() -> None:
    """<J v, y> = <v, J^T y> to rounding: Gauss-Newton needs both of one scheme."""
    who, _ = coupled(MPI.COMM_WORLD)
    kept = who.model.forecast(who.parameters, who.density, keep=True)
    directions, weights = [who.direction() for _ in range(4)], [who.field() for _ in kept.states]
    # The last block leaves ln D alone, which the coupling nevertheless moves.
    still = [replace(one, log_diffusivity=np.zeros_like(who.density)) for one in directions[3:]]
    blocks = [block(directions[:3]), replace(block(still), log_diffusivity=None)]
    states, changes = who.model.tangents(who.parameters, who.density, blocks)
    for one, other in zip(states, kept.states, strict=True):
        np.testing.assert_array_equal(one, other)
    space, gradient = who.voxels.space, who.model.gradient(kept, weights)
    for column, by in enumerate([*directions[:3], *still]):
        pairs = [(change[:, column], y) for change, y in zip(changes, weights, strict=True)]
        forward = space.halo.summed(sum(float(change @ y) for change, y in pairs))
        sizes = space.halo.summed(sum(float(np.abs(change) @ np.abs(y)) for change, y in pairs))
        assert abs(forward - gradient.dot(by, space)) <= ROUNDING * sizes


def test_the_coupling_alone() -> None:
    """Its own Taylor and dot-product tests: in the model's gradient a small part could hide."""
    who, elastic_system = coupled(MPI.COMM_SELF)
    u, changes, y = who.density, np.stack([who.field(), who.field()], axis=1), who.field()
    for v, tangent in zip(changes.T, elastic_system.tangent(u, changes).T, strict=True):
        remainders = [
            float(np.abs(elastic_system.shift(u + h * v) - elastic_system.shift(u) - h * tangent).max())
            for h in STEPS[1:]
        ]
        np.testing.assert_allclose(rates(remainders, STEPS[1:]), 2.0, atol=0.1)
        assert abs(tangent @ y - v @ elastic_system.pull_back(u, y)) <= ROUNDING * float(np.abs(tangent) @ np.abs(y))


def test_no_tumour_pushes_nothing() -> None:
    """Zero exactly, with a finite derivative, though von Mises stress has a cusp there."""
    who, elastic_system = coupled(MPI.COMM_SELF)
    nothing = np.zeros_like(who.density)
    assert not elastic_system.shift(nothing).any()
    assert elastic_system.mass_effect(nothing).largest_m == 0.0
    assert not elastic_system.tangent(nothing, who.density[:, None]).any()


def test_only_the_ratio_of_push_to_stiffness_moves() -> None:
    """G and lambda times s leave w as it is; the scale is a factor of G; stresses do not know it."""
    who, elastic_system = coupled(MPI.COMM_SELF)
    there = elastic_system.mass_effect(who.density)
    assert there.largest_m > 0.0
    _, both = coupled(MPI.COMM_SELF, 3.0, replace(PRESSURE, growth_pa=3.0 * PRESSURE.growth_pa))
    moved = both.mass_effect(who.density).displacement_m
    np.testing.assert_allclose(moved, there.displacement_m, rtol=0, atol=SOLVED * there.largest_m)
    _, stiff = coupled(MPI.COMM_SELF, 3.0)
    scaled = replace(elastic_system, pressure=replace(PRESSURE, scale=3.0))
    for one in (stiff, scaled):
        effect = one.mass_effect(who.density).displacement_m
        np.testing.assert_allclose(3.0 * effect, there.displacement_m, rtol=0, atol=SOLVED * there.largest_m)
    stress = elastic_system.stress_pa(who.density)
    np.testing.assert_allclose(stiff.stress_pa(who.density), stress, rtol=0, atol=SOLVED * stress.max())
    np.testing.assert_array_equal(scaled.stress_pa(who.density), stress)


def test_stress_slows_invasion() -> None:
    """Stress lowers D by exp(-gamma sigma_vm); with gamma = 0 the forecast is that without mechanics."""
    who, elastic_system = coupled(MPI.COMM_SELF)
    shift = elastic_system.shift(who.density)
    np.testing.assert_allclose(shift, -PRESSURE.slowing_1_pa * elastic_system.stress_pa(who.density))
    assert shift.max() <= 0.0
    assert shift.min() < -0.1
    free = replace(elastic_system, pressure=replace(PRESSURE, slowing_1_pa=0.0), every_s=1e9)
    bare = replace(who.model, coupling=None).forecast(who.parameters, who.density).states[-1]
    without = replace(who.model, coupling=free).forecast(who.parameters, who.density).states[-1]
    np.testing.assert_array_equal(without, bare)


@pytest.mark.mpi
def test_ranks() -> None:
    """The elastic system lives on one rank, densities on all: a cluster must say what a laptop says."""
    demand_same_on_all_ranks(coupled, SOLVED)


def test_what_is_no_mechanics() -> None:
    """Each mistake is said before anything is computed."""
    who, elastic_system = coupled(MPI.COMM_SELF)
    skull, uniform = np.ones(SHAPE, dtype=np.bool_), np.full(SHAPE, 2000.0)
    space, at = who.voxels.space, middles_m(who.voxels, EDGES_M)
    for bad in (0.5, 0.0, np.nan):
        with pytest.raises(InputError, match="Poisson"):
            mechanics(space, at, elastic_system.lattice, PRESSURE, poisson=bad)
    with pytest.raises(InputError, match="renewal"):
        mechanics(space, at, elastic_system.lattice, PRESSURE, every_s=0.0)
    with pytest.raises(InputError, match="boxes of the elastic lattice away"):
        mechanics(space, at + 1.0, elastic_system.lattice, PRESSURE)
    with pytest.raises(InputError, match="lambda"):
        Pressure(-1.0, 1e-3)
    with pytest.raises(InputError, match="scale"):
        Pressure(1.0, 1e-3, 0.0)
    with pytest.raises(InputError, match="half inside"):
        lattice(~skull, EDGES_M, uniform)
    with pytest.raises(InputError, match="1 voxels inside"):
        lattice(skull, EDGES_M, np.where(np.arange(skull.size).reshape(SHAPE) == 5, np.nan, uniform))
    with pytest.raises(InputError, match="label 2"):
        storage_by_tissue(None, np.full(SHAPE, 2), {1: 2378.0})


def test_stiffness_without_elastography() -> None:
    """A measured voxel keeps its value, another has its tissue's."""
    measured = np.full((2, 1, 1), np.nan)
    measured[0] = 1800.0
    filled = storage_by_tissue(measured, np.full((2, 1, 1), 1), {1: 2603.0})
    np.testing.assert_array_equal(filled.ravel(), [1800.0, 2603.0])
    np.testing.assert_array_equal(storage_by_tissue(None, np.ones((1, 1, 2), dtype=int), {1: 5.0}), [[[5.0, 5.0]]])


@pytest.mark.mpi
def test_stress_follows_a_changed_stiffness() -> None:
    """Against systems factorised anew, Taylor remainders of order two: an interval of stiffness reaches growth by it.

    Along three fields at a time, so that pairs and the odd one out are both tried.
    """
    who, elastic_system = coupled(MPI.COMM_WORLD)
    rng = np.random.default_rng(4)
    fields = rng.normal(size=(len(elastic_system.lattice.corners), 3))
    here, by = elastic_system.stress_by_stiffness_pa(who.density, fields)
    np.testing.assert_allclose(here, elastic_system.stress_pa(who.density), rtol=1e-12)
    along = rng.normal(size=3)
    space, remainders = who.voxels.space, []
    for step in STEPS[1:]:
        moduli = elastic_system.lattice.storage_pa * np.exp(step * fields @ along)
        boxes = replace(elastic_system.lattice, storage_pa=moduli)
        moved = mechanics(space, middles_m(who.voxels, EDGES_M), boxes, PRESSURE).stress_pa(who.density)
        rest = np.abs(moved - here - step * by @ along).max()
        remainders.append(max(who.voxels.space.halo.comm.allgather(float(rest))))
    np.testing.assert_allclose(rates(remainders, STEPS[1:]), 2.0, atol=0.1)
