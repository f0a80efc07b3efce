"""Equilibrium of a growing neo-Hookean body, and its derivatives by the implicit function theorem.

Newton's method with a line search on the forces, under the whole growth or, where that fails, in steps of growth.
Linear systems are solved by GMRES, preconditioned with the small-strain factor, so that nothing is factorised anew:
five to fifty solves with that factor make a Newton step, and forty to eighty an exact derivative. Forces
r(x, push) = 0 have a symmetric derivative by x, so that

    dx = -r_x^(-1) r_push dpush,      and transposed     y -> -r_push^T r_x^(-1) y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, gmres

from palpate.errors import InputError
from palpate.solvers.growth.mechanics.hyperelasticity import Hyperelasticity

type Values = NDArray[np.float64]
type Load = NDArray[np.inexact]

FORCES_LIMIT: Final = 1e-10
"""Largest norm of the forces at equilibrium, relative to the norm before any displacement."""
ROUNDING: Final = 1e-15
"""Rounding error of forces that should vanish, relative to Hyperelasticity.force_scale.

Growth with smaller forces cannot be told from no growth."""
NEWTON_TOLERANCE: Final = 1e-3
"""Relative residual of a Newton step's system; it may be large, because the next step removes the error."""
DERIVATIVE_TOLERANCE: Final = 1e-12
"""Relative residual of a derivative's system; small, because no later step removes the error."""
NEWTON_STEPS: Final = 25
"""Largest number of Newton steps for one growth."""
KRYLOV_STEPS: Final = 100
"""Number of GMRES steps before a restart."""
RESTARTS: Final = 3
"""Largest number of GMRES cycles.

GMRES checks the true residual at a restart; it may be larger than the preconditioned residual."""
HALVINGS: Final = 6
"""Largest number of halvings of a Newton step, before the growth is applied in smaller steps."""
DECREASE: Final = 1e-4
"""Constant of Armijo's condition: share of the predicted decrease of the forces that a step must achieve."""
LEAST_SHARE: Final = 1.0 / 16.0
"""Smallest step in which growth is applied, as a share of the whole."""


@dataclass(frozen=True, slots=True)
class ElasticEquilibrium:
    """Equilibrium of a body under its growth.

    Attributes:
        body: law of the body.
        push: growth pressure lambda u at the lattice's corners, pascal, shape (c,).
        unknowns: free displacements and pressures in their units, shape (f + c,).
        stress: deviatoric Cauchy stress of each tetrahedron, pascal, shape (t, 9).
    """

    body: Hyperelasticity
    push: Values
    unknowns: Values
    stress: Values

    @property
    def displacement_m(self) -> Values:
        """Displacement w at the lattice's corners, metres, shape (c, 3)."""
        elastic = self.body.elastic
        return np.asarray(elastic.at_corners @ self.unknowns[: len(elastic.free)]).reshape(-1, 3)

    def tangent(self, changes: Values) -> Values:
        """Return the changes of the stress along changes of the push, pascal, shape (t, 9, k).

        Args:
            changes: changes of the push, pascal, shape (c, k).
        """
        self.body.place(self.unknowns, self.push)
        system, by_push = self.body.curvature()
        moved = _solved(self.body, system, -(by_push @ changes))
        by_unknowns, directly = self.body.stress_slopes()
        return np.asarray(by_unknowns @ moved + directly @ changes).reshape(-1, 9, changes.shape[1])

    def pull_back(self, by_stress: Values) -> Values:
        """Return derivatives by the push from those by the stress, shape (c,).

        Args:
            by_stress: derivatives by the stress, shape (t, 9).
        """
        self.body.place(self.unknowns, self.push)
        system, by_push = self.body.curvature()
        by_unknowns, directly = self.body.stress_slopes()
        adjoint = _solved(self.body, system, -(by_unknowns.T @ by_stress.reshape(-1, 1)))[:, 0]
        return np.asarray(by_push.T @ adjoint + directly.T @ by_stress.ravel())


def equilibrium(body: Hyperelasticity, push: Values, load: Values | None = None) -> ElasticEquilibrium:
    """Find the equilibrium of a body.

    Args:
        body: law of the body.
        push: growth pressure lambda u at the lattice's corners, pascal, shape (c,).
        load: further forces on free displacements, newton, shape (f,); None for none.

    Raises:
        InputError: no equilibrium is found.
    """
    unknowns = np.zeros(len(body.unknowns))
    forces = np.zeros_like(unknowns)
    if load is not None:
        forces[: len(load)] = load
    body.place(unknowns, push)
    limit = FORCES_LIMIT * float(np.linalg.norm(body.forces() - forces)) + ROUNDING * body.force_scale
    reached, step = 0.0, 1.0
    while reached < 1.0:
        share = min(reached + step, 1.0)
        found = _newton(body, unknowns, share * push, share * forces, limit)
        if found is not None:
            unknowns, reached = found, share
        elif step > LEAST_SHARE:
            step /= 2.0
        else:
            raise InputError(
                "mechanics, finite strain",
                found=f"no equilibrium beyond {reached:.0%} of a growth pressure of up to {push.max():.3g} Pa",
                expected="an equilibrium in which no element is turned inside out",
                advice="Lower lambda, a density that jumps, or contrasts of stiffness; or choose small strains.",
            )
    body.place(unknowns, push)
    if not body.least_volume_ratio() > 0.0:
        raise RuntimeError("an equilibrium with elements turned inside out was accepted")
    return ElasticEquilibrium(body, push, unknowns, body.stresses())


def _newton(body: Hyperelasticity, unknowns: Values, push: Values, load: Values, limit: float) -> Values | None:
    """Return unknowns at which forces balance the load to the limit; None if Newton's method does not get there."""
    body.place(unknowns, push)
    forces = body.forces() - load
    for _ in range(NEWTON_STEPS):
        if float(np.linalg.norm(forces)) <= limit:
            return unknowns
        step, converged = _krylov(body, body.curvature()[0], -forces, NEWTON_TOLERANCE)
        found = _searched(body, unknowns, step.real, push, load, forces) if converged else None
        if found is None:
            return None
        unknowns, forces = found
    return None


def _searched(
    body: Hyperelasticity, unknowns: Values, step: Values, push: Values, load: Values, forces: Values
) -> tuple[Values, Values] | None:
    """Return unknowns and forces at the longest of halved steps that turns nothing inside out and lowers the forces."""
    size = float(np.linalg.norm(forces))
    for halvings in range(HALVINGS + 1):
        length = 0.5**halvings
        tried = unknowns + length * step
        body.place(tried, push)
        # Short-circuits: beyond J = 0 forces are no numbers.
        if body.least_volume_ratio() > 0.0:
            there = body.forces() - load
            if float(np.linalg.norm(there)) <= (1.0 - DECREASE * length) * size:
                return tried, there
    return None


def _solved(body: Hyperelasticity, system: sparse.csr_matrix, columns: Values) -> Values:
    """Return exact solutions for columns of loads, shape (f + c, k).

    Two loads are solved as one complex load, as in Elasticity.
    """
    found = np.empty_like(columns)
    for first in range(0, columns.shape[1], 2):
        pair = columns[:, first : first + 2]
        both = pair[:, 0] + (1j * pair[:, 1] if pair.shape[1] == 2 else 0.0)
        solution, converged = _krylov(body, system, both, DERIVATIVE_TOLERANCE)
        if not converged:
            raise RuntimeError("the tangent of a finite-strain equilibrium was not solved")
        found[:, first : first + 2] = np.stack([solution.real, solution.imag], axis=1)[:, : pair.shape[1]]
    return found


def _krylov(body: Hyperelasticity, system: sparse.csr_matrix, load: Load, tolerance: float) -> tuple[Load, bool]:
    """Return the solution by GMRES, preconditioned with the small-strain factor, and whether it converged."""

    def in_front(residual: Load) -> Load:
        real, imaginary = body.elastic.solutions(residual.real, residual.imag)
        return np.asarray(real + 1j * imaginary) if np.iscomplexobj(residual) else real

    front = LinearOperator(system.shape, matvec=in_front, dtype=load.dtype)
    solution, missed = gmres(system, load, rtol=tolerance, restart=KRYLOV_STEPS, maxiter=RESTARTS, M=front)
    return solution, missed == 0
