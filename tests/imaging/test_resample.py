"""What a posterior says between its voxels, against what is known of fields there."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from palpate.imaging.anatomy.resample import Grid, grid_of, log_moments
from palpate.imaging.registration.rigid import Rigid
from tests.laws.chance import assert_coverage

AFFINE_MM = np.array([[0.0, -2.0, 0.0, 5.0], [2.0, 0.0, 0.0, -3.0], [0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
SHAPE = (7, 6, 5)
STD = 0.3


def _grid(mask: NDArray[np.bool_] | None = None) -> Grid:
    return grid_of(np.argwhere(np.ones(SHAPE, dtype=bool) if mask is None else mask), SHAPE, AFFINE_MM)


def _world(index: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(index @ AFFINE_MM[:3, :3].T + AFFINE_MM[:3, 3])


def _inside(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    return generator.uniform(0.0, np.array(SHAPE) - 1.0, (count, 3))


def _moments(
    grid: Grid, draws: NDArray[np.float64], known: tuple[NDArray[np.float64], ...], points_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return log_moments(grid, lambda: iter(draws), known, lambda: (points_mm for _ in draws))  # type: ignore[arg-type]


def test_a_common_error_stays_as_it_is() -> None:
    """Where all voxels err alike, as they do by the density, a point between them errs as they do, at borders too."""
    generator = np.random.default_rng(1)
    mask = generator.random(SHAPE) < 0.7
    size = int(mask.sum())
    draws = 0.5 + STD * np.repeat(generator.standard_normal((30, 1)), size, axis=1)
    points_mm = _world(_inside(generator, 200) * 1.2 - 0.6)
    mean, std = _moments(_grid(mask), draws, (np.full(size, 0.5), np.full(size, STD)), points_mm)
    np.testing.assert_allclose(mean, 0.5, atol=1e-12)
    np.testing.assert_allclose(std, STD, rtol=1e-12)


def test_on_the_same_grid_nothing_changes() -> None:
    """The maps are known better than a few draws know them; what lies on a voxel is what the map says."""
    generator = np.random.default_rng(2)
    size = int(np.prod(SHAPE))
    known = (generator.normal(1.0, 0.5, size), generator.uniform(0.1, 0.5, size))
    draws = generator.normal(0.9, 0.4, (25, size))
    points_mm = _world(np.argwhere(np.ones(SHAPE)).astype(np.float64))
    mean, std = _moments(_grid(), draws, known, points_mm)
    np.testing.assert_allclose(mean, known[0], rtol=1e-10)
    np.testing.assert_allclose(std, known[1], rtol=1e-10)


def test_outside_the_mask_nothing_is_covered() -> None:
    """A voxel of the anatomy belongs to the voxel of the elastogram in which its centre lies, or to none."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:5, 1:4, 1:3] = True
    index = np.array(
        [[2.0, 1.0, 1.0], [1.6, 0.6, 0.6], [1.4, 2.0, 1.0], [4.4, 3.4, 2.4], [4.6, 2.0, 2.0], [-9.0, 0, 0]]
    )
    assert _grid(mask).covers(_world(index)).tolist() == [True, True, False, True, False, False]


def test_intervals_between_voxels_hold_the_truth() -> None:
    """Errors of voxels partly cancel between them: spreads that are interpolated instead are too wide.

    Every truth is one more draw of the posterior, read between its voxels by another library's function.
    """
    generator = np.random.default_rng(3)
    size = int(np.prod(SHAPE))
    index = _inside(generator, 40)
    known = (np.zeros(size), np.full(size, STD))
    mean, std = _moments(_grid(), STD * generator.standard_normal((4000, size)), known, _world(index))
    axes = tuple(np.arange(n, dtype=np.float64) for n in SHAPE)
    held = naive = 0
    trials = 60
    for n in range(trials):
        truth = STD * generator.standard_normal(SHAPE)
        point = n % len(index)
        found = RegularGridInterpolator(axes, truth)(index[point])[0]
        held += abs(found - mean[point]) < 1.959964 * std[point]
        naive += abs(found - mean[point]) < 1.959964 * STD
    assert_coverage(held, trials, 0.95)
    assert naive == trials


def test_misplacement_widens_intervals_where_stiffness_changes() -> None:
    """By how much the map is off is in the interval: next to a border it must hold what truly lies there.

    The field is known exactly and linear, 0.1 per mm along R, so that a shift of 1 mm is all the error there is.
    """
    generator = np.random.default_rng(4)
    size = int(np.prod(SHAPE))
    values = 0.1 * _world(np.argwhere(np.ones(SHAPE)).astype(np.float64))[:, 0]
    covariance = np.diag([0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    rest = Rigid(np.zeros(6), np.zeros(3))
    point_mm = _world(np.array([[3.0, 2.5, 2.0]]))

    def places() -> Iterator[NDArray[np.float64]]:
        for motion in rest.draws(covariance, 400, seed=6):
            yield motion.moved(point_mm)

    draws = np.repeat(values[None], 400, axis=0) + 1e-9 * generator.standard_normal((400, size))
    mean, std = log_moments(_grid(), lambda: iter(draws), (values, np.full(size, 1e-9)), places)
    truths = 0.1 * (point_mm[0, 0] + generator.standard_normal(500))
    held = int(np.sum(np.abs(truths - mean[0]) < 1.959964 * std[0]))
    # 400 draws know the spread to 3.5 %, which is 0.8 % of coverage: within what 500 truths can tell.
    assert_coverage(held, 500, 0.95)


def test_draws_are_not_gathered() -> None:
    """A whole brain at 1 mm times 200 draws is 2 GB a modulus: memory must not grow with the number of draws."""
    size = int(np.prod(SHAPE))
    points_mm = _world(_inside(np.random.default_rng(7), 20000))

    def peak(count: int) -> int:
        def draws() -> Iterator[NDArray[np.float64]]:
            generator = np.random.default_rng(8)
            for _ in range(count):
                yield generator.standard_normal(size)

        tracemalloc.start()
        log_moments(_grid(), draws, (np.zeros(size), np.ones(size)), lambda: (points_mm for _ in range(count)))
        return tracemalloc.get_traced_memory()[1]

    few = peak(4)
    tracemalloc.stop()
    assert peak(40) == pytest.approx(few, rel=0.1)
    tracemalloc.stop()
