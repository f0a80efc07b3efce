"""Nodes between and beyond thick voxels: the lattice on which a displacement lives that the scanner averages.

Along an axis whose voxels are too long for the wave, each voxel is divided into an even number r of intervals, so that
whole quadratic elements fit into it: nodes lie on its borders and between them, r N + 1 for N voxels. Along the other
axes nodes are the voxels' centres. With w the width that the scanner averages along an axis (a slice's thickness, or
the voxel's edge), a datum is the mean of the quadratic interpolant,

    d_v = 1/w int_{c_v - w/2}^{c_v + w/2} U dx = sum_n A_vn U_n,

exactly, by Gauss points in every element that the width reaches into. Moduli stay constant in a voxel; a node on a
border between voxels has the geometric mean of theirs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Final

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import CELL_SPAN
from palpate.units import m_to_mm

SOFTEST_SPEED_M_PER_S: Final = 1.2
"""Speed of shear waves in soft tissue (1.5 kPa) for which nodes must be close enough, metre per second."""

NODES_A_WAVELENGTH: Final = 3.6
"""Least number of nodes in a wavelength at that speed: nearly two quadratic elements."""


@dataclass(frozen=True)
class Lattice:
    """Lattice of nodes of a mask.

    Attributes:
        mask: mask of N voxels, shape (i, j, k).
        voxel_size_mm: distance between voxels along i, j, k, mm.
        divisions: number r of intervals between nodes in a voxel along each axis; 1 where nodes are the centres.
        width: part of the distance between voxels that the scanner averages, along each axis; 1 without gaps.
    """

    mask: NDArray[np.bool_]
    voxel_size_mm: tuple[float, float, float]
    divisions: tuple[int, int, int]
    width: tuple[float, float, float]

    @property
    def plain(self) -> bool:
        """Whether nodes are the voxels' centres along all axes."""
        return all(count == 1 for count in self.divisions)

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance between nodes along i, j, k, mm, shape (3,)."""
        return np.asarray(self.voxel_size_mm) / self.divisions

    def affine_mm(self, voxels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the affine of the nodes from that of the voxels, shape (4, 4)."""
        parts = np.asarray(self.divisions, dtype=np.float64)
        found = np.diag([*(1.0 / parts), 1.0])
        found[:3, 3] = np.where(parts > 1.0, -0.5, 0.0)
        return np.asarray(voxels @ found)

    @cached_property
    def nodes(self) -> NDArray[np.bool_]:
        """Nodes within tissue or on its border, shape (nodes along i, j, k)."""
        if self.plain:
            return self.mask
        shape = tuple(_nodes(count, parts) for count, parts in zip(self.mask.shape, self.divisions, strict=True))
        reached = _product([_touched(n, r) for n, r in zip(self.mask.shape, self.divisions, strict=True)])
        return np.asarray((reached @ self.mask.ravel().astype(np.float64)).reshape(shape) > 0.0)

    def means(self, axis: int, start: int, count: int) -> sparse.csr_matrix:
        """Return the means over voxels along one axis of the interpolant between some nodes.

        Args:
            axis: axis i, j or k as 0, 1 or 2.
            start: first of the nodes.
            count: number of nodes, odd.

        Returns:
            Matrix of shape (voxels along the axis, count); rows of voxels that are not wholly between the nodes are
            empty.
        """
        parts, voxels = self.divisions[axis], self.mask.shape[axis]
        if parts == 1:
            inside = np.arange(start, min(start + count, voxels))
            return sparse.csr_matrix((np.ones(len(inside)), (inside, inside - start)), shape=(voxels, count))
        return _interval_means(voxels, parts, self.width[axis], start, count)

    def touched(self, axis: int, start: int, count: int) -> sparse.csr_matrix:
        """Return which voxels some nodes along one axis touch, shape (count, voxels along the axis).

        Args:
            axis: axis i, j or k as 0, 1 or 2.
            start: first of the nodes.
            count: number of nodes.
        """
        return _touched(self.mask.shape[axis], self.divisions[axis])[start : start + count]


def lattice_of(
    mask: NDArray[np.bool_],
    voxel_size_mm: NDArray[np.float64],
    frequency_hz: float,
    slice_thickness_mm: float | None = None,
) -> Lattice:
    """Return the lattice of a mask: its voxels' centres unless they are too far apart for soft tissue's waves.

    Args:
        mask: mask of tissue, shape (i, j, k), slices along k.
        voxel_size_mm: distance between voxels along i, j, k, mm, shape (3,).
        frequency_hz: highest frequency of the waves, hertz.
        slice_thickness_mm: thickness of the slices, mm; None for the distance between them.
    """
    largest_mm = m_to_mm(SOFTEST_SPEED_M_PER_S / frequency_hz) / NODES_A_WAVELENGTH
    i, j, k = (float(edge) for edge in voxel_size_mm)
    thickness = k if slice_thickness_mm is None else min(slice_thickness_mm, k)
    a, b, c = (_divisions(edge, largest_mm) for edge in (i, j, k))
    return Lattice(mask, (i, j, k), (a, b, c), (1.0, 1.0, thickness / k))


def lattice_of_run(fields: Sequence[WaveField]) -> Lattice:
    """Return the lattice of wave fields of one run, fine enough for the highest of their frequencies.

    Args:
        fields: wave fields with one mask and one voxel grid.
    """
    first = fields[0]
    highest = max(one.frequency_hz for one in fields)
    return lattice_of(first.mask, first.voxel_size_mm, highest, first.slice_thickness_mm)


def _divisions(edge_mm: float, largest_mm: float) -> int:
    """Number of intervals in a voxel: 1, or the least even number that leaves none longer than the largest."""
    return 1 if edge_mm <= largest_mm else CELL_SPAN * math.ceil(edge_mm / (CELL_SPAN * largest_mm))


def _nodes(voxels: int, parts: int) -> int:
    """Number of nodes along an axis."""
    return voxels if parts == 1 else parts * voxels + 1


def _touched(voxels: int, parts: int) -> sparse.csr_matrix:
    """Which voxels the nodes of an axis touch, shape (nodes, voxels)."""
    if parts == 1:
        return sparse.identity(voxels, format="csr")
    node = np.arange(_nodes(voxels, parts))
    pairs = np.concatenate([np.stack([node, node // parts], 1), np.stack([node, (node - 1) // parts], 1)])
    rows, columns = np.unique(pairs[(pairs[:, 1] >= 0) & (pairs[:, 1] < voxels)], axis=0).T
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(node), voxels))


def _product(along: list[sparse.csr_matrix]) -> sparse.csr_matrix:
    """Tensor product of the operators along i, j, k."""
    return sparse.csr_matrix(reduce(lambda a, b: sparse.kron(a, b, format="csr"), along))


def _interval_means(voxels: int, parts: int, width: float, start: int, count: int) -> sparse.csr_matrix:
    """Means of the piecewise quadratic interpolant on `count` nodes from `start` over each voxel's width.

    Positions are in intervals between nodes, from the first node; elements begin at its even multiples.
    """
    points, weights = np.polynomial.legendre.leggauss(CELL_SPAN)  # exact for cubic polynomials
    matrix = np.zeros((voxels, count))
    for voxel in range(voxels):
        middle, half = parts * (voxel + 0.5) - start, 0.5 * width * parts
        low, high = middle - half, middle + half
        if low < -1e-9 or high > count - 1 + 1e-9:
            continue
        cuts = np.unique([low, high, *(x for x in range(0, count, CELL_SPAN) if low + 1e-9 < x < high - 1e-9)])
        for a, b in itertools.pairwise(cuts):
            element = min(max(int((a + b) / 2) // CELL_SPAN, 0), (count - 1) // CELL_SPAN - 1)
            for point, weight in zip(points, weights, strict=True):
                t = (0.5 * (a + b) + 0.5 * (b - a) * point) / CELL_SPAN - element
                own = slice(CELL_SPAN * element, CELL_SPAN * element + CELL_SPAN + 1)
                shape = np.array([(1 - t) * (1 - 2 * t), 4 * t * (1 - t), t * (2 * t - 1)])
                matrix[voxel, own] += 0.5 * weight * (b - a) / (high - low) * shape
    return sparse.csr_matrix(matrix)
