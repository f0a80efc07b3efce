"""Registration against known motions of the in-silico head, and images that nobody can register."""

from __future__ import annotations

import numpy as np
import pytest
from worlds.moved_heads import Moved, block_grid, healthy_head, moved_head, random_motion

from palpate.imaging.files.nifti import Volume
from palpate.imaging.phantom.tissue import Head
from palpate.imaging.registration.register import register

GOAL_MM = 1.0


@pytest.fixture(scope="module")
def head() -> Head:
    return healthy_head()


def _case(head: Head, seed: int, most: float = 10.0, snr: float = 15.0) -> Moved:
    generator = np.random.default_rng([11, seed])
    return moved_head(head, block_grid(), random_motion(generator, most, most), snr=snr, generator=generator)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_known_motions_are_found(head: Head, seed: int) -> None:
    """The error stays below half a voxel, and is of the size that the registration states: within four times.

    Laid off by more, the dark class of the T1, fluid, falls onto tissue, and softens it.
    """
    case = _case(head, seed)
    found = register(case.magnitude, case.tissue, case.anatomy)
    errors = case.errors_mm(found.motion.matrix_mm)
    assert found.status == "registered", found.warnings
    assert errors.max() < GOAL_MM
    assert found.uncertainty_mm is not None
    assert np.sqrt(np.mean(errors**2)) < 4.0 * found.uncertainty_mm


@pytest.mark.long
def test_equal_input_gives_equal_output(head: Head) -> None:
    """A study that is run again must give the same maps; random sampling of voxels is fixed."""
    case = _case(head, 0)
    first, second = (register(case.magnitude, case.tissue, case.anatomy) for _ in range(2))
    np.testing.assert_array_equal(first.motion.parameters, second.motion.parameters)
    np.testing.assert_array_equal(first.covariance, second.covariance)


def _noise(anatomy: Volume) -> Volume:
    return Volume(np.random.default_rng(5).normal(size=anatomy.values.shape), anatomy.affine_mm)


def _ramp(anatomy: Volume) -> Volume:
    return Volume(np.indices(anatomy.values.shape)[0].astype(np.float64), anatomy.affine_mm)


def _upside_down(anatomy: Volume) -> Volume:
    return Volume(anatomy.values[:, :, ::-1], anatomy.affine_mm)


def _elsewhere(anatomy: Volume) -> Volume:
    affine_mm = anatomy.affine_mm.copy()
    affine_mm[:3, 3] += [45.0, 30.0, 0.0]
    return Volume(anatomy.values, affine_mm)


def _half(anatomy: Volume) -> Volume:
    return Volume(anatomy.values[:, : anatomy.values.shape[1] // 2], anatomy.affine_mm)


@pytest.mark.parametrize("spoil", [_noise, _ramp, _upside_down, _elsewhere, _half])
def test_failure_is_noticed(head: Head, spoil: object) -> None:
    """A wrong placement that calls itself right is worse than none."""
    case = _case(head, 4, most=2.0)
    found = register(case.magnitude, case.tissue, spoil(case.anatomy))  # type: ignore[operator]
    assert found.status == "failed"
    assert found.warnings
