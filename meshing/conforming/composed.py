"""Cubes whose labels meet face to face: no label touches itself across an edge or a corner only.

Where a label does, the surface between labels is pinched: it is no surface there, and no mesher can move its nodes. The
cheapest cube of each such place takes a neighbour's label.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

_PASSES = 80

_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
"""Offsets of the cubes of a 2 x 2 x 2 block, numbered 4 i + 2 j + k."""

_FACES = [
    [4 * i + 2 * j + k for i, j, k in _CORNERS if (i, j, k)[axis] == side] for axis in range(3) for side in (0, 1)
]
"""Four cubes around each of the six edges that end in a block's middle; first and last are opposite."""

_PRICE = 0.01
"""Growth per pass of a fixed pseudo-random price of flips, in shares; it ends cycles in which one undoes another."""

type Labels = NDArray[np.int16]


def compose(cubes: Labels, scores: NDArray[np.float32]) -> tuple[Labels, int]:
    """Flip cubes until no label is pinched or no flip helps any more.

    Args:
        cubes: labels, shape (i, j, k), the outermost cubes all 0.
        scores: suitability of each label for each cube, shape (L + 1, i, j, k).

    Returns:
        The mended labels and the number of pinched places that are left.
    """
    mended = cubes.copy()
    flat_scores = scores.reshape(len(scores), -1)
    generator = np.random.default_rng(0)
    for turn in range(_PASSES):
        blocks = _pinched_blocks(mended)
        if not len(blocks):
            break
        price = generator.uniform(0.0, _PRICE * turn, mended.size)
        cells, labels = _flips(mended.ravel(), blocks, flat_scores, price)
        mended.ravel()[cells] = labels
    return mended, len(_pinched_blocks(mended))


def _pinched_blocks(cubes: Labels) -> NDArray[np.int64]:
    """Flat indices of the 8 cubes of each block in which a label is pinched, shape (m, 8)."""
    index = np.arange(cubes.size).reshape(cubes.shape)
    ends = [extent - 1 for extent in cubes.shape]
    views = [tuple(slice(o, o + end) for o, end in zip(corner, ends, strict=True)) for corner in _CORNERS]
    pinched = _pinched(np.stack([cubes[view] for view in views]))
    return np.stack([index[view][pinched] for view in views], axis=1)


def _pinched(block: Labels) -> NDArray[np.bool_]:
    """Return whether a label of a block, shape (8, ...), touches itself, or the rest, across an edge or corner only."""
    found = np.zeros(block.shape[1:], dtype=bool)
    for a, b, c, d in _FACES:
        found |= (block[a] == block[d]) & (block[b] != block[a]) & (block[c] != block[a])
        found |= (block[b] == block[c]) & (block[a] != block[b]) & (block[d] != block[b])
    for first in range(4):
        rest = block[[corner for corner in range(8) if corner not in (first, 7 - first)]]
        ends = block[[first, 7 - first]]
        found |= (ends[0] == ends[1]) & (rest != ends[0]).all(axis=0)
        found |= (rest == rest[0]).all(axis=0) & (ends != rest[0]).all(axis=0)
    return found


def _flips(
    flat: Labels, blocks: NDArray[np.int64], scores: NDArray[np.float32], price: NDArray[np.float64]
) -> tuple[NDArray[np.int64], Labels]:
    """Return for each block the flip of one cube to another's label that mends the block and costs least."""
    inside = flat[blocks].T  # (8, m)
    cost = np.full((8, 8, len(blocks)), np.inf)
    for cell, other in itertools.permutations(range(8), 2):
        trial = inside.copy()
        trial[cell] = inside[other]
        helps = (inside[cell] != inside[other]) & ~_pinched(trial)
        cube = blocks[:, cell]
        loss = scores[inside[cell], cube] - scores[inside[other], cube] + price[cube]
        cost[cell, other] = np.where(helps, loss, np.inf)
    best = cost.reshape(64, -1).argmin(axis=0)
    row = np.arange(len(blocks))
    return blocks[row, best // 8], inside[best % 8, row]
