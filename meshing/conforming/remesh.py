"""Remeshing with MMG3D, which smooths the lattice's staircase and gives its cells the wanted lengths.

MMG: Dapogny, Dobrzynski, Frey, J. Comput. Phys. 262 (2014) 358. It keeps every face between two labels shared.
"""

from __future__ import annotations

import mmgpy
import numpy as np
from numpy.typing import NDArray

from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh, oriented

_SHORTEST = 0.8
"""Shortest edge, as a share of the shortest that is wanted: short edges make flat cells beside long ones."""

_GRADATION = 1.5
"""Largest factor between the lengths of neighbouring edges."""


def remesh(mesh: TetrahedralMesh, lengths_mm: NDArray[np.float64], deviation_mm: float) -> TetrahedralMesh | None:
    """Return a mesh of the same labels with smooth interfaces and edges of the wanted lengths.

    Args:
        mesh: tetrahedra of a lattice.
        lengths_mm: wanted length of edges at each node, shape (nodes,).
        deviation_mm: largest distance between the old interface and the new.

    Returns:
        The new mesh; None if MMG failed or returned an invalid mesh.
    """
    work = mmgpy.MmgMesh3D()
    work.set_mesh_size(vertices=len(mesh.points_mm), tetrahedra=len(mesh.cells))
    work.set_vertices(mesh.points_mm)
    work.set_tetrahedra(mesh.cells.astype(np.int32), mesh.labels)
    work["metric"] = lengths_mm[:, None]
    try:
        work.remesh(
            hmin=_SHORTEST * float(lengths_mm.min()),
            hmax=float(lengths_mm.max()),
            hausd=deviation_mm,
            hgrad=_GRADATION,
            angle=0,  # no ridges: the staircase's edges are none of the anatomy's
            verbose=-1,
        )
    except RuntimeError:
        return None
    cells, labels = work.get_tetrahedra_with_refs()
    points = np.asarray(work.get_vertices(), dtype=np.float64)
    used, numbered = np.unique(cells, return_inverse=True)
    points, numbered = points[used], numbered.reshape(-1, 4).astype(np.int64)
    try:
        return TetrahedralMesh(points, oriented(points, numbered), np.asarray(labels, dtype=np.int64), mesh.names)
    except ValueError:
        return None
