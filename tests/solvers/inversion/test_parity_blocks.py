"""Laws of the reflections of a box, on which the evidence of the prior's hyperparameters rests."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.correlation import correlation, edge_of, matern
from palpate.solvers.inversion.prior.parity_blocks import ParityBlocks

VOXEL_MM = np.array([2.0, 2.0, 3.0])
SHAPES = ((7, 6, 5), (1, 4, 5), (2, 1, 1), (1, 1, 1))


def _zone(shape: tuple[int, int, int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A ragged zone that touches its box at two corners, and columns on it."""
    generator = np.random.default_rng(sum(shape))
    inside = generator.random(shape) > 0.3
    inside.flat[[0, -1]] = True
    ijk = np.argwhere(inside) + 11
    return ijk, generator.standard_normal((len(ijk), 4))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_are_those_with_the_whole_matrix(shape: tuple[int, int, int]) -> None:
    """Even and odd extents, ragged zones, unequal edges: eight blocks are the dense correlation, to rounding."""
    ijk, columns = _zone(shape)
    box = ParityBlocks(ijk, VOXEL_MM)
    for length_mm, roughness in ((6.0, 0.0), (24.0, 0.5)):
        found = box.unfold(box.times(box.blocks_of(matern, length_mm, roughness), box.fold(columns)))
        exact = correlation(ijk * VOXEL_MM, length_mm, roughness, edge_of(VOXEL_MM)) @ columns
        assert np.abs(found - exact).max() <= 1e-13 * len(ijk)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_folding_is_a_rotation(shape: tuple[int, int, int]) -> None:
    """Scalar products may be taken of folded columns only because folding keeps them; unfolding takes it back."""
    ijk, columns = _zone(shape)
    box = ParityBlocks(ijk, VOXEL_MM)
    folded = box.fold(columns)
    assert np.allclose(folded.T @ folded, columns.T @ columns, rtol=1e-13, atol=1e-13)
    assert np.allclose(box.unfold(folded), columns, rtol=0.0, atol=1e-14)
