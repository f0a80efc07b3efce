"""Slowing of invasion by pressure: D = D_0 exp(-gamma sigma_vm), with the stress that the tumour's own growth exerts.

The elastic system is on rank 0 and the others wait for it; densities are sent to it, and stresses are returned, at the
corners of a lattice (some thousand numbers). Tangent and transpose are of exactly this map.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

from palpate.errors import InputError
from palpate.solvers.growth.mechanics.elasticity import Elasticity, elasticity, load_by_log_modulus
from palpate.solvers.growth.mechanics.lattice import BoxLattice
from palpate.solvers.growth.space.space import GrowthSpace
from palpate.solvers.growth.space.voxels import Voxels
from palpate.units import days_to_s

type Values = NDArray[np.float64]

POISSON: Final = 0.47
"""Poisson's ratio of the head by default, without unit; brain tissue has 0.45 to 0.49."""
EVERY_S: Final = days_to_s(5.0)
"""Time after which the stress is computed anew by default, s: half of it moves a burden by 0.04 % (decision 0052)."""
SMOOTHING_PA: Final = 1.0
"""Smoothing stress s_0 in sigma_vm = sqrt(3/2 s : s + s_0^2) - s_0, which is differentiable where the stress vanishes.

It reduces stresses by at most 1 Pa, that is, by at most 1 % from 100 Pa on."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """Growth pressure of a tumour and the strength with which stress slows its invasion.

    Attributes:
        growth_pa: growth pressure lambda at a density of one, pascal.
        slowing_1_pa: slowing gamma of ln D by stress, 1/Pa.
        scale: factor s from the lattice's storage moduli to those at rest, since at 30 to 60 Hz tissue is stiffer than
            at rest. At small strain displacements are divided by it and stresses do not depend on it
            (docs/theory/growth.md).
    """

    growth_pa: float
    slowing_1_pa: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning.

        Raises:
            InputError: one is negative or not finite, or the scale is zero.
        """
        for name, text in (("growth_pa", "lambda"), ("slowing_1_pa", "gamma"), ("scale", "scale of stiffness")):
            value = getattr(self, name)
            if not (np.isfinite(value) and (value > 0.0 or (value == 0.0 and name != "scale"))):
                raise InputError(
                    f"mechanics, {text}",
                    found=f"{value:g}",
                    expected="a finite positive number" if name == "scale" else "a finite number, not negative",
                    advice="Correct the setting; lambda = 0 or gamma = 0 switches the coupling off.",
                )


@dataclass(frozen=True, slots=True)
class MassEffect:
    """Displacement of tissue by a tumour.

    Attributes:
        displacement_m: displacement w at this rank's control volumes, along the voxel axes, metres, shape (n, 3).
        largest_m: largest length of w at the lattice's corners, metres.
    """

    displacement_m: Values
    largest_m: float


@dataclass(frozen=True, slots=True)
class Mechanics:
    """Coupling (solvers.growth.coupling) by small-strain elasticity.

    Attributes:
        space: control volumes.
        lattice: lattice of boxes, the same on every rank.
        weights: trilinear interpolation from the lattice's corners to own control volumes, shape (n, c).
        elastic: factorised elastic problem, on rank 0; None elsewhere.
        pressure: lambda, gamma and the scale; may be changed with `dataclasses.replace`, the factor stays valid.
        every_s: time between renewals of D, seconds.
        smoothing_pa: smoothing stress s_0, pascal.
    """

    space: GrowthSpace
    lattice: BoxLattice
    weights: sparse.csr_matrix
    elastic: Elasticity | None
    pressure: Pressure
    every_s: float = EVERY_S
    smoothing_pa: float = SMOOTHING_PA

    def shift(self, density: Values) -> Values:
        """See Coupling: -gamma sigma_vm."""
        at_corners = self.deposited(density)
        found = None
        if self.elastic is not None:
            found = self.von_mises(self._stresses(at_corners)[0])[0]
        return self._slowing(found)

    def tangent(self, density: Values, changes: Values) -> Values:
        """See Coupling; each solve takes two densities."""
        densities = self.deposited(np.column_stack((density, changes))).T
        found = None
        if self.elastic is not None:
            stress, *moved = (one for pair in batched(densities, 2) for one in self._stresses(*pair)[: len(pair)])
            slope = self.von_mises(stress)[1]
            found = np.stack([np.sum(slope * by, axis=1) for by in moved], axis=1)
        return self._slowing(found)

    def pull_back(self, density: Values, by_shift: Values) -> Values:
        """See Coupling."""
        at_corners = self.deposited(density)
        comm = self.space.halo.comm
        by_mises = np.asarray(comm.allreduce(-self.pressure.slowing_1_pa * (self.weights.T @ by_shift)))
        found = None
        if self.elastic is not None:
            by_tetrahedra = self.lattice.corner_means().T @ by_mises
            by_stress = self.von_mises(self._stresses(at_corners)[0])[1] * by_tetrahedra[:, None]
            adjoint, _ = self.elastic.solve(self.elastic.stress.T @ by_stress.ravel())
            found = self.pressure.growth_pa * (self.elastic.swelling.T @ adjoint)
        by_corners = _from_root(comm, found) / self.lattice.volumes_m3
        return np.asarray(self.space.volumes_m3 * (self.weights @ by_corners))

    def stress_pa(self, density: Values) -> Values:
        """Return the von Mises stress at own control volumes, pascal, shape (n,). Collective.

        Args:
            density: density at own control volumes, shape (n,).
        """
        at_corners = self.deposited(density)
        found = None
        if self.elastic is not None:
            found = self.lattice.corner_means() @ self.von_mises(self._stresses(at_corners)[0])[0]
        return np.asarray(self.weights @ _from_root(self.space.halo.comm, found))

    def stress_by_stiffness_pa(self, density: Values, log_moduli: Values) -> tuple[Values, Values]:
        """Return the von Mises stress and its derivatives along changes of ln G', shapes (n,) and (n, r). Collective.

        Args:
            density: density at own control volumes, shape (n,).
            log_moduli: changes of ln G' of the lattice's boxes, shape (b, r).
        """
        at_corners = self.deposited(density)
        found = None
        if self.elastic is not None:
            found = self.lattice.corner_means() @ self._mises_by_stiffness(self.elastic, at_corners, log_moduli)
        values = np.asarray(self.weights @ _from_root(self.space.halo.comm, found))
        return values[:, 0], values[:, 1:]

    def _mises_by_stiffness(self, elastic: Elasticity, at_corners: Values, log_moduli: Values) -> Values:
        """Return the von Mises stress of tetrahedra and its derivatives by ln G', shape (t, 1 + r)."""
        solution, _ = elastic.solutions(self.pressure.growth_pa * (elastic.swelling @ at_corners))
        count, changes = len(elastic.free), log_moduli.shape[1]
        stress = (elastic.stress @ solution[:count]).reshape(-1, 9)
        mises, slope = self.von_mises(stress)
        columns = [mises]
        loads = load_by_log_modulus(elastic, solution) @ log_moduli if changes else np.zeros((0, 0))
        for first in range(0, changes, 2):
            pair = (loads[:, first], loads[:, first + 1] if first + 1 < changes else None)
            for number, moved in enumerate(elastic.solutions(*pair)[: min(2, changes - first)], start=first):
                by = (elastic.stress @ moved[:count]).reshape(-1, 9)
                by += np.repeat(log_moduli[:, number], 6)[:, None] * stress
                columns.append(np.sum(slope * by, axis=1))
        return np.stack(columns, axis=1)

    def mass_effect(self, density: Values) -> MassEffect:
        """Compute the displacement of the tissue around the tumour. Collective.

        Args:
            density: density at own control volumes, shape (n,).
        """
        at_corners = self.deposited(density)
        found = None
        if self.elastic is not None:
            push = self.pressure.growth_pa / self.pressure.scale
            found = self.elastic.at_corners @ self.elastic.solve(self.elastic.swelling @ (push * at_corners))[0]
        displacement = _from_root(self.space.halo.comm, found).reshape(-1, 3)
        largest = float(np.linalg.norm(displacement, axis=1).max())
        return MassEffect(np.asarray(self.weights @ displacement), largest)

    def deposited(self, density: Values) -> Values:
        """Return densities at the lattice's corners with the same number of cells, shape (c,) or (c, p). Collective.

        Args:
            density: densities at own control volumes, shape (n,) or (n, p).
        """
        cells = self.weights.T @ (self.space.volumes_m3 * density.T).T
        return (np.asarray(self.space.halo.comm.allreduce(cells)).T / self.lattice.volumes_m3).T

    def _stresses(self, at_corners: Values, other: Values | None = None) -> tuple[Values, Values]:
        """Deviatoric stress of each tetrahedron by one or two densities, shape (t, 9) each; the scale cancels."""
        elastic = self.elastic
        assert elastic is not None  # callers ask on rank 0 only
        push = self.pressure.growth_pa * elastic.swelling
        found = elastic.solve(push @ at_corners, None if other is None else push @ other)
        first, second = ((elastic.stress @ one).reshape(-1, 9) for one in found)
        return first, second

    def von_mises(self, stress: Values) -> tuple[Values, Values]:
        """Return the smoothed von Mises stress, shape (t,), and its derivative by the stress, shape (t, 9).

        Args:
            stress: deviatoric stress, pascal, shape (t, 9).
        """
        root = np.sqrt(1.5 * np.sum(stress**2, axis=1) + self.smoothing_pa**2)
        return root - self.smoothing_pa, 1.5 * stress / root[:, None]

    def _slowing(self, tetrahedra: Values | None) -> Values:
        """Change of ln D at own control volumes, shape (n,) or (n, p), from values of tetrahedra on rank 0."""
        found = None if tetrahedra is None else self.lattice.corner_means() @ tetrahedra
        return np.asarray(-self.pressure.slowing_1_pa * (self.weights @ _from_root(self.space.halo.comm, found)))


def mechanics(
    space: GrowthSpace,
    points_m: Values,
    lattice: BoxLattice,
    pressure: Pressure,
    *,
    poisson: float = POISSON,
    every_s: float = EVERY_S,
) -> Mechanics:
    """Build the coupling and factorise its elastic system once. Collective.

    Args:
        space: control volumes.
        points_m: centres of this rank's control volumes in the lattice's coordinates, metres, shape (n, 3) (`middles_m`
            for voxels).
        lattice: lattice of boxes, the same on every rank.
        pressure: lambda, gamma and the scale.
        poisson: Poisson's ratio nu; tissue has 0.45 to 0.49.
        every_s: time between renewals of D, seconds.

    Raises:
        InputError: Poisson's ratio or the renewal is out of range, or tissue lies outside the skull.
    """
    if not 0.0 < poisson < 0.5:
        raise InputError(
            "mechanics, Poisson's ratio",
            found=f"{poisson:g}",
            expected="a number between 0 and 0.5, both excluded",
            advice="Brain tissue has 0.45 to 0.49.",
        )
    if not 0.0 < every_s < np.inf:
        raise InputError(
            "mechanics, renewal",
            found=f"every {every_s:g} s",
            expected="a positive time",
            advice="Renew the stress every few days.",
        )
    weights, error = None, None
    try:
        weights = lattice.interpolation(points_m)
    except InputError as found:
        error = found
    comm = space.halo.comm
    # All ranks refuse what one of them refuses; the others would wait for ever.
    for refusal in comm.allgather(error and (error.where, error.found, error.expected, error.advice)):
        if refusal:
            where, what, expected, advice = refusal
            raise InputError(where, found=what, expected=expected, advice=advice)
    assert weights is not None  # else some rank had refused
    elastic = elasticity(lattice, poisson) if comm.rank == 0 else None
    return Mechanics(space, lattice, weights, elastic, pressure, every_s)


def middles_m(place: Voxels, edges_m: Values) -> Values:
    """Return the centres of this rank's voxels in the lattice's coordinates, metres, shape (n, 3).

    Args:
        place: space of the voxels.
        edges_m: voxel edges, metres, shape (3,).
    """
    return np.asarray((np.stack(np.unravel_index(place.own, place.mask.shape), axis=1) + 0.5) * edges_m)


def _from_root(comm: MPI.Comm, values: Values | None) -> Values:
    """Rank 0's values, on every rank."""
    return np.asarray(comm.bcast(values, root=0))
