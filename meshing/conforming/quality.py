"""Quality measures of tetrahedra: dihedral angles, radius ratios and edge lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))

_AT_ONCE = 16_384
"""Number of cells whose intermediate arrays stay in the processor's cache."""


def dihedral_angles_deg(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the six angles between faces of each tetrahedron, shape (m, 6); 70.5 degrees in a regular one.

    Args:
        points_mm: nodes, shape (n, 3).
        cells: nodes of tetrahedra of positive volume, shape (m, 4).
    """
    angles = np.empty((len(cells), len(_PAIRS)))
    for start in range(0, len(cells), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        angles[part] = _angles_rad(points_mm, cells[part]).T
    return np.asarray(np.rad2deg(angles, out=angles))


def _angles_rad(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return angles in the order of _PAIRS, shape (6, m).

    Component by component, since arrays of three-vectors take numpy three times as long. The four normals add up to
    zero, so that three crossed products give all.
    """
    corners = np.ascontiguousarray(points_mm[cells].transpose(1, 2, 0))
    a, b, c = corners[1:] - corners[0]
    normals = [_crossed(c, b), _crossed(a, c), _crossed(b, a)]
    normals.insert(0, -(normals[0] + normals[1] + normals[2]))
    squares = [(one * one).sum(axis=0) for one in normals]
    pairs = [(normals[i] * normals[j]).sum(axis=0) / np.sqrt(squares[i] * squares[j]) for i, j in _PAIRS]
    return np.asarray(np.arccos(np.clip(-np.stack(pairs), -1.0, 1.0)))


def _crossed(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return products of vectors in columns, shape (3, m)."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def radius_ratios(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return three times the inscribed over the circumscribed radius, shape (m,): one if regular, zero if flat.

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
    """Return the lengths of the six edges of each tetrahedron, shape (m, 6).

    Args:
        points_mm: nodes, shape (n, 3).
        cells: nodes of tetrahedra, shape (m, 4).
    """
    corners = points_mm[cells]
    return np.stack([np.linalg.norm(corners[:, a] - corners[:, b], axis=1) for a, b in _PAIRS], axis=1)
