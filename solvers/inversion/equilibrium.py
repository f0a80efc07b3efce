"""The balance of momentum on a zone, as matrices that act on the displacement at the voxels.

With U on triquadratic hexahedra (nodes at voxel centres), p and q discontinuous and linear (Q2-P1, inf-sup stable),

    K(G*) U + B p = 0   at interior nodes:   (2 G* eps(U), eps(V)) - (p, div V) - rho omega^2 (U, V) = 0
    D U           = 0:                       (div U, q) = 0,  up to the tolerance that the likelihood gives it

(kappa is 10^6 |G*|, so that p / kappa vanishes).

G* is trilinear between voxels. The quadrature has 2 x 2 x 2 Gauss points in every voxel-sized subcell, so that
stiffness that changes from voxel to voxel is integrated for what it is. Everything here is dimensionless (Scales).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import basix.ufl
import dolfinx.fem.petsc
import numpy as np
import scipy.sparse as sparse
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.meshing.zones import CELL_SPAN, Zone
from palpate.units import hz_to_rad_s


@dataclass(frozen=True, slots=True)
class Scales:
    """Units in which a zone's equations are near one: the matrices stay well scaled for any tissue and any unit.

    Attributes:
        length_m: h, the smallest voxel edge.
        modulus_pa: g, a typical |G*|.
    """

    length_m: float
    modulus_pa: float

    def inertia(self, density_kg_m3: float, frequency_hz: float) -> float:
        """Inertia against stiffness, rho omega^2 h^2 / g."""
        omega = hz_to_rad_s(frequency_hz)
        return float(density_kg_m3 * omega**2 * self.length_m**2 / self.modulus_pa)


class Equilibrium:
    """Assembles the balance equations of one zone.

    Args:
        zone: the cells, n nodes.
        voxel_size: voxel edges in units of Scales.length_m, shape (3,).
        inertia: rho omega^2 h^2 / g, see Scales.
    """

    def __init__(self, zone: Zone, voxel_size: NDArray[np.float64], inertia: float) -> None:
        self._domain = _mesh_of(zone, voxel_size)
        points, weights = _composite_gauss()
        measure = ufl.Measure(
            "dx",
            domain=self._domain,
            metadata={
                "quadrature_rule": "custom",
                "quadrature_points": points,
                "quadrature_weights": weights,
            },
        )
        cell = "hexahedron"
        displacement = fem.functionspace(self._domain, basix.ufl.element("Lagrange", cell, CELL_SPAN, shape=(3,)))
        pressure = fem.functionspace(self._domain, basix.ufl.element("DPC", cell, 1))
        at_points = fem.functionspace(self._domain, basix.ufl.quadrature_element(cell, points=points, weights=weights))
        self._modulus = fem.Function(at_points)
        self._displacement = fem.Function(displacement)
        self._dofs = _dofs_of_nodes(displacement, zone, voxel_size)
        self._interpolation = _interpolation(zone, self._domain, at_points, points)
        self._assemble_forms(displacement, pressure, at_points, inertia, measure)
        self.rows = (3 * np.flatnonzero(zone.interior)[:, None] + np.arange(3)).ravel()
        """Interior momentum equations as indices into the 3 n displacement components."""

    def _assemble_forms(self, displacement: Any, pressure: Any, at_points: Any, inertia: float, dx: Any) -> None:
        u, v = ufl.TrialFunction(displacement), ufl.TestFunction(displacement)
        q, change = ufl.TestFunction(pressure), ufl.TrialFunction(at_points)

        def strain(w: Any) -> Any:
            return ufl.sym(ufl.grad(w))

        self._stiffness_form = fem.form(2 * self._modulus * ufl.inner(strain(u), strain(v)) * dx)
        self._sensitivity_form = fem.form(2 * change * ufl.inner(strain(self._displacement), strain(v)) * dx)
        mass = _matrix(fem.form(inertia * ufl.inner(u, v) * dx))
        divergence = _matrix(fem.form(ufl.inner(ufl.div(u), q) * dx))
        self._inertia = mass[self._dofs][:, self._dofs].tocsr()
        self.divergence = divergence[:, self._dofs].tocsr()
        """D, shape (pressures, 3 n)."""
        trial = ufl.TrialFunction(pressure)
        self.pressure_mass = _matrix(fem.form(ufl.inner(trial, q) * dx))
        """Mass matrix of the pressures, shape (pressures, pressures)."""

    @property
    def pressure_gradient(self) -> sparse.csr_matrix:
        """B, the pressure in the interior momentum equations, shape (rows, pressures)."""
        return -self.divergence.T.tocsr()[self.rows]

    def momentum(self, modulus: NDArray[np.complex128]) -> sparse.csr_matrix:
        """K(G*), interior rows only, shape (rows, 3 n).

        Args:
            modulus: G* / g at the nodes, shape (n,).
        """
        self._modulus.x.array[:] = self._interpolation @ modulus
        stiffness = _matrix(self._stiffness_form)[self._dofs][:, self._dofs]
        return (stiffness - self._inertia).tocsr()[self.rows]

    def sensitivity(self, displacement: NDArray[np.complex128]) -> sparse.csr_matrix:
        """F, with F dG* = dK(G*) U for every change dG* of the nodal moduli, shape (rows, n).

        Args:
            displacement: U at the nodes, shape (3 n,), components of a node together.
        """
        self._displacement.x.array[self._dofs] = displacement
        at_points = _matrix(self._sensitivity_form)[self._dofs][self.rows]
        return (at_points @ self._interpolation).tocsr()


def _matrix(form: Any) -> sparse.csr_matrix:
    """Assemble a form into a SciPy matrix (DOLFINx's own CSR cannot hold blocks that are not square)."""
    assembled = dolfinx.fem.petsc.assemble_matrix(form)
    assembled.assemble()
    indptr, indices, data = assembled.getValuesCSR()
    matrix = sparse.csr_matrix((data, indices, indptr), shape=assembled.getSize())
    assembled.destroy()
    return matrix


def _composite_gauss() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two-point Gauss rule in each subcell and axis of the reference cell: points (64, 3) and weights (64,)."""
    nodes, weights = np.polynomial.legendre.leggauss(2)
    line = np.concatenate([(0.5 * (nodes + 1.0) + part) / CELL_SPAN for part in range(CELL_SPAN)])
    line_weights = np.tile(0.5 * weights / CELL_SPAN, CELL_SPAN)
    points = np.array(list(itertools.product(line, repeat=3)))
    return points, np.array([np.prod(w) for w in itertools.product(line_weights, repeat=3)])


def _mesh_of(zone: Zone, voxel_size: NDArray[np.float64]) -> mesh.Mesh:
    """The zone's cells as a DOLFINx mesh on this rank alone; coordinates are voxel indices times voxel size."""
    step, last = CELL_SPAN, CELL_SPAN + 1
    corners = [
        (last * last * i + last * j + k) for k, j, i in itertools.product((0, step), repeat=3)
    ]  # DOLFINx counts vertices with the first axis fastest
    used, cells = np.unique(zone.cells[:, corners], return_inverse=True)
    element = basix.ufl.element("Lagrange", "hexahedron", 1, shape=(3,))
    cells = cells.reshape(-1, 8).astype(np.int64)
    return mesh.create_mesh(MPI.COMM_SELF, cells, element, zone.ijk[used] * voxel_size)


def _dofs_of_nodes(space: Any, zone: Zone, voxel_size: NDArray[np.float64]) -> NDArray[np.int64]:
    """The unrolled degrees of freedom of each node's three components, shape (3 n,)."""
    ijk = np.rint(space.tabulate_dof_coordinates() / voxel_size).astype(np.int64)
    extent = zone.ijk.max(axis=0) + 1
    lookup = np.full(tuple(extent), -1, dtype=np.int64)
    lookup[tuple(ijk.T)] = np.arange(len(ijk))
    blocks = lookup[tuple(zone.ijk.T)]
    return np.asarray((3 * blocks[:, None] + np.arange(3)).ravel())


def _interpolation(zone: Zone, domain: mesh.Mesh, at_points: Any, points: NDArray[np.float64]) -> sparse.csr_matrix:
    """Trilinear interpolation from nodes to quadrature points, shape (cells * 64, n); rows in DOLFINx's order."""
    line = CELL_SPAN * points  # position in voxels
    hats = np.maximum(0.0, 1.0 - np.abs(line[:, :, None] - np.arange(CELL_SPAN + 1)))  # (points, axis, node)
    weight = np.einsum("qi,qj,qk->qijk", hats[:, 0], hats[:, 1], hats[:, 2]).reshape(len(points), -1)
    cells = zone.cells[domain.topology.original_cell_index]
    rows = np.repeat(at_points.dofmap.list.reshape(len(cells), -1), cells.shape[1], axis=1)
    columns = np.tile(cells, (1, len(points)))
    values = np.tile(weight.ravel(), len(cells))
    shape = (len(cells) * len(points), len(zone.voxels))
    return sparse.csr_matrix((values, (rows.ravel(), columns.ravel())), shape=shape)
