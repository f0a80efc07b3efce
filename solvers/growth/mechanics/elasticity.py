"""Quasi-static, nearly incompressible small-strain elasticity of the tissue around a swelling tumour.

    div(2 G' eps(w)) - grad p = lambda grad u,   div w = -p / Lame,   w = 0 at the skull,   Lame = 2 G' nu / (1 - 2 nu)

on the tetrahedra of a lattice (P2 displacement, P1 pressure; Taylor and Hood), so that nothing locks as nu -> 1/2.
Weakly, the right-hand side is the integral of lambda u div v: no gradient of the density is needed, and its matrix is
that of the pressure. The problem is linear, and one factor serves every density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import dolfinx.fem.petsc
import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI
from numpy.typing import NDArray
from petsc4py import PETSc
from scipy import sparse

from palpate.solvers.compiled import form
from palpate.solvers.growth.mechanics.lattice import BoxLattice
from palpate.solvers.wave import Tetrahedra, distribute

type Values = NDArray[np.float64]

RESIDUAL_LIMIT: Final = 1e-9
"""Largest relative residual of a solve; MUMPS leaves about 1e-14."""


@dataclass(frozen=True, slots=True)
class Elasticity:
    """Factorised elastic problem of a lattice. Serial: one rank has all of it.

    Attributes:
        displacements: space of P2 vector functions.
        pressures: space of P1 functions.
        modulus: storage modulus G', pascal, constant in tetrahedra.
        poisson: Poisson's ratio nu.
        unit: unit of the system's pressures, Pa/m; a pressure in pascal is this times its unknown in metres.
        free: degrees of freedom of displacement that are not at the skull, shape (f,).
        system: matrix with rows and columns of free displacements, then of pressures over their unit, shape
            (f + c, f + c).
        solver: factorisation L D L^T of the system.
        swelling: load by a pressure of one pascal at each corner, shape (f, c); columns in the lattice's order.
        stress: map from free displacements to each tetrahedron's deviatoric stress, nine components, shape (9 t, f).
        at_corners: map from free displacements to w at the lattice's corners, shape (3 c, f).
    """

    displacements: fem.FunctionSpace
    pressures: fem.FunctionSpace
    modulus: fem.Function
    poisson: float
    unit: float
    free: NDArray[np.int64]
    system: sparse.csr_matrix
    solver: PETSc.KSP
    swelling: sparse.csr_matrix
    stress: sparse.csr_matrix
    at_corners: sparse.csr_matrix

    def solve(self, load: Values, other: Values | None = None) -> tuple[Values, Values]:
        """Return the displacements by one or two loads on free degrees of freedom, shape (f,) each.

        Two loads cost as much as one.

        Args:
            load: load, newton, shape (f,).
            other: second load; it is solved as the imaginary part, since PETSc is complex here and the system real.
        """
        first, second = self.solutions(load, other)
        return first[: len(self.free)].copy(), second[: len(self.free)].copy()

    def solutions(self, load: Values, other: Values | None = None) -> tuple[Values, Values]:
        """Return displacements and, after them, pressures in their unit by one or two loads, shape (f + c,) each.

        Args:
            load: load on free displacements, shape (f,), or on all degrees of freedom, shape (f + c,).
            other: second load.
        """
        both = np.zeros(self.system.shape[0], dtype=np.complex128)
        both[: len(load)] = load if other is None else load + 1j * other
        size = float(np.linalg.norm(both))
        if size == 0.0:
            return both.real, both.imag
        right, solution = (PETSc.Vec().createSeq(len(both), comm=MPI.COMM_SELF) for _ in range(2))
        right.setArray(both)
        self.solver.solve(right, solution)
        found = solution.getArray().copy()
        right.destroy()
        solution.destroy()
        # Written so that NaN fails too.
        if not float(np.linalg.norm(self.system @ found - both)) <= RESIDUAL_LIMIT * size:
            raise RuntimeError("the elastic system was not solved")
        return found.real, found.imag


def elasticity(lattice: BoxLattice, poisson: float) -> Elasticity:
    """Assemble and factorise the elastic problem, on this rank alone.

    Args:
        lattice: boxes and moduli.
        poisson: Poisson's ratio nu, between 0 and 1/2, both excluded.
    """
    domain = distribute(MPI.COMM_SELF, Tetrahedra(lattice.points_m, lattice.tetrahedra))
    displacements = fem.functionspace(domain, ("Lagrange", 2, (3,)))
    pressures = fem.functionspace(domain, ("Lagrange", 1))
    cells = domain.topology.original_cell_index.astype(np.int64)
    modulus = fem.Function(fem.functionspace(domain, ("DG", 0)))
    modulus.x.array[:] = lattice.storage_pa[cells // 6]
    w, v = ufl.TrialFunction(displacements), ufl.TestFunction(displacements)
    p, q = ufl.TrialFunction(pressures), ufl.TestFunction(pressures)
    stiffness = _assembled(2 * modulus * ufl.inner(ufl.sym(ufl.grad(w)), ufl.sym(ufl.grad(v))))
    divergence = _assembled(ufl.inner(ufl.div(w), q))
    softness = _assembled(_compliance(poisson) / modulus * ufl.inner(p, q))
    free = _free(displacements)
    corner_dofs = dofs_at_corners(pressures)
    inner, swelling = stiffness[free][:, free], divergence.T.tocsr()[free]
    # Pressures in a unit that gives all blocks entries of one magnitude, for good pivots.
    unit = float(np.median(lattice.storage_pa) / lattice.edges_m.mean())
    system = sparse.bmat([[inner, -unit * swelling], [-unit * swelling.T, -(unit**2) * softness]], format="csr")
    system.sort_indices()
    return Elasticity(
        displacements,
        pressures,
        modulus,
        poisson,
        unit,
        free,
        system,
        _factor(system),
        swelling[:, corner_dofs].tocsr(),
        _stress(displacements, modulus, cells)[:, free],
        _at_corners(displacements, pressures, corner_dofs)[:, free],
    )


def load_by_log_modulus(elastic: Elasticity, solution: Values) -> sparse.csr_matrix:
    """Return the load of a change of ln G' in each box on a solved problem, shape (f + c, boxes).

    The change dx of the solution follows from A dx = -(dA/d ln G') x. The stiffness is linear in G' and the softness in
    1 / G', so that both derivatives are the integrals of A, weighted with the change.

    Args:
        elastic: factorised problem.
        solution: solution x, displacements and pressures in their unit, shape (f + c,).
    """
    count, domain = len(elastic.free), elastic.displacements.mesh
    w, p = fem.Function(elastic.displacements), fem.Function(elastic.pressures)
    w.x.array[elastic.free], p.x.array[:] = solution[:count], solution[count:]
    change = ufl.TrialFunction(elastic.modulus.function_space)
    v, q = ufl.TestFunction(elastic.displacements), ufl.TestFunction(elastic.pressures)
    strained = _assembled(2 * elastic.modulus * change * ufl.inner(ufl.sym(ufl.grad(w)), ufl.sym(ufl.grad(v))))
    squeezed = _assembled(_compliance(elastic.poisson) / elastic.modulus * change * ufl.inner(p, q))
    by_cells = sparse.vstack([-strained.tocsr()[elastic.free], -(elastic.unit**2) * squeezed], format="csr")
    boxes = domain.topology.original_cell_index // 6
    onto = sparse.csr_matrix((np.ones(len(boxes)), (np.arange(len(boxes)), boxes)))
    return sparse.csr_matrix(by_cells @ onto)


def dofs_at_corners(pressures: fem.FunctionSpace) -> NDArray[np.int64]:
    """Return the degree of freedom of each of the lattice's corners, shape (c,).

    Args:
        pressures: space of P1 functions.
    """
    domain = pressures.mesh
    dofs = np.empty(pressures.dofmap.index_map.size_local, dtype=np.int64)
    given = domain.geometry.input_global_indices[domain.geometry.dofmaps[0].ravel()]
    dofs[given] = pressures.dofmap.list.ravel()
    return dofs


def _compliance(poisson: float) -> float:
    """G' / Lame."""
    return (1 - 2 * poisson) / (2 * poisson)


def _assembled(integrand: Any) -> sparse.csr_matrix:
    """Return a matrix of real numbers; by PETSc, whose scalars are complex, since DOLFINx's own are square only."""
    matrix = dolfinx.fem.petsc.assemble_matrix(form(integrand * ufl.dx))
    matrix.assemble()
    starts, columns, values = matrix.getValuesCSR()
    shape = matrix.getSize()
    matrix.destroy()
    return sparse.csr_matrix((values.real.copy(), columns, starts), shape=shape)


def _free(displacements: fem.FunctionSpace) -> NDArray[np.int64]:
    domain = displacements.mesh
    dim = domain.topology.dim
    domain.topology.create_connectivity(dim - 1, dim)
    held = fem.locate_dofs_topological(displacements, dim - 1, mesh.exterior_facet_indices(domain.topology))
    blocks = np.ones(displacements.dofmap.index_map.size_local, dtype=np.bool_)
    blocks[held] = False
    return np.flatnonzero(np.repeat(blocks, 3)).astype(np.int64)


def _stress(displacements: fem.FunctionSpace, modulus: fem.Function, cells: NDArray[np.int64]) -> sparse.csr_matrix:
    """Return means over tetrahedra, in the lattice's order, of 2 G' dev(eps)."""
    domain = displacements.mesh
    w = ufl.TrialFunction(displacements)
    tensors = fem.functionspace(domain, ("DG", 0, (3, 3)))
    integrals = _assembled(ufl.inner(2 * modulus * ufl.dev(ufl.sym(ufl.grad(w))), ufl.TestFunction(tensors)))
    order = np.empty(len(cells), dtype=np.int64)
    order[cells] = tensors.dofmap.list.ravel()
    rows = (9 * order[:, None] + np.arange(9)).ravel()
    volume = _assembled(ufl.inner(ufl.TrialFunction(tensors), ufl.TestFunction(tensors))).diagonal()[rows]
    return sparse.csr_matrix(sparse.diags(1.0 / volume) @ integrals[rows])


def _at_corners(
    displacements: fem.FunctionSpace, pressures: fem.FunctionSpace, corner_dofs: NDArray[np.int64]
) -> sparse.csr_matrix:
    """P2's degrees of freedom at vertices are values there; DOLFINx lists the vertices' first in every cell."""
    blocks = np.empty(len(corner_dofs), dtype=np.int64)
    blocks[pressures.dofmap.list.ravel()] = displacements.dofmap.list[:, :4].ravel()
    columns = (3 * blocks[corner_dofs][:, None] + np.arange(3)).ravel()
    size = 3 * displacements.dofmap.index_map.size_local
    return sparse.csr_matrix((np.ones(len(columns)), (np.arange(len(columns)), columns)), shape=(len(columns), size))


def _factor(system: sparse.csr_matrix) -> PETSc.KSP:
    matrix = PETSc.Mat().createAIJ(
        size=system.shape,
        csr=(system.indptr.astype(np.int32), system.indices.astype(np.int32), system.data.astype(np.complex128)),
        comm=MPI.COMM_SELF,
    )
    matrix.setOption(PETSc.Mat.Option.SYMMETRIC, True)
    matrix.setOption(PETSc.Mat.Option.HERMITIAN, False)
    solver = PETSc.KSP().create(MPI.COMM_SELF)
    solver.setOperators(matrix)
    solver.setType("preonly")
    solver.getPC().setType("cholesky")
    solver.getPC().setFactorSolverType("mumps")
    solver.setUp()
    return solver
