"""A mesh of tetrahedra with one label each, valid at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
"""Nodes of the face opposite to each node of a positive tetrahedron, seen anticlockwise from outside."""


@dataclass(frozen=True, slots=True)
class TetrahedralMesh:
    """Tetrahedra that meet face to face.

    Attributes:
        points_mm: nodes in world RAS, shape (n, 3).
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
        """What contradicts the promises above; None where nothing does."""
        count = len(self.cells)
        if self.points_mm.ndim != 2 or self.cells.shape != (count, 4) or self.labels.shape != (count,) or not count:
            return f"shapes {self.points_mm.shape}, {self.cells.shape} and {self.labels.shape}"
        if not np.all(np.isfinite(self.points_mm)):
            return "points that are not finite"
        if not np.array_equal(np.unique(self.cells), np.arange(len(self.points_mm))):
            return "nodes that do not exist, or that no cell uses"
        if not set(np.unique(self.labels).tolist()) <= set(self.names):
            return "labels without a name"
        if signed_volumes_mm3(self.points_mm, self.cells).min() <= 0.0:
            return "cells of no or negative volume"
        if np.unique(np.sort(self.cells[:, FACES].reshape(-1, 3), axis=1), axis=0, return_counts=True)[1].max() > 2:
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
    """det(x1 - x0, x2 - x0, x3 - x0) / 6 of each cell, shape (m,).

    Args:
        points_mm: nodes, shape (n, 3).
        cells: nodes of each tetrahedron, shape (m, 4).
    """
    a, b, c = (points_mm[cells[:, corner]] - points_mm[cells[:, 0]] for corner in (1, 2, 3))
    return np.asarray(np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0)


def oriented(points_mm: NDArray[np.float64], cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cells with two nodes swapped where the volume was negative, shape (m, 4)."""
    turned = cells.copy()
    negative = signed_volumes_mm3(points_mm, cells) < 0
    turned[negative, 2:] = turned[negative, :1:-1]
    return turned


def interface_faces(mesh: TetrahedralMesh) -> NDArray[np.int64]:
    """Faces between two labels, or between a label and nothing, each once, nodes ascending, shape (f, 3)."""
    faces = np.sort(mesh.cells[:, FACES].reshape(-1, 3), axis=1)
    order = np.lexsort(faces.T)
    faces, labels = faces[order], np.repeat(mesh.labels, len(FACES))[order]
    again = (faces[1:] == faces[:-1]).all(axis=1)
    inner = np.zeros(len(faces), dtype=bool)
    inner[1:] |= again  # of two equal faces only the first counts, and that one only between two labels
    inner[:-1] |= again & (labels[1:] == labels[:-1])
    return np.asarray(faces[~inner])
