"""Kuhn's split of a cube into six tetrahedra around one diagonal.

The split is the same in every cube, so that neighbours share faces exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh, oriented


def kuhn_split(cubes: NDArray[np.integer], affine_mm: NDArray[np.float64], names: Mapping[int, str]) -> TetrahedralMesh:
    """Return the tetrahedral mesh of all cubes that have a label.

    Args:
        cubes: labels, 0 for none, shape (i, j, k).
        affine_mm: cube indices to world RAS millimetres of the cubes' centres, shape (4, 4).
        names: name of each label.
    """
    where = np.argwhere(cubes > 0)
    steps = np.zeros((6, 4, 3), dtype=np.int64)
    for path, order in zip(steps, itertools.permutations(range(3)), strict=True):
        for step, axis in enumerate(order):
            path[step + 1 :, axis] += 1
    corners = (where[:, None, None] + steps).reshape(-1, 3)
    extents = np.array(cubes.shape) + 1
    used, cells = np.unique(np.ravel_multi_index(tuple(corners.T), tuple(extents)), return_inverse=True)
    nodes = np.stack(np.unravel_index(used, tuple(extents)), axis=1) - 0.5
    points = nodes @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    labels = np.repeat(cubes[tuple(where.T)], len(steps)).astype(np.int64)
    return TetrahedralMesh(points, oriented(points, cells.reshape(-1, 4)), labels, names)
