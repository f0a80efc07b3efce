"""Growing neo-Hookean body: the finite-strain law, with the discretisation of the small-strain one.

With F = 1 + grad w, J = det F and growth by the share phi of a volume, F = F_e F_g, F_g = (1 + phi)^(1/3) 1 (Rodriguez,
Hoger and McCulloch 1994), elastic energy is stored per grown volume. w and p make stationary

    integral (1 + phi) [G'/2 (tr b - 3) + G'/3 theta^2 - p theta - p^2 / (2 Lame)]

    b = J^(-2/3) F F^T,   theta = ln(J / (1 + phi)),   phi = push / kappa,   kappa = Lame + 2 G'/3,   w = 0 at the skull

with the push lambda u, in Pa. Eliminating p leaves kappa/2 theta^2, the usual isochoric-volumetric split. Only its part
with Lame's modulus is written with the pressure, as in elasticity.py, so that at w = 0 the second derivative is the
small-strain system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import basix
import basix.ufl
import numpy as np
import ufl
from dolfinx import fem
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.compiled import expression, form
from palpate.solvers.growth.mechanics.elasticity import Elasticity, dofs_at_corners

type Values = NDArray[np.float64]
type Indices = NDArray[np.int64]

DEGREE: Final = 4
"""Degree of the quadrature: exact for products of two strains, with two further orders for the law's nonlinearity."""
REAL: Final = np.float64
"""Scalar type of this law. PETSc and DOLFINx's default are complex here, for which its logarithms are not meant."""


@dataclass(frozen=True, slots=True)
class Hyperelasticity:
    """Neo-Hookean law on a lattice's tetrahedra. Serial: one rank has all of it.

    Attributes:
        elastic: small-strain problem on the same mesh.
        state: P2 displacement in m, P1 pressure and P1 push in Pa, at which the forms below are evaluated.
        energy_slope: first derivative of the energy by the state.
        energy_curve: second derivative of the energy by the state.
        stress: means of the deviatoric Cauchy stress over tetrahedra, nine components, pascal.
        stress_slope: derivatives of `stress` by the state.
        volume_ratio: volume ratio J at quadrature points and vertices.
        unknowns: positions in the state of free displacements, then pressures, in the order of Elasticity.system, shape
            (f + c,).
        pushes: positions in the state of the push, in the lattice's order, shape (c,).
        units: units of the unknowns, 1 m and Elasticity.unit, shape (f + c,).
        components: positions in `stress` of each tetrahedron's components, in the lattice's order, shape (9 t,).
    """

    elastic: Elasticity
    state: fem.Function
    energy_slope: fem.Form
    energy_curve: fem.Form
    stress: fem.Form
    stress_slope: fem.Form
    volume_ratio: fem.Expression
    unknowns: Indices
    pushes: Indices
    units: Values
    components: Indices

    @property
    def force_scale(self) -> float:
        """Norm of a vector with median G' times the area of a box's face at every unknown, newton."""
        storage_pa = float(np.median(self.elastic.modulus.x.array.real))
        edge_m = storage_pa / self.elastic.unit
        return float(storage_pa * edge_m**2 * np.sqrt(len(self.unknowns)))

    def place(self, unknowns: Values, push: Values) -> None:
        """Set the state at which the law is evaluated.

        Args:
            unknowns: free displacements and pressures in their units, shape (f + c,).
            push: growth pressure lambda u at the lattice's corners, pascal, shape (c,).
        """
        self.state.x.array[self.unknowns] = self.units * unknowns
        self.state.x.array[self.pushes] = push

    def least_volume_ratio(self) -> float:
        """Return the least J at quadrature points and vertices; not positive where tissue is turned inside out."""
        domain = self.state.function_space.mesh
        cells = np.arange(domain.topology.index_map(domain.topology.dim).size_local, dtype=np.int32)
        return float(self.volume_ratio.eval(domain, cells).min())

    def forces(self) -> Values:
        """Return the energy's derivative by the unknowns, zero at equilibrium, newton, shape (f + c,)."""
        return np.asarray(self.units * fem.assemble_vector(self.energy_slope).array[self.unknowns])

    def curvature(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the forces' derivatives by unknowns (symmetric) and push, shapes (f + c, f + c) and (f + c, c)."""
        every = fem.assemble_matrix(self.energy_curve).to_scipy()
        units = sparse.diags(self.units)
        rows = sparse.csr_matrix(units @ every[self.unknowns])
        return sparse.csr_matrix(rows[:, self.unknowns] @ units), sparse.csr_matrix(rows[:, self.pushes])

    def stresses(self) -> Values:
        """Return each tetrahedron's mean deviatoric Cauchy stress, pascal, shape (t, 9).

        The mean is over its undeformed shape.
        """
        return np.asarray(fem.assemble_vector(self.stress).array[self.components].reshape(-1, 9))

    def stress_slopes(self) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the derivatives of `stresses` by unknowns and by the push, shapes (9 t, f + c) and (9 t, c)."""
        every = fem.assemble_matrix(self.stress_slope).to_scipy()[self.components]
        by_unknowns = sparse.csr_matrix(every[:, self.unknowns] @ sparse.diags(self.units))
        return by_unknowns, sparse.csr_matrix(every[:, self.pushes])


def hyperelasticity(elastic: Elasticity) -> Hyperelasticity:
    """Build the law with the moduli of a small-strain problem, on this rank alone.

    Args:
        elastic: mesh, moduli and Poisson's ratio.
    """
    domain = elastic.displacements.mesh
    displacement = basix.ufl.element("Lagrange", "tetrahedron", 2, shape=(3,))
    scalar, constant = (basix.ufl.element(*family) for family in (("P", "tetrahedron", 1), ("DG", "tetrahedron", 0)))
    states = fem.functionspace(domain, basix.ufl.mixed_element([displacement, scalar, scalar]))
    tensors = fem.functionspace(domain, basix.ufl.mixed_element([constant] * 9))
    modulus = fem.Function(fem.functionspace(domain, ("DG", 0)), dtype=REAL)
    modulus.x.array[:] = elastic.modulus.x.array.real
    state = fem.Function(states, dtype=REAL)
    energy, deviator, ratio = _law(state, modulus, elastic.poisson)
    measure = ufl.dx(degree=DEGREE)
    slope = ufl.derivative(energy * measure, state)
    tests = ufl.TestFunctions(tensors)
    means = sum(deviator[i, j] * tests[3 * i + j] for i in range(3) for j in range(3)) / ufl.CellVolume(domain)
    corners = basix.geometry(basix.CellType.tetrahedron)
    points, _ = basix.make_quadrature(basix.CellType.tetrahedron, DEGREE)
    unknowns, pushes = _unknowns(elastic, states)
    pressures = len(unknowns) - len(elastic.free)
    return Hyperelasticity(
        elastic,
        state,
        form(slope, dtype=REAL),
        form(ufl.derivative(slope, state), dtype=REAL),
        form(means * measure, dtype=REAL),
        form(ufl.derivative(means * measure, state), dtype=REAL),
        expression(ratio, np.vstack([points, corners]), dtype=REAL),
        unknowns,
        pushes,
        np.concatenate([np.ones(len(elastic.free)), np.full(pressures, elastic.unit)]),
        _components(tensors),
    )


def _law(state: fem.Function, modulus: fem.Function, poisson: float) -> tuple[Any, Any, Any]:
    """Energy per first volume, deviatoric Cauchy stress, and J."""
    displacement, pressure, push = ufl.split(state)
    lame = 2 * poisson / (1 - 2 * poisson) * modulus
    growth = 1 + push / (lame + 2 * modulus / 3)
    deformation = ufl.Identity(3) + ufl.grad(displacement)
    ratio = ufl.det(deformation)
    stretched = ratio ** (-2 / 3) * deformation * deformation.T
    swelling = ufl.ln(ratio / growth)
    energy = (
        modulus / 2 * (ufl.tr(stretched) - 3)
        + modulus / 3 * swelling**2
        - pressure * swelling
        - pressure**2 / (2 * lame)
    )
    # Over the elastic part of J: the energy is one of grown volume.
    return growth * energy, growth / ratio * modulus * ufl.dev(stretched), ratio


def _unknowns(elastic: Elasticity, states: fem.FunctionSpace) -> tuple[Indices, Indices]:
    """Return the positions in a state of the unknowns of Elasticity.system, and of the push at the lattice's corners.

    A cell lists its ten displacements by node, then four pressures and four pushes, each in the order of its own space.
    """
    cells = states.dofmap.list.astype(np.int64)
    nodes = elastic.displacements.dofmap.list.astype(np.int64)
    moved = np.empty(3 * (int(nodes.max()) + 1), dtype=np.int64)
    moved[(3 * nodes[:, :, None] + np.arange(3)).reshape(len(cells), -1)] = cells[:, :30]
    corners = elastic.pressures.dofmap.list
    pressures, pushes = (np.empty(int(corners.max()) + 1, dtype=np.int64) for _ in range(2))
    pressures[corners], pushes[corners] = cells[:, 30:34], cells[:, 34:]
    return np.concatenate([moved[elastic.free], pressures]), pushes[dofs_at_corners(elastic.pressures)]


def _components(tensors: fem.FunctionSpace) -> Indices:
    """Return the positions of each tetrahedron's nine constants, in the lattice's order."""
    cells = tensors.mesh.topology.original_cell_index.astype(np.int64)
    found = np.empty(9 * len(cells), dtype=np.int64)
    found[9 * cells[:, None] + np.arange(9)] = tensors.dofmap.list
    return found
