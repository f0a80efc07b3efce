"""Small moves of nodes that smooth stairs, restore the labels' volumes and open up the flattest cells.

Stairs: interface nodes go towards the mean of their neighbours in the interface and, a little less, back outwards
(Taubin, SIGGRAPH 1995, 351), which takes away stairs and leaves what is longer than a few edges.

Volumes: of all displacements d of the nodes that give the labels their volumes to first order, the smallest in the
least-squares sense is d = sum_l c_l g_l, with g_l the gradient of label l's volume and c from the normal equations
sum_m <g_l, g_m> c_m = wanted change of l. It moves interfaces along their normals and nothing else.

Angles: around a cell that is too flat each node in turn is tried at places in fixed directions and moved to the one
where the smallest angle of all its cells is largest. Topology stays as it is, so neighbours keep sharing their faces.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.meshing.conforming.quality import dihedral_angles_deg
from palpate.meshing.conforming.tetrahedral_mesh import (
    FACES,
    TetrahedralMesh,
    interface_faces,
    signed_volumes_mm3,
)

_SLOPES = (0.5, -0.53) * 4
"""Shares of the way to the neighbours' mean, step by step."""

_LONGEST_MOVE = 0.5
"""Longest way of a node from stair to slope, in edge lengths of the lattice."""

_VOLUME_ROUNDS = 6

_ANGLE_ROUNDS = 8

_DIRECTIONS = np.array([d for d in itertools.product((-1.0, 0.0, 1.0), repeat=3) if any(d)])
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)

_REACHES = (0.02, 0.05, 0.1, 0.2)
"""Lengths of trial moves, in edges of the lattice."""

type Points = NDArray[np.float64]


def smooth_stairs(mesh: TetrahedralMesh, floor_deg: float, edge_mm: float) -> TetrahedralMesh:
    """Move interfaces from stairs to slopes.

    A node whose move would leave a cell with an angle below the floor stays where it is for that step.

    Args:
        mesh: tetrahedra of a lattice of cubes.
        floor_deg: smallest angle that moves may make, below the lattice's own, degrees.
        edge_mm: edge length of the lattice, millimetres.
    """
    faces = interface_faces(mesh)
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [0, 2]]])
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    count = len(mesh.points_mm)
    neighbours = sparse.csr_matrix((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    degrees = np.asarray(neighbours.sum(axis=1))
    here = np.flatnonzero(degrees.ravel())
    floors = np.full(len(mesh.cells), floor_deg)
    points = mesh.points_mm
    for share in _SLOPES:
        moved = points.copy()
        moved[here] += share * ((neighbours @ points)[here] / degrees.reshape(-1, 1)[here] - points[here])
        way = moved - mesh.points_mm
        length = np.linalg.norm(way, axis=1, keepdims=True)
        moved = mesh.points_mm + way * np.minimum(1.0, _LONGEST_MOVE * edge_mm / np.maximum(length, 1e-12))
        points, _ = _held(points, moved, mesh.cells, floors)
    return replace(mesh, points_mm=points)


def fit_volumes(mesh: TetrahedralMesh, wanted_mm3: Mapping[int, float], floor_deg: float) -> TetrahedralMesh:
    """Move interfaces so that labels have their wanted volumes.

    A node whose move would leave a cell with an angle below the floor stays where it is.

    Args:
        mesh: any mesh of labels.
        wanted_mm3: wanted volume of each label, mm3.
        floor_deg: smallest angle that moves may make, degrees.
    """
    points = mesh.points_mm
    floors = np.minimum(dihedral_angles_deg(points, mesh.cells).min(axis=1) - 1e-9, floor_deg)
    frozen = np.zeros(len(points), dtype=bool)
    labels = sorted(wanted_mm3)
    for _ in range(_VOLUME_ROUNDS):
        volumes = signed_volumes_mm3(points, mesh.cells)
        lack = np.array([wanted_mm3[label] - volumes[mesh.labels == label].sum() for label in labels])
        gradients = np.stack([_volume_gradient(points, mesh.cells[mesh.labels == label]) for label in labels])
        gradients[:, frozen] = 0.0
        flat = gradients.reshape(len(labels), -1)
        moved = points + np.tensordot(np.linalg.lstsq(flat @ flat.T, lack, rcond=1e-10)[0], gradients, axes=1)
        points, stayed = _held(points, moved, mesh.cells, floors)
        frozen |= stayed
    return replace(mesh, points_mm=points)


def open_angles(mesh: TetrahedralMesh, wanted_deg: float, edge_mm: float) -> TetrahedralMesh:
    """Move the nodes of cells with too small an angle to places where the smallest angle around them is largest.

    Args:
        mesh: any mesh of labels.
        wanted_deg: smallest angle to reach, degrees; an angle that cannot reach it is made as large as the moves allow.
        edge_mm: length, millimetres; the lengths of trial moves are shares of it.
    """
    points = mesh.points_mm.copy()
    order = np.argsort(mesh.cells.ravel(), kind="stable")
    first = np.searchsorted(mesh.cells.ravel()[order], np.arange(len(points) + 1))
    smallest = dihedral_angles_deg(points, mesh.cells).min(axis=1)
    for _ in range(_ANGLE_ROUNDS):
        bad = np.flatnonzero(smallest < wanted_deg)
        for cell in bad[np.argsort(smallest[bad], kind="stable")]:
            for node in mesh.cells[cell]:
                around = order[first[node] : first[node + 1]] // 4
                points[node] = _best_place(points, mesh.cells[around], node, edge_mm)
                smallest[around] = dihedral_angles_deg(points, mesh.cells[around]).min(axis=1)
    return replace(mesh, points_mm=points)


def _best_place(points: Points, around: NDArray[np.int64], node: int, edge_mm: float) -> Points:
    """Return the trial place of a node where the smallest angle of its cells is largest; its own where none helps."""
    moves = [np.zeros((1, 3)), *(reach * edge_mm * _DIRECTIONS for reach in _REACHES)]
    places = points[node] + np.concatenate(moves)
    corners = np.where((around == node)[None, ..., None], places[:, None, None], points[around])
    trial = corners.reshape(-1, 3)
    cells = np.arange(len(trial)).reshape(-1, 4)
    angles = _angles_of_positive(trial, cells).reshape(len(places), -1).min(axis=1)
    return np.asarray(places[int(angles.argmax())])


def _angles_of_positive(points: Points, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Smallest angle of each cell, shape (m,); -1 where the volume is not positive."""
    angles = np.full(len(cells), -1.0)
    positive = signed_volumes_mm3(points, cells) > 0
    angles[positive] = dihedral_angles_deg(points, cells[positive]).min(axis=1)
    return angles


def _held(
    points: Points, moved: Points, cells: NDArray[np.int64], floors: NDArray[np.float64]
) -> tuple[Points, NDArray[np.bool_]]:
    """Return the moved points, those of spoiled cells put back until no cell is spoiled; and which ones those are."""
    moved, stayed = moved.copy(), np.zeros(len(points), dtype=bool)
    seen = np.arange(len(cells))
    while True:
        spoiled = seen[_spoiled(moved, cells[seen], floors[seen])]
        if not spoiled.size:
            return moved, stayed
        back = np.unique(cells[spoiled])
        stayed[back] = True
        moved[back] = points[back]
        # Only cells of a node that went back can have changed.
        returned = np.zeros(len(points), dtype=bool)
        returned[back] = True
        seen = np.flatnonzero(returned[cells].any(axis=1))


def _spoiled(points: Points, cells: NDArray[np.int64], floors: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(_angles_of_positive(points, cells) < floors)


def _volume_gradient(points: Points, cells: NDArray[np.int64]) -> Points:
    """Derivative of the cells' total volume to each node: a third of the area of the opposite faces, shape (n, 3)."""
    gradient = np.zeros_like(points)
    corners = np.ascontiguousarray(points[cells].transpose(1, 2, 0))
    for corner in range(4):
        first, second, third = corners[FACES[corner]]
        (a0, a1, a2), (b0, b1, b2) = second - first, third - first
        inward = (a2 * b1 - a1 * b2, a0 * b2 - a2 * b0, a1 * b0 - a0 * b1)
        for axis in range(3):
            gradient[:, axis] += np.bincount(cells[:, corner], weights=inward[axis], minlength=len(points))
    return gradient / 6.0
