"""Zones: overlapping blocks of hexahedral cells that cover a mask and share its data between them.

A cell spans two voxels along each axis and has a node at each of its 27 voxel centres, so that the triquadratic
displacement has exactly the data's nodes. A zone is a box of such cells; cells that reach outside the mask are left
out. Each voxel's datum is shared by the zones that hold it: the weights chi_z >= 0 obey sum_z chi_z = 1, so that no
datum is counted twice (docs/theory/zones.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.errors import InputError

CELL_SPAN = 2
"""Length of a cell's edge, in voxels."""

NODES_PER_CELL = (CELL_SPAN + 1) ** 3
"""Number of nodes of a cell."""

TAPER = 2
"""Exponent of the weights' taper: each datum goes mostly to the zone in whose middle it lies."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """Relation of a zone's M nodes to its n voxels where nodes are not the voxels' centres (lattice.py).

    Attributes:
        scanner: matrix from the nodes' displacement to its means over voxels, shape (n, M); rows of voxels that
            reach out of the zone are empty.
        modulus: matrix from the voxels' ln G* to that of the nodes, shape (M, n); rows sum to one.
    """

    scanner: sparse.csr_matrix
    modulus: sparse.csr_matrix


@dataclass(frozen=True, slots=True)
class Zone:
    """Block of cells with the voxels at its nodes, or beneath thick voxels.

    Attributes:
        voxels: indices into the mask's voxels (C order) of the zone's n voxels, shape (n,).
        ijk: indices of the voxels, shape (n, 3).
        cells: nodes of each cell, lexicographic in (i, j, k), shape (c, 27); indices into `voxels` without refinement.
        weight: weight chi of the zone in each voxel's datum, shape (n,), in (0, 1]; with refinement also 0.
        interior: whether cells surround each of the M nodes on all sides, so that equilibrium holds there, shape (M,).
        refinement: nodes beneath the voxels; None where nodes are the voxels, M = n.
    """

    voxels: NDArray[np.int64]
    ijk: NDArray[np.int64]
    cells: NDArray[np.int64]
    weight: NDArray[np.float64]
    interior: NDArray[np.bool_]
    refinement: Refinement | None = None

    @property
    def balanced_voxels(self) -> NDArray[np.int64]:
        """Voxels in which momentum balances at some node, as indices into the mask's voxels."""
        if self.refinement is None:
            return self.voxels[self.interior]
        return np.asarray(self.voxels[self.refinement.modulus[self.interior].getnnz(axis=0) > 0])

    @property
    def work(self) -> float:
        """Estimated cost of solving on the zone, for balancing ranks: number of interior nodes to the power 1.5.

        Measured on zones of 300 to 2200 nodes of a whole brain: within 17 % of the seconds that they take, where the
        fill of the factors, n^(4/3), was wrong by a factor of five between small and large ones (decision 0105).
        """
        return float(np.count_nonzero(self.interior) ** 1.5)


def cut_zones(
    mask: NDArray[np.bool_],
    *,
    width_voxels: Sequence[int],
    stride_voxels: Sequence[int],
    where: str = "mask",
) -> list[Zone]:
    """Cover the mask with overlapping zones.

    Args:
        mask: mask of tissue, shape (i, j, k).
        width_voxels: largest number of nodes along each axis of a zone.
        stride_voxels: largest distance between neighbouring zones along each axis.
        where: name of the mask in the error.

    Returns:
        Zones in lexicographic order of their position; those without an interior node are dropped.

    Raises:
        InputError: no zone has an interior node, so no voxel obeys an equation.
    """
    starts = [
        axis_starts(extent, width, stride)
        for extent, width, stride in zip(_extents(mask), width_voxels, stride_voxels, strict=True)
    ]
    low = np.argwhere(mask).min(axis=0) if mask.any() else np.zeros(3, dtype=np.int64)
    number = np.full(mask.shape, -1, dtype=np.int64)
    number[mask] = np.arange(np.count_nonzero(mask))
    blocks = [
        block
        for corner in itertools.product(*(axis for axis, _ in starts))
        if (block := _block(number, low + np.array(corner), [width for _, width in starts])) is not None
    ]
    if not blocks:
        raise InputError(
            where,
            found=f"tissue too thin for a cell with neighbours ({np.count_nonzero(mask)} voxels within "
            f"{' x '.join(str(extent) for extent in _extents(mask))})",
            expected="at least 5 x 5 x 5 connected tissue voxels somewhere",
            advice="Check the mask, or scan more slices.",
        )
    total = np.zeros(np.count_nonzero(mask))
    for block in blocks:
        np.add.at(total, block.voxels, block.weight)
    return [
        Zone(block.voxels, block.ijk, block.cells, block.weight / total[block.voxels], block.interior)
        for block in blocks
    ]


def axis_starts(extent: int, width: int, stride: int) -> tuple[list[int], int]:
    """Return the zones' first nodes along one axis, spread evenly, and their number of nodes (always odd).

    Args:
        extent: number of voxels that the mask spans.
        width: largest number of nodes of a zone.
        stride: largest distance between neighbouring zones.
    """
    largest = min(width, extent)
    nodes = largest if largest % CELL_SPAN == 1 else largest - 1
    last = extent - nodes
    count = math.ceil(last / stride) + 1
    return sorted({round(start) for start in np.linspace(0, last, count)}), nodes


def _extents(mask: NDArray[np.bool_]) -> list[int]:
    where = np.argwhere(mask)
    return [int(extent) for extent in np.ptp(where, axis=0) + 1] if len(where) else [0, 0, 0]


def _block(number: NDArray[np.int64], corner: NDArray[np.int64], widths: Sequence[int]) -> Zone | None:
    """Return the zone at a corner with raw (not yet normalised) weights; None where no node is surrounded by cells."""
    if min(widths) < 2 * CELL_SPAN + 1:
        return None
    window = number[tuple(slice(start, start + width) for start, width in zip(corner, widths, strict=True))]
    cells = _cells_inside(window)
    if not len(cells):
        return None
    used, local = np.unique(cells, return_inverse=True)
    inside = np.stack(np.unravel_index(used, window.shape), axis=1)
    interior = _surrounded(cells, window.shape)[used]
    if not interior.any():
        return None
    return Zone(
        voxels=window.ravel()[used],
        ijk=inside + corner,
        cells=local.reshape(cells.shape),
        weight=tent(inside.astype(np.float64), widths),
        interior=interior,
    )


def _cells_inside(window: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return cells all of whose 27 voxels are tissue, as flat indices into the window, shape (c, 27)."""
    flat = np.arange(window.size).reshape(window.shape)
    firsts = [slice(0, extent - CELL_SPAN, CELL_SPAN) for extent in window.shape]
    offsets = itertools.product(range(CELL_SPAN + 1), repeat=3)
    cells = np.stack(
        [
            flat[tuple(slice(s.start + o, s.stop + o, s.step) for s, o in zip(firsts, offset, strict=True))].ravel()
            for offset in offsets
        ],
        axis=1,
    )
    return cells[(window.ravel()[cells] >= 0).all(axis=1)]


def _surrounded(cells: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return nodes whose eight neighbouring voxel-sized subcells all belong to a cell, flat over the window."""
    filled = np.zeros([extent + 1 for extent in shape], dtype=bool)  # subcell s lies between voxels s - 1 and s
    first = np.stack(np.unravel_index(cells[:, 0], shape), axis=1)
    for offset in itertools.product(range(1, CELL_SPAN + 1), repeat=3):
        filled[tuple((first + offset).T)] = True
    around = [
        filled[tuple(slice(o, extent + o) for o, extent in zip(offset, shape, strict=True))]
        for offset in itertools.product((0, 1), repeat=3)
    ]
    return np.asarray(np.logical_and.reduce(around).ravel())


def tent(inside: NDArray[np.float64], widths: Sequence[int]) -> NDArray[np.float64]:
    """Return raw weights: a tent along each axis to the power TAPER, highest in the zone's middle.

    Args:
        inside: places in intervals from the zone's first node, shape (n, 3).
        widths: numbers of nodes along each axis.
    """
    tents = [1.0 - np.abs(2.0 * inside[:, axis] - (width - 1)) / (width + 1) for axis, width in enumerate(widths)]
    return np.asarray(np.prod(tents, axis=0) ** TAPER)
