"""The small patient of these tests with stiffness, a skull and a tumour that pushes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from mpi4py import MPI

from palpate.solvers.growth.mechanics.coupling import Mechanics, Pressure, mechanics, middles_m
from palpate.solvers.growth.mechanics.finite_strain import FiniteStrain
from palpate.solvers.growth.mechanics.lattice import lattice
from palpate.units import days_to_s
from tests.solvers.growth.patient import SHAPE, Patient, patient

EDGES_M = np.array([2e-3, 2e-3, 3e-3])
PRESSURE = Pressure(growth_pa=20e3, slowing_1_pa=4e-3)


def coupled(comm: MPI.Comm, stiffer: float = 1.0, pressure: Pressure = PRESSURE) -> tuple[Patient, Mechanics]:
    """The patient, and mechanics on boxes of two voxels, renewed off the beat of treatment and observations."""
    who = patient(comm)
    rng = np.random.default_rng(11)
    skull = np.ones(SHAPE, dtype=np.bool_)
    skull[0] = skull[-1] = False  # tissue there hangs on the nearest box
    boxes = lattice(skull, EDGES_M, stiffer * 2000.0 * np.exp(0.5 * rng.normal(size=SHAPE)), 5e-3)
    place = who.voxels
    elastic_system = mechanics(place.space, middles_m(place, EDGES_M), boxes, pressure, every_s=days_to_s(2.7))
    return replace(who, model=replace(who.model, coupling=elastic_system)), elastic_system


def demand_same_on_all_ranks(
    made: Callable[[MPI.Comm], tuple[Patient, Mechanics | FiniteStrain]], solved: float
) -> None:
    """A coupling on all ranks gives what it gives on one.

    Args:
        made: the patient and the coupling on some ranks.
        solved: how far two solutions may differ, relative to the largest.
    """
    found = []
    for comm in (MPI.COMM_WORLD, MPI.COMM_SELF):
        who, elastic_system = made(comm)
        y = who.field()
        effect = elastic_system.mass_effect(who.density)
        fields = [elastic_system.shift(who.density), elastic_system.pull_back(who.density, y), *effect.displacement_m.T]
        found.append([who.voxels.to_volume(one) for one in fields])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=solved * np.abs(other).max())
