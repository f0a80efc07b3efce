"""The correlation between voxels: that of means over cubes, not of points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.correlation import edge_of, matern

STEPS = np.array(sorted({tuple(sorted(step)) for step in itertools.product(range(4), repeat=3)}))
"""Between voxels, in edges."""

CLOSE = {1.0: 0.006, 0.0: 0.03}
"""What the module and docs/theory/prior.md promise of the rough and of the smooth part."""


def _between_means(length: float, roughness: float) -> NDArray[np.float64]:
    """Correlation of means over cubes with an edge of one, by Gauss quadrature of the double integral, shape (steps,).

    The difference of two points, uniform in two cubes, has a triangular density along each axis.
    """
    nodes, weights = np.polynomial.legendre.leggauss(24)
    along = np.concatenate([(nodes - 1.0) / 2.0, (nodes + 1.0) / 2.0])
    density = np.tile(weights / 2.0, 2) * (1.0 - np.abs(along))
    offsets = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1)
    weight = density[:, None, None] * density[:, None] * density

    def mean(step: NDArray[np.float64]) -> float:
        return float((weight * matern(np.linalg.norm(offsets + step, axis=-1), length, roughness, 0.0)).sum())

    return np.array([mean(step) for step in STEPS]) / mean(np.zeros(3))


@pytest.mark.parametrize("roughness", [1.0, 0.0])
@pytest.mark.parametrize("length_edges", [3.0, 6.0, 12.0])
def test_voxels_are_correlated_as_their_means_are(length_edges: float, roughness: float) -> None:
    """Points at their centres differ twice as much between neighbours: every interval of a voxel would be too wide."""
    found = matern(np.linalg.norm(STEPS, axis=1), length_edges, roughness, 1.0)
    assert np.abs(found - _between_means(length_edges, roughness)).max() < CLOSE[roughness]


def test_it_is_a_correlation_in_space() -> None:
    """A covariance with a negative eigenvalue has no draws: the rounded cusp must not cost definiteness."""
    places = np.random.default_rng(4).uniform(0.0, 30.0, (300, 3))
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    assert np.linalg.eigvalsh(matern(distance, 12.0, 1.0, 3.0)).min() > 0.0


def test_a_voxel_counts_by_its_volume() -> None:
    """Voxels are seldom cubes; thick slices must not be taken for fine ones."""
    assert edge_of(np.array([1.0, 2.0, 4.0])) == pytest.approx(2.0)
