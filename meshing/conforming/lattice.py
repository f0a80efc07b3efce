"""Lattice of cubes over labelled voxels, one label a cube, that keeps the labels' volumes.

A cube takes the label l with the largest s_l + w_l, where s_l is the label's share of the cube, smoothed a little, and
the offsets w_l are such that each label gets as many cubes as its voxels fill. A plain majority would leave too few
cubes to whatever is thinner than a cube, such as the horns of ventricles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_SMOOTHING = 0.6
"""Standard deviation in cubes of the Gaussian over shares: enough to tell apart cubes with equal shares."""

_SWEEPS = 40
"""Largest number of times that the offsets of all labels are renewed; they settle after about ten."""

_TIES = 1e-3
"""Size of fixed pseudo-random differences between cubes with equal shares; without them a label would get all such
cubes or none."""

BORDER = 2
"""Number of empty cubes around the labels, so that no interface lies on the lattice's end."""


@dataclass(frozen=True, slots=True)
class MeshLattice:
    """Lattice of cubes along orthogonal axes.

    Attributes:
        scores: smoothed share s_l of each label in each cube, shape (L + 1, i, j, k); the first is no label.
        targets: number of cubes that each label's voxels fill, not rounded, shape (L + 1,).
        affine_mm: cube indices to world RAS millimetres of the cubes' centres, shape (4, 4).
    """

    scores: NDArray[np.float32]
    targets: NDArray[np.float64]
    affine_mm: NDArray[np.float64]


def lattice_of(labels: NDArray[np.integer], count: int, affine_mm: NDArray[np.float64], edge_mm: float) -> MeshLattice:
    """Return the shares of labels in the cubes of a lattice along the voxels' axes.

    Args:
        labels: 0 for none, else 1 to count, shape (i, j, k), at least one not zero.
        count: number L of labels.
        affine_mm: voxel indices to world RAS millimetres with orthogonal axes, shape (4, 4).
        edge_mm: edge length of a cube, millimetres.
    """
    voxel_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    where = np.argwhere(labels > 0)
    low_mm, high_mm = (where.min(axis=0) - 0.5) * voxel_mm, (where.max(axis=0) + 0.5) * voxel_mm
    cubes = np.ceil((high_mm - low_mm) / edge_mm).astype(int) + 2 * BORDER
    first_mm = (low_mm + high_mm) / 2 - (cubes - 1) / 2 * edge_mm
    along = [_overlaps(labels.shape[a], cubes[a], first_mm[a] / voxel_mm[a], edge_mm / voxel_mm[a]) for a in range(3)]
    scores = np.stack([_share(labels == number, along) for number in range(1, count + 1)])
    scores = np.concatenate([1.0 - scores.sum(axis=0, keepdims=True), scores])
    for share in scores:
        ndimage.gaussian_filter(share, _SMOOTHING, output=share, mode="nearest")
    counts = np.bincount(labels.ravel(), minlength=count + 1)
    targets = np.asarray(counts * float(np.prod(voxel_mm)) / edge_mm**3, dtype=np.float64)
    targets[0] = float(np.prod(cubes)) - targets[1:].sum()
    to_world = np.eye(4)
    to_world[:3, :3] = affine_mm[:3, :3] / voxel_mm * edge_mm
    to_world[:3, 3] = affine_mm[:3, :3] @ (first_mm / voxel_mm) + affine_mm[:3, 3]
    return MeshLattice(scores.astype(np.float32), targets, to_world)


def vote(lattice: MeshLattice, targets: NDArray[np.float64]) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Give each cube one label, so that each label gets its number of cubes.

    Args:
        lattice: smoothed shares of the labels in the cubes.
        targets: wanted number of cubes of each label, shape (L + 1,); the first is not used.

    Returns:
        Labels of the cubes, shape (i, j, k), and the offsets w_l, shape (L + 1,).
    """
    scores = lattice.scores.reshape(len(lattice.scores), -1)
    # Cubes deep in one label have no say in where its border lies.
    mixed = np.flatnonzero(scores.max(axis=0) < 1 - 1e-6)
    scores = scores + np.random.default_rng(0).uniform(0.0, _TIES, scores.shape).astype(np.float32)
    sure = np.bincount(np.delete(scores, mixed, axis=1).argmax(axis=0), minlength=len(scores))
    offsets = np.zeros(len(scores))
    wanted = np.clip(np.rint(targets - sure).astype(int), 0, len(mixed) - 1)
    part = scores[:, mixed].astype(np.float64)
    for _ in range(_SWEEPS):
        before = offsets.copy()
        for label in range(1, len(scores)):
            others = np.delete(part + offsets[:, None], label, axis=0).max(axis=0)
            margin = others - part[label]  # the offset from which on a cube is this label's
            if wanted[label] > 0:
                pair = np.partition(margin, (wanted[label] - 1, wanted[label]))
                offsets[label] = (pair[wanted[label] - 1] + pair[wanted[label]]) / 2
        if np.abs(offsets - before).max() < 1e-4:
            break
    chosen = (scores + offsets[:, None].astype(np.float32)).argmax(axis=0).astype(np.int16)
    return chosen.reshape(lattice.scores.shape[1:]), offsets


def _overlaps(voxels: int, cubes: int, first: float, edge: float) -> NDArray[np.float64]:
    """Share of each cube's edge that lies in each voxel, along one axis and in voxels, shape (cubes, voxels)."""
    low = first + edge * (np.arange(cubes)[:, None] - 0.5)
    voxel = np.arange(voxels)
    shared = np.minimum(low + edge, voxel + 0.5) - np.maximum(low, voxel - 0.5)
    return np.asarray(np.clip(shared, 0.0, None) / edge)


def _share(inside: NDArray[np.bool_], along: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Share of each cube that lies inside: exact, one axis after the other."""
    share = inside.astype(np.float64)
    for overlaps in along:
        share = np.tensordot(share, overlaps, axes=(0, 1))  # takes the first axis, puts the cubes last
    return share
