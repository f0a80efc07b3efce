"""Slowing of invasion by pressure at finite strain: the coupling of coupling.py with a neo-Hookean law.

    D = D_0 exp(-gamma sigma_vm),      sigma_vm of the Cauchy stress s sigma'(lambda u / s)

sigma' is the stress of a body with the lattice's moduli G' (hyperelasticity.py) and s their scale. Unlike at small
strain, stress is not proportional to lambda, so that a factor on gamma is not equivalent to one on lambda, and s does
not cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.solvers.growth.mechanics.coupling import MassEffect, Mechanics
from palpate.solvers.growth.mechanics.equilibrium import ElasticEquilibrium, equilibrium
from palpate.solvers.growth.mechanics.hyperelasticity import Hyperelasticity, hyperelasticity

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FiniteStrain:
    """Coupling (solvers.growth.coupling) by finite elasticity.

    Attributes:
        small: space, lattice, pressure and the factorised small-strain problem; the pressure may be changed with
            `dataclasses.replace`.
        body: law of the body, on rank 0; None elsewhere.
        latest: last equilibrium by the bytes of its push, kept since shift and tangent need the same one in turn.
    """

    small: Mechanics
    body: Hyperelasticity | None
    latest: dict[bytes, ElasticEquilibrium] = field(default_factory=dict, repr=False, compare=False)

    @property
    def every_s(self) -> float:
        """See Coupling."""
        return self.small.every_s

    def shift(self, density: Values) -> Values:
        """See Coupling: -gamma sigma_vm.

        Raises:
            InputError: tissue finds no equilibrium (the same for all methods).
        """
        return -self.small.pressure.slowing_1_pa * self.stress_pa(density)

    def stress_pa(self, density: Values) -> Values:
        """Return the von Mises stress at own control volumes, pascal, shape (n,). Collective.

        Args:
            density: density at own control volumes, shape (n,).
        """
        push = self._push(density)

        def at_corners(body: Hyperelasticity) -> Values:
            stress = self.small.pressure.scale * self._rest(body, push).stress
            return np.asarray(self.small.lattice.corner_means() @ self.small.von_mises(stress)[0])

        return np.asarray(self.small.weights @ self._from_root(at_corners))

    def tangent(self, density: Values, changes: Values) -> Values:
        """See Coupling; all changes share one assembly."""
        push, moved = self._push(density), self._push(changes)

        def at_corners(body: Hyperelasticity) -> Values:
            rest, scale = self._rest(body, push), self.small.pressure.scale
            slope = self.small.von_mises(scale * rest.stress)[1]
            by = np.einsum("ti,tik->tk", slope, scale * rest.tangent(moved))
            return np.asarray(self.small.lattice.corner_means() @ by)

        slowed = self.small.weights @ self._from_root(at_corners)
        return np.asarray(-self.small.pressure.slowing_1_pa * slowed)

    def pull_back(self, density: Values, by_shift: Values) -> Values:
        """See Coupling."""
        small, push = self.small, self._push(density)
        pulled = -small.pressure.slowing_1_pa * (small.weights.T @ by_shift)
        by_mises = np.asarray(small.space.halo.comm.allreduce(pulled))

        def by_push(body: Hyperelasticity) -> Values:
            rest, scale = self._rest(body, push), small.pressure.scale
            by_tetrahedra = small.lattice.corner_means().T @ by_mises
            slope = small.von_mises(scale * rest.stress)[1]
            return rest.pull_back(scale * slope * by_tetrahedra[:, None])

        push_by_density = small.pressure.growth_pa / small.pressure.scale
        by_corners = push_by_density * self._from_root(by_push) / small.lattice.volumes_m3
        return np.asarray(small.space.volumes_m3 * (small.weights @ by_corners))

    def mass_effect(self, density: Values) -> MassEffect:
        """Compute the displacement of the tissue around the tumour. Collective.

        Args:
            density: density at own control volumes, shape (n,).
        """
        push = self._push(density)
        displacement = self._from_root(lambda body: self._rest(body, push).displacement_m)
        largest = float(np.linalg.norm(displacement, axis=1).max())
        return MassEffect(np.asarray(self.small.weights @ displacement), largest)

    def displacements_m(self, densities: Values) -> Values:
        """Return displacements at own control volumes by each of p densities, metres, shape (p, n, 3). Collective.

        Args:
            densities: densities at own control volumes, shape (p, n).
        """
        return np.stack([self.mass_effect(one).displacement_m for one in densities])

    def _push(self, density: Values) -> Values:
        """Return the push lambda u / s at the lattice's corners, pascal, shape (c,) or (c, k)."""
        pressure = self.small.pressure
        return pressure.growth_pa / pressure.scale * self.small.deposited(density)

    def _rest(self, body: Hyperelasticity, push: Values) -> ElasticEquilibrium:
        """Return the equilibrium, found from no displacement, so that it does not depend on earlier calls."""
        key = push.tobytes()
        if key not in self.latest:
            found = equilibrium(body, push)
            self.latest.clear()
            self.latest[key] = found
        return self.latest[key]

    def _from_root(self, compute: Callable[[Hyperelasticity], Values]) -> Values:
        """Return rank 0's result on every rank; all raise its refusal, since the others would wait for ever."""
        found, error = None, None
        if self.body is not None:
            try:
                found = compute(self.body)
            except InputError as refusal:
                error = refusal
        comm = self.small.space.halo.comm
        refused = comm.bcast(error and (error.where, error.found, error.expected, error.advice), root=0)
        if refused:
            where, what, expected, advice = refused
            raise InputError(where, found=what, expected=expected, advice=advice) from error
        return np.asarray(comm.bcast(found, root=0))


def finite_strain(small: Mechanics) -> FiniteStrain:
    """Return the finite-strain coupling with the space, lattice and pressure of a small-strain one. Collective.

    Args:
        small: space, lattice, pressure, Poisson's ratio and the factor.
    """
    return FiniteStrain(small, None if small.elastic is None else hyperelasticity(small.elastic))
