"""Labelled meshes on any number of ranks, and transfer of their fields to and from voxels and files.

Values are assigned by the numbers of cells and nodes in the mesh's file, which DOLFINx keeps for each of its own cells
(original_cell_index) and nodes (input_global_indices). A file that two ranks wrote can thus be read by any number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from dolfinx import fem, la, mesh
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.transfer import Overlap, checked, demand_inside, means, overlap
from palpate.solvers.wave import Tetrahedra, distribute
from palpate.units import m_to_mm, mm_to_m

type Values = NDArray[np.float64]


def distribute_labels(comm: MPI.Comm, tetrahedra: TetrahedralMesh | None) -> tuple[mesh.Mesh, mesh.MeshTags]:
    """Spread a mesh of labels over the ranks, in metres; only rank 0's argument is read. Collective.

    Returns:
        The mesh, and the labels of the cells that each rank owns.
    """
    brought = None if tetrahedra is None else Tetrahedra(mm_to_m(tetrahedra.points_mm), tetrahedra.cells)
    domain = distribute(comm, brought)
    labels = comm.bcast(None if tetrahedra is None else tetrahedra.labels, root=0)
    own = _owned_cells(domain)
    values = labels[domain.topology.original_cell_index[: len(own)]].astype(np.int32)
    return domain, mesh.meshtags(domain, domain.topology.dim, own, values)


@dataclass(frozen=True, slots=True)
class VoxelTransfer:
    """Fields between the voxels of one grid, which every rank holds whole, and a distributed mesh.

    Attributes:
        overlap: volumes that this rank's own cells share with the voxels.
        linear: functions that are linear in each cell.
        constant: functions that are constant in each cell.
        volumes_mm3: V_v, the part of each voxel that the mesh fills, of all ranks, shape (i, j, k).
        node_volumes: lumped mass of each linear function's degree of freedom, mm3.
    """

    overlap: Overlap
    linear: fem.FunctionSpace
    constant: fem.FunctionSpace
    volumes_mm3: Values
    node_volumes: fem.Function

    def to_nodes(self, voxels: Values) -> fem.Function:
        """Return a linear function from a voxel field, shape (i, j, k), finite. Collective."""
        field = _summed(self.linear, np.asarray(self.overlap.nodes.T @ checked(voxels, self.overlap.shape)))
        field.x.array[:] /= self.node_volumes.x.array
        return field

    def to_cells(self, voxels: Values) -> fem.Function:
        """Return a function that is constant in each cell from a voxel field, shape (i, j, k), finite. Collective."""
        field = fem.Function(self.constant)
        own = _owned_cells(self.constant.mesh)
        field.x.array[self.constant.dofmap.list[own, 0]] = self.overlap.cells_from_voxels(voxels)
        field.x.scatter_forward()
        return field

    def from_nodes(self, field: fem.Function, outside: float = np.nan) -> Values:
        """Return the means over voxels of a linear function's real part, shape (i, j, k), on every rank. Collective."""
        nodes = np.empty(self.overlap.nodes.shape[1])
        dofs, geometry = self.linear.dofmap.list, self.linear.mesh.geometry.dofmaps[0]
        nodes[geometry.ravel()] = field.x.array.real[dofs.ravel()]
        return self._means(np.asarray(self.overlap.nodes @ nodes), outside)

    def from_cells(self, field: fem.Function, outside: float = np.nan) -> Values:
        """Return the means over voxels of a cell-wise constant function's real part, on every rank. Collective."""
        own = _owned_cells(self.constant.mesh)
        values = field.x.array.real[self.constant.dofmap.list[own, 0]]
        return self._means(np.asarray(self.overlap.cells @ values), outside)

    def _means(self, integrals: Values, outside: float) -> Values:
        total = _all_sum(self.linear.mesh.comm, integrals)
        return means(total.reshape(self.overlap.shape), self.volumes_mm3, outside)


def voxel_transfer(domain: mesh.Mesh, affine_mm: Values, shape: tuple[int, int, int]) -> VoxelTransfer:
    """Prepare the transfer between a voxel grid and a distributed mesh. Collective.

    Args:
        domain: mesh from distribute_labels, metres.
        affine_mm: transform of voxel indices to world RAS millimetres, shape (4, 4).
        shape: number of voxels of the grid along i, j, k.

    Raises:
        InputError: much of the mesh lies beyond the grid; on all ranks alike.
    """
    own = _owned_cells(domain)
    shared = overlap(m_to_mm(domain.geometry.x), domain.geometry.dofmaps[0][own].astype(np.int64), affine_mm, shape)
    volumes = _all_sum(domain.comm, shared.voxel_volumes_mm3)
    demand_inside(domain.comm.allreduce(shared.beyond_mm3), float(volumes.sum()))
    linear = fem.functionspace(domain, ("Lagrange", 1))
    return VoxelTransfer(
        shared,
        linear,
        fem.functionspace(domain, ("DG", 0)),
        volumes,
        _summed(linear, np.asarray(shared.nodes.sum(axis=0)).ravel()),
    )


def gather_nodes(field: fem.Function) -> Values | None:
    """Return a linear function's real values in the order of the mesh's file, on rank 0; None elsewhere. Collective."""
    space = field.function_space
    numbers = _file_numbers_of_nodes(space)[: space.dofmap.index_map.size_local]
    return _gather(space.mesh.comm, numbers, field.x.array.real[: len(numbers)])


def gather_cells(field: fem.Function) -> Values | None:
    """Return a cell-wise constant function's real values in the order of the mesh's file, on rank 0. Collective."""
    space = field.function_space
    own = _owned_cells(space.mesh)
    numbers = space.mesh.topology.original_cell_index[: len(own)]
    return _gather(space.mesh.comm, numbers, field.x.array.real[space.dofmap.list[own, 0]])


def scatter_nodes(space: fem.FunctionSpace, values: Values | None) -> fem.Function:
    """Return a linear function from values in the order of the mesh's file; only rank 0's are read. Collective."""
    field = fem.Function(space)
    field.x.array[:] = space.mesh.comm.bcast(values, root=0)[_file_numbers_of_nodes(space)]
    return field


def scatter_cells(space: fem.FunctionSpace, values: Values | None) -> fem.Function:
    """Return a cell-wise constant function from values in the order of the mesh's file. Collective.

    Only rank 0's values are read.
    """
    field = fem.Function(space)
    own = _owned_cells(space.mesh)
    numbers = space.mesh.topology.original_cell_index[: len(own)]
    field.x.array[space.dofmap.list[own, 0]] = space.mesh.comm.bcast(values, root=0)[numbers]
    field.x.scatter_forward()
    return field


def _owned_cells(domain: mesh.Mesh) -> NDArray[np.int32]:
    return np.arange(domain.topology.index_map(domain.topology.dim).size_local, dtype=np.int32)


def _file_numbers_of_nodes(space: fem.FunctionSpace) -> NDArray[np.int64]:
    """Return the file's node at each local degree of freedom, ghosts included."""
    numbers = np.empty(space.dofmap.index_map.size_local + space.dofmap.index_map.num_ghosts, dtype=np.int64)
    geometry = space.mesh.geometry
    numbers[space.dofmap.list.ravel()] = geometry.input_global_indices[geometry.dofmaps[0].ravel()]
    return numbers


def _summed(space: fem.FunctionSpace, by_node: Values) -> fem.Function:
    """Return a linear function from each rank's contributions to its geometry nodes. Collective."""
    field = fem.Function(space)
    field.x.array[space.dofmap.list.ravel()] = by_node[space.mesh.geometry.dofmaps[0].ravel()]
    field.x.scatter_reverse(la.InsertMode.add)
    field.x.scatter_forward()
    return field


def _all_sum(comm: MPI.Comm, values: Values) -> Values:
    total = np.empty_like(values)
    comm.Allreduce(np.ascontiguousarray(values), total, op=MPI.SUM)
    return total


def _gather(comm: MPI.Comm, numbers: NDArray[np.int64], values: Values) -> Values | None:
    parts = comm.gather((numbers, values), root=0)
    if parts is None:
        return None
    whole = np.empty(sum(len(one) for one, _ in parts))
    for one, part in parts:
        whole[one] = part
    return whole
