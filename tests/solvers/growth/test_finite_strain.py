"""Finite strain as the forecast sees it: the laws of the small-strain coupling, and what is different."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpi4py import MPI

from palpate.config.settings import load_settings
from palpate.errors import InputError
from palpate.solvers.growth.mechanics.coupling import Pressure
from palpate.solvers.growth.mechanics.finite_strain import FiniteStrain, finite_strain
from tests.laws.operators import ROUNDING
from tests.laws.taylor import rates
from tests.solvers.growth.head import coupled, demand_same_on_all_ranks
from tests.solvers.growth.patient import Patient
from tests.solvers.growth.test_derivatives import STEPS, functional

LARGE = Pressure(growth_pa=100e3, slowing_1_pa=8e-4)
"""The densest tumour would grow to three times its volume."""
SOLVED = 1e-8
"""Two equilibria, each to forces of 1e-10, and soft directions in which a force moves a hundred times as much."""


def pushed(comm: MPI.Comm, pressure: Pressure = LARGE) -> tuple[Patient, FiniteStrain]:
    """The patient of the small-strain tests, whose tumour grows much."""
    who, small = coupled(comm, pressure=pressure)
    finite = finite_strain(small)
    return replace(who, model=replace(who.model, coupling=finite)), finite


@pytest.mark.long
@pytest.mark.mpi
def test_gradient_of_the_coupled_model() -> None:
    """Taylor remainders of order two through treatment and renewals: nothing of the nonlinear solve is left out.

    The test of the tangent covers the nonlinear solve's part of it in a sixth of the time.
    """
    who, _ = pushed(MPI.COMM_WORLD)
    kept = who.model.forecast(who.parameters, who.density, keep=True)
    weights = [who.field() for _ in kept.states]
    gradient = who.model.gradient(kept, [y + 2 * u for y, u in zip(weights, kept.states, strict=True)])
    by, steps = who.direction(), STEPS[:3]
    slope, here = gradient.dot(by, who.voxels.space), functional(kept.states, weights, who)
    remainders = [
        abs(functional(who.model.forecast(*who.moved(by, h)).states, weights, who) - here - h * slope) for h in steps
    ]
    np.testing.assert_allclose(rates(remainders, steps), 2.0, atol=0.1)


@pytest.mark.mpi
def test_tangent_and_pull_back() -> None:
    """Order two along a block of changes, the block being its columns, and <J v, y> = <v, J^T y> to rounding."""
    who, finite = pushed(MPI.COMM_WORLD)
    u, y, space = who.density, who.field(), who.voxels.space
    block = np.stack([who.field() for _ in range(3)], axis=1)
    here, tangents, pulled = finite.shift(u), finite.tangent(u, block), finite.pull_back(u, y)
    comm = space.halo.comm
    remainders = [
        comm.allreduce(float(np.abs(finite.shift(u + h * block[:, 0]) - here - h * tangents[:, 0]).max()), op=MPI.MAX)
        for h in STEPS[1:]
    ]
    np.testing.assert_allclose(rates(remainders, STEPS[1:]), 2.0, atol=0.1)
    for v, tangent in zip(block.T, tangents.T, strict=True):
        off = space.halo.summed(float(tangent @ y - v @ pulled))
        assert abs(off) <= ROUNDING * space.halo.summed(float(np.abs(tangent) @ np.abs(y)))
    alone = finite.tangent(u, block[:, 2:])
    np.testing.assert_allclose(alone, tangents[:, 2:], rtol=0, atol=ROUNDING * np.abs(here).max())


def test_small_growth_is_small_strain() -> None:
    """Shift and mass effect leave small strain by the square of lambda: the option is the same model, corrected."""
    pressures, off = (400.0, 200.0, 100.0), []
    for growth_pa in pressures:
        # The smoothing of 1 Pa would count beside stresses as small as these.
        who, small = coupled(MPI.COMM_SELF, pressure=Pressure(growth_pa, 1e-3))
        small = replace(small, smoothing_pa=1e-6)
        finite = finite_strain(small)
        moved = [one.mass_effect(who.density).displacement_m for one in (finite, small)]
        off.append(
            (np.abs(finite.shift(who.density) - small.shift(who.density)).max(), np.abs(moved[0] - moved[1]).max())
        )
    for errors in np.array(off).T:
        np.testing.assert_allclose(rates(errors, pressures), 2.0, atol=0.1)


def test_no_tumour_pushes_nothing() -> None:
    """Zero, with a finite derivative, and no Newton step that chases rounding."""
    who, finite = pushed(MPI.COMM_SELF)
    nothing = np.zeros_like(who.density)
    assert not finite.shift(nothing).any()
    assert finite.mass_effect(nothing).largest_m == 0.0
    assert np.abs(finite.tangent(nothing, who.density[:, None])).max() < ROUNDING


def test_scale_is_one_of_moduli() -> None:
    """Moduli times s are the scale s; and lambda and moduli together leave displacements as they are."""
    who, finite = pushed(MPI.COMM_SELF)
    _, stiff = coupled(MPI.COMM_SELF, 3.0, LARGE)
    scaled = replace(finite, small=replace(finite.small, pressure=replace(LARGE, scale=3.0)), latest={})
    stress, there = scaled.stress_pa(who.density), scaled.mass_effect(who.density)
    np.testing.assert_allclose(finite_strain(stiff).stress_pa(who.density), stress, rtol=0, atol=SOLVED * stress.max())
    both = replace(scaled, small=replace(scaled.small, pressure=replace(LARGE, growth_pa=300e3, scale=3.0)), latest={})
    moved, before = both.mass_effect(who.density), finite.mass_effect(who.density)
    np.testing.assert_allclose(moved.displacement_m, before.displacement_m, rtol=0, atol=SOLVED * before.largest_m)
    assert there.largest_m < before.largest_m


def test_finite_strain_differs_where_growth_is_large() -> None:
    """A tenth and more: else the option would not be one, or would not be switched on."""
    who, finite = pushed(MPI.COMM_SELF)
    small, found = finite.small.mass_effect(who.density).largest_m, finite.mass_effect(who.density).largest_m
    assert found < 0.9 * small


@pytest.mark.mpi
def test_ranks() -> None:
    """The nonlinear solve lives on one rank, densities on all: a cluster must say what a laptop says."""
    demand_same_on_all_ranks(pushed, SOLVED)


@pytest.mark.long
@pytest.mark.mpi
def test_all_ranks_refuse_together() -> None:
    """Without equilibrium on rank 0 the others must not wait for one."""
    who, finite = pushed(MPI.COMM_WORLD, Pressure(1e12, 1e-3))
    with pytest.raises(InputError, match=r"no equilibrium.*small strains"):
        finite.shift(who.density)


def test_the_twin_refuses_what_it_cannot_know() -> None:
    """It infers gamma lambda by stress that is proportional to it; a finite-strain twin would be one in name."""
    with pytest.raises(InputError, match="lambda and the stiffness at rest"):
        load_settings({"sessions": "sessions.tsv", "results": "results", "twin": {"strain": "finite"}})
    with pytest.raises(InputError, match="'small' or 'finite'"):
        load_settings(
            {"sessions": "sessions.tsv", "results": "results", "phantom": {"longitudinal": {"strain": "large"}}}
        )
