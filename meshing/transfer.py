"""Transfer of fields from voxels to tetrahedra and back.

Integrals are kept, and no value leaves the range of the values that it came from.

With W_vc the volume that voxel v and cell c share, and hat functions phi_n of the nodes,

    cells from voxels    q_c = sum_v W_vc Q_v / |c|            nodes from voxels    u_n = sum_v W_vn Q_v / M_n
    voxels from cells    Q_v = sum_c W_vc q_c / V_v            voxels from nodes    Q_v = sum_n W_vn u_n / V_v

    W_vn = sum_c integral of phi_n over v and c,    M_n = sum_v W_vn,    V_v = sum_c W_vc.

Each is a mean with weights that are not negative, hence the range. V_v is the part of a voxel that the mesh fills, so
a voxel half outside holds the mean over its inner half; with V_v, |c| and M_n as measures all four keep the integral:
M_n is the integral of phi_n, so that sum_n M_n u_n is that of the linear function. The volumes are exact (clip).

The same holds for any part of the cells, so ranks build it for their own cells and add up W Q or W^T q (decision 0041).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.errors import InputError
from palpate.meshing.clip import Pieces, clip

_CELLS_AT_ONCE = 5_000

LARGEST_BEYOND = 0.02
"""Largest share of the mesh that may lie beyond the grid, in the widened outermost voxels."""

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Shared volumes of voxels and cells, and of voxels and hat functions, mm3.

    Attributes:
        cells: W_vc, shape (voxels in C order, m).
        nodes: W_vn, shape (voxels, n).
        shape: shape of the voxel grid, (i, j, k).
        beyond_mm3: volume of cells beyond the grid, which the outermost voxels took.
    """

    cells: sparse.csr_matrix
    nodes: sparse.csr_matrix
    shape: tuple[int, int, int]
    beyond_mm3: float

    @property
    def voxel_volumes_mm3(self) -> Values:
        """Volume V_v of the part of each voxel that the mesh fills, shape (i, j, k)."""
        return np.asarray(self.cells.sum(axis=1)).reshape(self.shape)

    @property
    def cell_volumes_mm3(self) -> Values:
        """Volume |c| of each cell, shape (m,)."""
        return np.asarray(self.cells.sum(axis=0)).ravel()

    @property
    def node_volumes_mm3(self) -> Values:
        """Lumped mass M_n of each node, shape (n,)."""
        return np.asarray(self.nodes.sum(axis=0)).ravel()

    def cells_from_voxels(self, voxels: Values) -> Values:
        """Return the mean of a voxel field over each cell, shape (m,).

        Args:
            voxels: values of the field at voxels, finite, shape (i, j, k).
        """
        return np.asarray(self.cells.T @ checked(voxels, self.shape)) / self.cell_volumes_mm3

    def nodes_from_voxels(self, voxels: Values) -> Values:
        """Return the mean of a voxel field around each node, weighted by its hat function, shape (n,).

        Args:
            voxels: values of the field at voxels, finite, shape (i, j, k).
        """
        return np.asarray(self.nodes.T @ checked(voxels, self.shape)) / self.node_volumes_mm3

    def voxels_from_cells(self, cells: Values, outside: float = np.nan) -> Values:
        """Return the mean over each voxel of a field that is constant in each cell, shape (i, j, k).

        Args:
            cells: values of the field in cells, finite, shape (m,).
            outside: value of voxels that the mesh does not touch.
        """
        cells = checked(cells, (self.cells.shape[1],))
        return means(np.asarray(self.cells @ cells).reshape(self.shape), self.voxel_volumes_mm3, outside)

    def voxels_from_nodes(self, nodes: Values, outside: float = np.nan) -> Values:
        """Return the mean over each voxel of a field that is linear in each cell, shape (i, j, k).

        Args:
            nodes: values of the field at nodes, finite, shape (n,).
            outside: value of voxels that the mesh does not touch.
        """
        nodes = checked(nodes, (self.nodes.shape[1],))
        return means(np.asarray(self.nodes @ nodes).reshape(self.shape), self.voxel_volumes_mm3, outside)


def checked(values: Values, shape: tuple[int, ...]) -> Values:
    """Check the values of a field before it is transferred, and return them flat, shape (n,).

    Args:
        values: values at voxels, cells or nodes.
        shape: shape that the values must have.

    Raises:
        ValueError: another shape, or values that are not finite, which would spread over all their neighbours.
    """
    if values.shape != shape or not np.all(np.isfinite(values)):
        raise ValueError(
            f"a field of {shape} finite numbers is needed, not of {values.shape}; fill what is unknown first"
        )
    return np.asarray(values.ravel())


def means(integrals: Values, volumes_mm3: Values, outside: float) -> Values:
    """Return integrals divided by volumes, and a given value where the volume is zero.

    Args:
        integrals: integrals of a field, any shape.
        volumes_mm3: volumes of the same shape, mm3.
        outside: value where the volume is zero.
    """
    mean = np.divide(integrals, volumes_mm3, out=np.full(integrals.shape, outside), where=volumes_mm3 > 0)
    return np.asarray(mean)


def overlap(points_mm: Values, cells: NDArray[np.int64], affine_mm: Values, shape: tuple[int, int, int]) -> Overlap:
    """Return the volumes that a grid's voxels share with tetrahedra.

    Outermost voxels reach outwards without end, so that a mesh that stands out a little keeps its whole integral;
    see demand_inside.

    Args:
        points_mm: nodes in world RAS, shape (n, 3).
        cells: nodes of tetrahedra of positive volume, shape (m, 4).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        shape: shape of the grid, (i, j, k).
    """
    to_index = np.linalg.inv(affine_mm)
    corners = points_mm @ to_index[:3, :3].T + to_index[:3, 3]
    voxel_mm3 = abs(float(np.linalg.det(affine_mm[:3, :3])))
    size = int(np.prod(shape))
    rows: list[NDArray[np.int64]] = []
    owners: list[NDArray[np.int64]] = []
    weights: list[Values] = []
    beyond_mm3 = 0.0
    for start in range(0, max(len(cells), 1), _CELLS_AT_ONCE):  # a rank may have no cells
        tets = corners[cells[start : start + _CELLS_AT_ONCE]]
        pieces = clip(tets)
        shared = pieces.fraction * (np.abs(np.linalg.det(tets[:, 1:] - tets[:, :1])) / 6.0 * voxel_mm3)[pieces.owner]
        index = np.rint(pieces.middle).astype(np.int64)
        inside = np.clip(index, 0, np.array(shape) - 1)
        beyond_mm3 += float(shared[(index != inside).any(axis=1)].sum())
        rows.append(np.ravel_multi_index(tuple(inside.T), shape))
        owners.append(start + pieces.owner)
        weights.append(_hats(tets, pieces) * shared[:, None])
    row, owner, weight = np.concatenate(rows), np.concatenate(owners), np.concatenate(weights)
    by_cell = sparse.csr_matrix((weight.sum(axis=1), (row, owner)), shape=(size, len(cells)))
    nodes = (np.repeat(row, 4), cells[owner].ravel())
    by_node = sparse.csr_matrix((weight.ravel(), nodes), shape=(size, len(points_mm)))
    return Overlap(by_cell, by_node, shape, beyond_mm3)


def demand_inside(beyond_mm3: float, total_mm3: float, where: str = "mesh") -> None:
    """Refuse a mesh of which much lies beyond the grid.

    Args:
        beyond_mm3: volume beyond the grid that was added to outermost voxels, of all ranks, mm3.
        total_mm3: volume of the whole mesh, mm3.
        where: file of the mesh, named in errors.

    Raises:
        InputError: more than LARGEST_BEYOND.
    """
    if beyond_mm3 > LARGEST_BEYOND * total_mm3:
        raise InputError(
            where,
            found=f"{beyond_mm3 / total_mm3:.0%} of the mesh outside the voxels",
            expected="a mesh and an image of the same place (RAS, mm)",
            advice="Register the image to the mesh's, or give an image that holds the whole mesh.",
        )


def _hats(tets: Values, pieces: Pieces) -> Values:
    """Return the four hat functions at the middle of each piece, shape (p, 4), not below zero, sum one."""
    to_local = np.linalg.inv(tets[:, 1:] - tets[:, :1])
    rest = np.einsum("pi,pij->pj", pieces.middle - tets[pieces.owner, 0], to_local[pieces.owner])
    hats = np.clip(np.concatenate([1.0 - rest.sum(axis=1, keepdims=True), rest], axis=1), 0.0, 1.0)
    return np.asarray(hats / hats.sum(axis=1, keepdims=True))
