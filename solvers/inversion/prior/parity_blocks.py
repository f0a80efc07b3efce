"""Correlations within a box of voxels in eight small parity blocks instead of one large matrix.

A correlation R(|a - b|) does not change if both voxels are reflected in the middle of the box along an axis. So it
does not mix parts that are even along an axis with odd ones: in the basis (e_p + e_p') / sqrt 2, (e_p - e_p') / sqrt 2
of every axis, p' being p reflected, it consists of eight blocks of an eighth of the box. Products with it cost an
eighth, and so does computing it, since along an axis a block is R(|p - q|) + R(|p - q'|) or their difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.correlation import Correlation, edge_of

type Blocks = tuple[NDArray[np.float64], ...]
"""Blocks of a correlation, one for each combination of even and odd along the axes, in the order of PARTS."""

AXES = 3
"""Number of axes of space."""
PARTS = tuple(product((False, True), repeat=AXES))
"""Combinations of even (False) and odd (True) along the axes, in the order of the blocks."""


@dataclass(frozen=True)
class ParityBlocks:
    """Smallest box around a zone's voxels.

    Attributes:
        ijk: voxel indices, shape (n, 3).
        voxel_size_mm: edges of a voxel, mm, shape (3,).
    """

    ijk: NDArray[np.int64]
    voxel_size_mm: NDArray[np.float64]

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Indices of the voxels in the box, shape (n, 3)."""
        return self.ijk - self.ijk.min(axis=0)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of voxels of the box along its axes."""
        rows, columns, slices = (int(extent) for extent in self.places.max(axis=0) + 1)
        return rows, columns, slices

    @cached_property
    def distance_mm(self) -> NDArray[np.float64]:
        """Distance between voxels by their steps along each axis, mm, shape of the box."""
        return _distance_mm(self.shape, self.voxel_size_mm)

    def fold(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return columns in the orthonormal basis of even and odd parts, shape (box, k).

        Args:
            columns: values on the voxels, shape (n, k).
        """
        box = np.zeros((*self.shape, columns.shape[1]))
        box[tuple(self.places.T)] = columns
        for axis in range(AXES):
            box = np.moveaxis(_even_and_odd(np.moveaxis(box, axis, 0)), 0, axis)
        return box.reshape(-1, columns.shape[1])

    def unfold(self, folded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return columns on the voxels from their even and odd parts, shape (n, k).

        Args:
            folded: even and odd parts as of `fold`, shape (box, k).
        """
        box = folded.reshape(*self.shape, -1)
        for axis in range(AXES):
            box = np.moveaxis(_from_even_and_odd(np.moveaxis(box, axis, 0)), 0, axis)
        return np.asarray(box[tuple(self.places.T)])

    def blocks(self, by_steps: NDArray[np.float64]) -> Blocks:
        """Return a correlation in the basis of even and odd parts.

        Args:
            by_steps: correlation at distance_mm, shape of the box.
        """
        return tuple(_block(by_steps, odd) for odd in PARTS)

    def blocks_of(self, law: Correlation, length_mm: float, roughness: float) -> Blocks:
        """Return a correlation in the basis of even and odd parts, read-only: boxes of one shape share it.

        Args:
            law: correlation by distance.
            length_mm: correlation length l, mm.
            roughness: rough share alpha of the variance, in [0, 1].
        """
        return _blocks_of(law, self.shape, tuple(self.voxel_size_mm.tolist()), length_mm, roughness)

    def times(self, blocks: Blocks, folded: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a correlation times folded columns, folded as well, shape (box, k).

        Args:
            blocks: blocks of the correlation.
            folded: even and odd parts as of `fold`, shape (box, k).
        """
        box = folded.reshape(*self.shape, -1)
        out = np.empty_like(box)
        for odd, block in zip(PARTS, blocks, strict=True):
            part = tuple(_half(extent, upper) for extent, upper in zip(self.shape, odd, strict=True))
            values = box[part].reshape(-1, folded.shape[1])
            if len(values):  # one voxel is even and has no odd part
                out[part] = (block @ values).reshape(out[part].shape)
        return out.reshape(folded.shape)


def _block(by_steps: NDArray[np.float64], odd: tuple[bool, ...]) -> NDArray[np.float64]:
    """Return the correlation between parts that are even or odd along each axis, shape (b, b)."""
    block = by_steps
    for axis, (extent, upper) in enumerate(zip(by_steps.shape, odd, strict=True)):
        block = _between_parts(block, 2 * axis, extent, odd=upper)
    rows = int(np.prod(block.shape[::2]))
    return block.transpose(0, 2, 4, 1, 3, 5).reshape(rows, rows)


def _distance_mm(shape: tuple[int, ...], voxel_size_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.indices(shape) * voxel_size_mm[:, None, None, None]
    return np.asarray(np.linalg.norm(steps, axis=0))


@lru_cache(maxsize=8)  # as many as the evidence asks for in each zone: 40 MB of zones of 13^3 voxels
def _blocks_of(
    law: Correlation, shape: tuple[int, ...], voxel_size_mm: tuple[float, ...], length_mm: float, roughness: float
) -> Blocks:
    size_mm = np.array(voxel_size_mm)
    by_steps = law(_distance_mm(shape, size_mm), length_mm, roughness, edge_of(size_mm))
    blocks = tuple(_block(by_steps, odd) for odd in PARTS)
    for block in blocks:
        block.flags.writeable = False
    return blocks


def _half(extent: int, odd: bool) -> slice:  # noqa: FBT001
    """Return the places of even or odd parts after folding; the middle of an odd extent is even."""
    even = (extent + 1) // 2
    return slice(even, None) if odd else slice(even)


def _even_and_odd(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Even and odd parts along the first axis, one after the other."""
    half = len(box) // 2
    near, far = box[:half], box[::-1][:half]
    middle = box[half : len(box) - half]
    return np.concatenate([(near + far) / np.sqrt(2.0), middle, (near - far) / np.sqrt(2.0)])


def _from_even_and_odd(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values whose even and odd parts along the first axis these are."""
    half = len(box) // 2
    even, middle, odd = box[:half], box[half : len(box) - half], box[len(box) - half :]
    return np.concatenate([(even + odd) / np.sqrt(2.0), middle, ((even - odd) / np.sqrt(2.0))[::-1]])


def _between_parts(by_steps: NDArray[np.float64], axis: int, extent: int, *, odd: bool) -> NDArray[np.float64]:
    """Turn an axis of steps into two axes of parts."""
    parts = np.arange(extent // 2 if odd else (extent + 1) // 2)
    direct = np.abs(parts[:, None] - parts[None])
    reflected = extent - 1 - parts[:, None] - parts[None]
    weight = np.where(2 * parts == extent - 1, np.sqrt(0.5), 1.0)  # the middle is its own reflection
    there, back = np.take(by_steps, direct, axis=axis), np.take(by_steps, reflected, axis=axis)
    both = there - back if odd else there + back
    return np.asarray(both * np.expand_dims(np.outer(weight, weight), tuple(range(2, both.ndim - axis))))
