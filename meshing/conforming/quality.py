"""How good tetrahedra are: dihedral angles and radius ratios."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.meshing.conforming.tetrahedral_mesh import FACES

_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


def dihedral_angles_deg(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """The six angles between faces of each tetrahedron, shape (m, 6); 70.5 degrees in a regular one.

    Args:
        points_mm: nodes, shape (n, 3).
        cells: nodes of tetrahedra of positive volume, shape (m, 4).
    """
    corners = points_mm[cells]
    face = corners[:, FACES]
    normals = np.cross(face[:, :, 1] - face[:, :, 0], face[:, :, 2] - face[:, :, 0])
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    cosines = [-np.einsum("ij,ij->i", normals[:, a], normals[:, b]) for a, b in _PAIRS]
    return np.asarray(np.rad2deg(np.arccos(np.clip(np.stack(cosines, axis=1), -1.0, 1.0))))


def radius_ratios(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Three times the inscribed over the circumscribed radius, shape (m,): one if regular, zero if flat.

    Args:
        points_mm: nodes, shape (n, 3).
        cells: nodes of tetrahedra of positive volume, shape (m, 4).
    """
    corners = points_mm[cells]
    a, b, c = (corners[:, corner] - corners[:, 0] for corner in (1, 2, 3))
    ab, bc, ca = np.cross(a, b), np.cross(b, c), np.cross(c, a)
    six_volumes = np.einsum("ij,ij->i", a, bc)
    centre = (a**2).sum(1)[:, None] * bc + (b**2).sum(1)[:, None] * ca + (c**2).sum(1)[:, None] * ab
    outer = np.linalg.norm(centre, axis=1) / (2.0 * np.abs(six_volumes))
    twice_areas = sum(np.linalg.norm(x, axis=1) for x in (ab, bc, ca, np.cross(b - a, c - a)))
    return np.asarray(3.0 * six_volumes / twice_areas / outer)


def edge_lengths_of(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lengths of the six edges of each tetrahedron, shape (m, 6).

    Args:
        points_mm: nodes, shape (n, 3).
        cells: nodes of tetrahedra, shape (m, 4).
    """
    corners = points_mm[cells]
    return np.stack([np.linalg.norm(corners[:, a] - corners[:, b], axis=1) for a, b in _PAIRS], axis=1)
