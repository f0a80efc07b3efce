"""The forward solver's mesh: a lattice of cubes, each cut into six tetrahedra, in the frame of the slices.

Its edge is no multiple of the voxel, so that no node pattern of the inversion can repeat it.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.tissue import Head


def forward_lattice(
    settings: PhantomSettings, grid: ScanGrid, head: Head
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices (n, 3), world RAS mm, and tetrahedra (m, 4) of the domain in which waves are computed.

    For a block this is the imaged block with a margin, for the whole brain every cube that holds a piece of it.
    """
    edges_mm = np.asarray(grid.shape) * grid.voxel_mm + 2 * settings.margin_mm
    counts = np.ceil(edges_mm / settings.element_edge_mm).astype(int)
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    centre = grid.affine_mm[:3, :3] @ ((np.asarray(grid.shape) - 1) / 2) + grid.affine_mm[:3, 3]
    if settings.extent == "region":
        return kuhn_lattice(centre, grid.axes, edges_mm / counts, np.ones(shape, dtype=np.bool_))
    voxels_mm = grid.points_mm
    tissue_mm = np.concatenate([head.brain_points_mm, voxels_mm[head.in_brain(voxels_mm)]])
    along = (tissue_mm - centre) @ grid.axes / settings.element_edge_mm + counts / 2
    chosen = np.zeros(shape, dtype=np.bool_)
    chosen[tuple(np.clip(np.floor(along).astype(int), 0, counts - 1).T)] = True
    return kuhn_lattice(centre, grid.axes, np.full(3, settings.element_edge_mm), chosen)


def kuhn_lattice(
    centre_mm: NDArray[np.float64],
    axes: NDArray[np.float64],
    edge_mm: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cut the chosen cells of a lattice into six tetrahedra each (Kuhn's subdivision, conforming).

    Args:
        centre_mm: centre of the whole lattice, world RAS, mm, shape (3,).
        axes: unit vectors of the lattice as columns, shape (3, 3).
        edge_mm: cell edges along these axes, mm, shape (3,).
        chosen: whether a cell is kept, shape of the lattice.

    Returns:
        Vertices (n, 3), world RAS millimetres, and positively oriented tetrahedra (m, 4).
    """
    nodes = np.asarray(chosen.shape) + 1
    strides = np.array([nodes[1] * nodes[2], nodes[2], 1])
    corner = np.argwhere(chosen) @ strides
    paths = []
    for order in permutations(range(3)):
        steps = np.concatenate([[0], np.cumsum(strides[list(order)])])
        parity = np.linalg.det(np.eye(3)[list(order)]) * np.linalg.det(axes)
        paths.append(steps if parity > 0 else steps[[0, 2, 1, 3]])
    cells = (corner[:, None, None] + np.asarray(paths)).reshape(-1, 4)
    used, compact = np.unique(cells, return_inverse=True)
    index = np.stack(np.unravel_index(used, tuple(nodes)), axis=-1)
    local_mm = (index - np.asarray(chosen.shape) / 2) * edge_mm
    return centre_mm + local_mm @ axes.T, np.asarray(compact.reshape(-1, 4), dtype=np.int64)
