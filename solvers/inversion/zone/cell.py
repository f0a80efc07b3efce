"""Integrals of one cell: all cells of a zone are equal boxes, so DOLFINx assembles them once.

With U on triquadratic hexahedra (nodes at 27 voxel centres), p and q discontinuous and linear (Q2-P1, inf-sup stable)
and one G* for each voxel, every matrix of a zone is a sum over cells of

    stiffness[n]  = 2 int h_n eps(U) : eps(V),   h_n = 1 in the voxel of node n, so that K = sum_n G*_n stiffness[n],
    inertia       = int U . V,     divergence = int (div U) q,     pressure_mass = int p q,
    gradient      = int grad U : grad V    (for the prior of waves, wave_prior.py).

A cell holds the voxel of its middle node, and halves, quarters and eighths of 26 others. The quadrature has 2 x 2 x 2
Gauss points in every box between voxels' centres, one in each of the voxels that meet there (docs/decisions/0073).
With G* trilinear between centres instead, as in comparators, h_n is the hat function of node n.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import basix.ufl
import dolfinx.fem.petsc
import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.meshing.zones import CELL_SPAN, NODES_PER_CELL
from palpate.solvers.compiled import form

COMPONENTS = 3 * NODES_PER_CELL
"""Number of displacement components of a cell: nodes in lexicographic order (i, j, k), the components of a node
together."""

PRESSURES = 4
"""Number of pressure modes of a cell."""

_PLACES = np.array(list(itertools.product(range(CELL_SPAN + 1), repeat=3)))
"""Nodes of the cell, in voxels from its corner, shape (27, 3)."""


@dataclass(frozen=True, slots=True)
class CellIntegrals:
    """Integrals of a cell for one voxel size, as in the module's description.

    Attributes:
        stiffness: stiffness matrix of each node's voxel, shape (27, 81, 81).
        inertia: mass matrix of the displacement, shape (81, 81).
        gradient: matrix of int grad U : grad V, shape (81, 81).
        divergence: divergence matrix, shape (4, 81).
        pressure_mass: mass matrix of the pressure, shape (4, 4).
    """

    stiffness: NDArray[np.float64]
    inertia: NDArray[np.float64]
    gradient: NDArray[np.float64]
    divergence: NDArray[np.float64]
    pressure_mass: NDArray[np.float64]


@lru_cache(maxsize=8)
def cell_integrals(voxel_size: tuple[float, float, float], *, trilinear: bool = False) -> CellIntegrals:
    """Assemble the integrals on one cell.

    Args:
        voxel_size: voxel edges in the unit of length of the equations.
        trilinear: whether G* is trilinear between voxels' centres, instead of constant in each voxel.
    """
    size = np.asarray(voxel_size)
    domain = _one_cell(size)
    points, weights = _composite_gauss()
    rule = {"quadrature_rule": "custom", "quadrature_points": points, "quadrature_weights": weights}
    dx = ufl.Measure("dx", domain=domain, metadata=rule)
    cell = "hexahedron"
    displacement = fem.functionspace(domain, basix.ufl.element("Lagrange", cell, CELL_SPAN, shape=(3,)))
    pressure = fem.functionspace(domain, basix.ufl.element("DPC", cell, 1))
    at_points = fem.functionspace(domain, basix.ufl.quadrature_element(cell, points=points, weights=weights))
    u, v = ufl.TrialFunction(displacement), ufl.TestFunction(displacement)
    p, q = ufl.TrialFunction(pressure), ufl.TestFunction(pressure)
    modulus = fem.Function(at_points)
    stiffness_form = form(2 * modulus * ufl.inner(ufl.sym(ufl.grad(u)), ufl.sym(ufl.grad(v))) * dx)
    dofs = _dofs(displacement, size)
    stiffness = np.empty((NODES_PER_CELL, COMPONENTS, COMPONENTS))
    for node, values in enumerate(_shape_functions(points, trilinear=trilinear).T):
        modulus.x.array[at_points.dofmap.cell_dofs(0)] = values
        stiffness[node] = _dense(stiffness_form)[np.ix_(dofs, dofs)]
    return CellIntegrals(
        stiffness=stiffness,
        inertia=_dense(form(ufl.inner(u, v) * dx))[np.ix_(dofs, dofs)],
        gradient=_dense(form(ufl.inner(ufl.grad(u), ufl.grad(v)) * dx))[np.ix_(dofs, dofs)],
        divergence=_dense(form(ufl.inner(ufl.div(u), q) * dx))[:, dofs],
        pressure_mass=_dense(form(ufl.inner(p, q) * dx)),
    )


def _dense(form: Any) -> NDArray[np.float64]:
    """Assemble a small real form into an array."""
    assembled = dolfinx.fem.petsc.assemble_matrix(form)
    assembled.assemble()
    rows, columns = assembled.getSize()
    values = np.asarray(assembled.getValues(range(rows), range(columns)).real)
    assembled.destroy()
    return values


def _one_cell(size: NDArray[np.float64]) -> mesh.Mesh:
    """Return a mesh of one cell on this rank alone, its corner at the origin."""
    corners = np.array([place[::-1] for place in itertools.product((0, CELL_SPAN), repeat=3)])  # first axis fastest
    element = basix.ufl.element("Lagrange", "hexahedron", 1, shape=(3,))
    return mesh.create_mesh(MPI.COMM_SELF, np.arange(8, dtype=np.int64)[None], element, corners * size)


def _composite_gauss() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two-point Gauss rule in each subcell and axis of the reference cell: points (64, 3), weights (64,)."""
    nodes, weights = np.polynomial.legendre.leggauss(2)
    line = np.concatenate([(0.5 * (nodes + 1.0) + part) / CELL_SPAN for part in range(CELL_SPAN)])
    line_weights = np.tile(0.5 * weights / CELL_SPAN, CELL_SPAN)
    points = np.array(list(itertools.product(line, repeat=3)))
    return points, np.array([np.prod(w) for w in itertools.product(line_weights, repeat=3)])


def _dofs(space: Any, size: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the unrolled degrees of freedom of the nodes' components, shape (81,)."""
    found = [tuple(place) for place in np.rint(space.tabulate_dof_coordinates() / size).astype(int)]
    blocks = np.array([found.index(tuple(place)) for place in _PLACES])
    return np.asarray((3 * blocks[:, None] + np.arange(3)).ravel())


def _shape_functions(points: NDArray[np.float64], *, trilinear: bool) -> NDArray[np.float64]:
    """Return each node's weight in G* at points of the reference cell, (points, 27): 1 in its voxel, or its hat."""
    away = np.abs(CELL_SPAN * points[:, :, None] - np.arange(CELL_SPAN + 1))
    line = np.maximum(0.0, 1.0 - away) if trilinear else (away < 0.5).astype(np.float64)
    return np.asarray(np.einsum("qi,qj,qk->qijk", line[:, 0], line[:, 1], line[:, 2]).reshape(len(points), -1))
