"""Nodes between and beyond voxels: the lattice on which a displacement lives that the scanner averages.

Along an axis whose voxels are too long for the wave, or, where only some components were measured, shorter than it
needs, nodes are not the voxels' centres: an even number of intervals, equal and at most LARGEST long, covers the N
voxels from border to border, so that whole quadratic elements fit. With w the width that the scanner averages along an
axis (a slice's thickness, or the voxel's edge), a datum is the mean of the quadratic interpolant,

    d_v = 1/w int_{c_v - w/2}^{c_v + w/2} U dx = sum_n A_vn U_n,

exactly, by Gauss points in every element that the width reaches into. ln G* of a node is its mean over the voxels
within half an interval of it.
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
from palpate.imaging.waves.inversion_grid import longest_edge_mm
from palpate.meshing.zones import CELL_SPAN

FEWEST_CELLS: Final = 2
"""Least number of elements along an axis, so that nodes lie within: one slice then tells of waves across it, too."""

ROUNDING: Final = 1e-9
"""Length that is rounding, voxels or intervals."""


@dataclass(frozen=True)
class Lattice:
    """Lattice of nodes of a mask.

    Attributes:
        mask: mask of N voxels, shape (i, j, k).
        voxel_size_mm: distance between voxels along i, j, k, mm.
        intervals: number of intervals between nodes along each axis, even; None where nodes are the voxels' centres.
        width: part of the distance between voxels that the scanner averages, along each axis; 1 without gaps.
    """

    mask: NDArray[np.bool_]
    voxel_size_mm: tuple[float, float, float]
    intervals: tuple[int | None, int | None, int | None]
    width: tuple[float, float, float]

    @property
    def plain(self) -> bool:
        """Whether nodes are the voxels' centres along all axes."""
        return all(count is None for count in self.intervals)

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Distance between nodes along i, j, k, mm, shape (3,)."""
        return np.array([edge * self._step(axis) for axis, edge in enumerate(self.voxel_size_mm)])

    def affine_mm(self, voxels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the affine of the nodes from that of the voxels, shape (4, 4)."""
        found = np.diag([*(self._step(axis) for axis in range(3)), 1.0])
        found[:3, 3] = [0.0 if count is None else -0.5 for count in self.intervals]
        return np.asarray(voxels @ found)

    @cached_property
    def nodes(self) -> NDArray[np.bool_]:
        """Nodes within tissue or near enough for an element to cover it, shape (nodes along i, j, k)."""
        if self.plain:
            return self.mask
        counts = [self._nodes(axis) for axis in range(3)]
        reached = tensor_product([self.reached(axis, 0, count) for axis, count in enumerate(counts)])
        return np.asarray((reached @ self.mask.ravel().astype(np.float64)).reshape(counts) > 0.0)

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
        voxels = self.mask.shape[axis]
        if self.intervals[axis] is None:
            inside = np.arange(start, min(start + count, voxels))
            return sparse.csr_matrix((np.ones(len(inside)), (inside, inside - start)), shape=(voxels, count))
        step = self._step(axis)
        middle = np.asarray((np.arange(voxels) + 0.5) / step - start, dtype=np.float64)
        return _interval_means(middle, 0.5 * self.width[axis] / step, count)

    def share(self, axis: int, start: int, count: int) -> sparse.csr_matrix:
        """Return the lengths of voxels within half an interval of nodes along one axis, shape (count, voxels).

        Args:
            axis: axis i, j or k as 0, 1 or 2.
            start: first of the nodes.
            count: number of nodes.
        """
        return self._overlap(axis, start, count, 0.5)

    def reached(self, axis: int, start: int, count: int) -> sparse.csr_matrix:
        """Return the lengths of voxels for which nodes along one axis are needed, shape (count, voxels).

        An element of two intervals that begins within a voxel ends up to an interval and a half beyond it.

        Args:
            axis: axis i, j or k as 0, 1 or 2.
            start: first of the nodes.
            count: number of nodes.
        """
        return self._overlap(axis, start, count, 1.5 if self._step(axis) > 1.0 else 0.5)

    def middle(self, ijk: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the places of voxels' centres in intervals from the first node, shape (n, 3)."""
        step = np.array([self._step(axis) for axis in range(3)])
        own = np.array([count is None for count in self.intervals])
        return np.where(own, ijk, (ijk + 0.5) / step)

    def _step(self, axis: int) -> float:
        """Distance between nodes, in voxels."""
        count = self.intervals[axis]
        return 1.0 if count is None else self.mask.shape[axis] / count

    def _nodes(self, axis: int) -> int:
        count = self.intervals[axis]
        return self.mask.shape[axis] if count is None else count + 1

    def _overlap(self, axis: int, start: int, count: int, reach: float) -> sparse.csr_matrix:
        voxels = self.mask.shape[axis]
        if self.intervals[axis] is None:
            return sparse.identity(voxels, format="csr")[start : start + count]
        step = self._step(axis)
        node, edge = step * np.arange(start, start + count), np.arange(voxels)
        low = np.maximum.outer(node - reach * step, edge)
        high = np.minimum.outer(node + reach * step, edge + 1.0)
        length = np.maximum(high - low, 0.0)
        return sparse.csr_matrix(np.where(length > ROUNDING, length, 0.0))


def lattice_of(
    mask: NDArray[np.bool_],
    voxel_size_mm: NDArray[np.float64],
    frequency_hz: float,
    slice_thickness_mm: float | None = None,
    *,
    complete: bool = True,
) -> Lattice:
    """Return the lattice of a mask: its voxels' centres unless they are too far apart for soft tissue's waves.

    Args:
        mask: mask of tissue, shape (i, j, k), slices along k.
        voxel_size_mm: distance between voxels along i, j, k, mm, shape (3,).
        frequency_hz: highest frequency of the waves, hertz.
        slice_thickness_mm: thickness of the slices, mm; None for the distance between them.
        complete: whether all components were measured; fewer do not tell more than waves of soft tissue carry, so
            that nodes may be further apart than voxels.
    """
    largest_mm = longest_edge_mm(frequency_hz)
    i, j, k = (float(edge) for edge in voxel_size_mm)
    thickness = k if slice_thickness_mm is None else min(slice_thickness_mm, k)
    kept = [edge <= largest_mm and (complete or 2.0 * edge > largest_mm) for edge in (i, j, k)]
    if not complete and not all(kept):
        kept = [False, False, False]
    a, b, c = (
        None if own else CELL_SPAN * max(FEWEST_CELLS, math.ceil(count * edge / (CELL_SPAN * largest_mm)))
        for own, count, edge in zip(kept, mask.shape, (i, j, k), strict=True)
    )
    return Lattice(mask, (i, j, k), (a, b, c), (1.0, 1.0, thickness / k))


def lattice_of_run(fields: Sequence[WaveField]) -> Lattice:
    """Return the lattice of wave fields of one run, fine enough for the highest of their frequencies.

    Args:
        fields: wave fields with one mask and one voxel grid.
    """
    first = fields[0]
    highest = max(one.frequency_hz for one in fields)
    complete = first.directions is None
    return lattice_of(first.mask, first.voxel_size_mm, highest, first.slice_thickness_mm, complete=complete)


def tensor_product(along: Sequence[sparse.csr_matrix]) -> sparse.csr_matrix:
    """Return the tensor product of the operators along i, j, k."""
    return sparse.csr_matrix(reduce(lambda a, b: sparse.kron(a, b, format="csr"), along))


def _interval_means(middle: NDArray[np.float64], half: float, count: int) -> sparse.csr_matrix:
    """Means of the piecewise quadratic interpolant on `count` nodes over each voxel's width.

    Args:
        middle: places of the voxels' middles, in intervals from the first node; elements begin at even multiples.
        half: half of the width, in intervals.
        count: number of nodes.
    """
    points, weights = np.polynomial.legendre.leggauss(CELL_SPAN)  # exact for cubic polynomials
    matrix = np.zeros((len(middle), count))
    for voxel, place in enumerate(middle):
        low, high = place - half, place + half
        if low < -ROUNDING or high > count - 1 + ROUNDING:
            continue
        inner = (x for x in range(0, count, CELL_SPAN) if low + ROUNDING < x < high - ROUNDING)
        for a, b in itertools.pairwise(np.unique([low, high, *inner])):
            element = min(max(int((a + b) / 2) // CELL_SPAN, 0), (count - 1) // CELL_SPAN - 1)
            for point, weight in zip(points, weights, strict=True):
                t = (0.5 * (a + b) + 0.5 * (b - a) * point) / CELL_SPAN - element
                own = slice(CELL_SPAN * element, CELL_SPAN * element + CELL_SPAN + 1)
                shape = np.array([(1 - t) * (1 - 2 * t), 4 * t * (1 - t), t * (2 * t - 1)])
                matrix[voxel, own] += 0.5 * weight * (b - a) / (high - low) * shape
    return sparse.csr_matrix(matrix)
