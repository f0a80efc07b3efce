"""Mesh of tetrahedra with one label each; its validity is checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
"""Nodes of the face opposite to each node of a positive tetrahedron, seen anticlockwise from outside."""

_BITS = 21
_LOW = (1 << _BITS) - 1
MOST_NODES = 1 << _BITS
"""Largest number of nodes that fits into a third of a face's number of 63 bits: twelve million cells."""

_AT_ONCE = 16_384
"""Number of cells whose intermediate arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class TetrahedralMesh:
    """Mesh of tetrahedra that meet face to face, each with a label.

    Attributes:
        points_mm: nodes in world RAS millimetres, shape (n, 3).
        cells: nodes of each tetrahedron, of positive volume, shape (m, 4).
        labels: label of each tetrahedron, shape (m,).
        names: name of each label.
    """

    points_mm: NDArray[np.float64]
    cells: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        fault = self._fault()
        if fault:
            raise ValueError(f"no mesh of tetrahedra: {fault}")

    def _fault(self) -> str | None:
        """Return what contradicts the promises above; None where nothing does."""
        count = len(self.cells)
        if self.points_mm.ndim != 2 or self.cells.shape != (count, 4) or self.labels.shape != (count,) or not count:
            return f"shapes {self.points_mm.shape}, {self.cells.shape} and {self.labels.shape}"
        if len(self.points_mm) > MOST_NODES:
            return f"{len(self.points_mm)} nodes, more than {MOST_NODES}"
        if not np.all(np.isfinite(self.points_mm)):
            return "points that are not finite"
        if self.cells.min() < 0 or self.cells.max() >= len(self.points_mm):
            return "nodes that do not exist"
        if np.bincount(self.cells.ravel(), minlength=len(self.points_mm)).min() == 0:
            return "nodes that no cell uses"
        if not set(np.unique(self.labels).tolist()) <= set(self.names):
            return "labels without a name"
        if signed_volumes_mm3(self.points_mm, self.cells).min() <= 0.0:
            return "cells of no or negative volume"
        keys = np.sort(_face_keys(self.cells))
        if np.any(keys[2:] == keys[:-2]):
            return "faces of more than two cells"
        return None

    @property
    def volumes_mm3(self) -> NDArray[np.float64]:
        """Volumes of the cells, shape (m,)."""
        return signed_volumes_mm3(self.points_mm, self.cells)

    @property
    def label_volumes_mm3(self) -> dict[int, float]:
        """Volume of each named label; zero where no cell has it."""
        volumes = self.volumes_mm3
        return {label: float(volumes[self.labels == label].sum()) for label in self.names}


def signed_volumes_mm3(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the signed volume det(x1 - x0, x2 - x0, x3 - x0) / 6 of each cell, mm3, shape (m,).

    Args:
        points_mm: nodes, millimetres, shape (n, 3).
        cells: nodes of each tetrahedron, shape (m, 4).
    """
    volumes = np.empty(len(cells))
    for start in range(0, len(cells), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        corners = np.ascontiguousarray(points_mm[cells[part]].transpose(1, 2, 0))
        (a0, a1, a2), (b0, b1, b2), (c0, c1, c2) = corners[1:] - corners[0]
        volumes[part] = a0 * (b1 * c2 - b2 * c1) + a1 * (b2 * c0 - b0 * c2) + a2 * (b0 * c1 - b1 * c0)
    return volumes / 6.0


def _face_keys(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number for each face of each cell, equal for equal faces, shape (4 m,); nodes below 2^21."""
    faces = np.sort(cells[:, FACES].reshape(-1, 3), axis=1)
    return np.asarray((faces[:, 0] << 2 * _BITS) | (faces[:, 1] << _BITS) | faces[:, 2])


def oriented(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the cells with two nodes swapped where the volume was negative, shape (m, 4)."""
    turned = cells.copy()
    negative = signed_volumes_mm3(points_mm, cells) < 0
    turned[negative, 2:] = turned[negative, :1:-1]
    return turned


def interface_faces(mesh: TetrahedralMesh) -> NDArray[np.int64]:
    """Return the faces between two labels, or between a label and nothing, each once, nodes ascending, shape (f, 3)."""
    keys = _face_keys(mesh.cells)
    order = np.argsort(keys, kind="stable")
    keys, labels = keys[order], np.repeat(mesh.labels, len(FACES))[order]
    again = keys[1:] == keys[:-1]
    inner = np.zeros(len(keys), dtype=bool)
    inner[1:] |= again  # of two equal faces only the first counts, and that one only between two labels
    inner[:-1] |= again & (labels[1:] == labels[:-1])
    found = keys[~inner]
    return np.stack([found >> 2 * _BITS, found >> _BITS & _LOW, found & _LOW], axis=1)
