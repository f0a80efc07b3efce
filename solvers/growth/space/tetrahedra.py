"""Conforming tetrahedral mesh as control volumes: linear elements of DOLFINx with lumped mass.

M_i is the integral of the hat function phi_i and S_ij = -integral of grad phi_i . grad phi_j. S_ij < 0 occurs beside
obtuse dihedral angles; such a mesh is not monotone and bounds hold only to the discretisation error.
"""

from __future__ import annotations

import numpy as np
import ufl
from dolfinx import fem, la
from scipy import sparse

from palpate.solvers.compiled import form
from palpate.solvers.growth.space.space import GrowthSpace, space


def tetrahedra(linear: fem.FunctionSpace) -> GrowthSpace:
    """Build a space on the nodes of a distributed mesh; own degrees of freedom in DOLFINx's order. Collective.

    Args:
        linear: space of Lagrange functions of degree 1 on a mesh in metres, as in solvers.mesh_transfer.
    """
    trial, test = ufl.TrialFunction(linear), ufl.TestFunction(linear)
    # Real scalars, whatever PETSc has: growth is real, and complex numbers would double all traffic.
    stiffness = fem.assemble_matrix(form(ufl.inner(ufl.grad(trial), ufl.grad(test)) * ufl.dx, dtype=np.float64))
    stiffness.scatter_reverse()
    volumes = fem.assemble_vector(form(ufl.conj(test) * ufl.dx, dtype=np.float64))
    volumes.scatter_reverse(la.InsertMode.add)
    columns = stiffness.index_map(1)
    own = columns.size_local
    to_global = np.concatenate([np.arange(*columns.local_range), columns.ghosts]).astype(np.int64)
    rows = stiffness.to_scipy()[:own].tocoo()
    conductances = sparse.csr_matrix((-rows.data, (rows.row, to_global[rows.col])), shape=(own, columns.size_global))
    return space(linear.mesh.comm, volumes.array[:own].copy(), conductances)
