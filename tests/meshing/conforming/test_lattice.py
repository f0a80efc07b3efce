from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from palpate.meshing.conforming.composed import compose
from palpate.meshing.conforming.lattice import lattice_of, vote
from tests.meshing.conforming.cases import AFFINE, balls, folded


def test_shares_add_up() -> None:
    """Whatever the cube's edge, the labels' volumes are those of the voxels before any vote is cast."""
    segmentation = balls(9.0, 5.0)
    lattice = lattice_of(segmentation.labels, 2, segmentation.affine_mm, 2.7)
    assert lattice.scores.sum(axis=0) == pytest.approx(1.0, abs=1e-5)
    volumes = np.bincount(segmentation.labels.ravel())[1:]
    assert lattice.targets[1:] * 2.7**3 == pytest.approx(volumes)
    assert lattice.scores[1:].sum(axis=(1, 2, 3)) == pytest.approx(lattice.targets[1:], rel=1e-4)


def test_votes_keep_volumes_where_majorities_do_not() -> None:
    """A plate of 2 mm in cubes of 4 mm loses every cube's majority, and the vote gives it what it fills."""
    labels = np.ones((30, 30, 30), dtype=np.int32)
    labels[:, :, 14:16] = 2
    lattice = lattice_of(labels, 2, AFFINE, 4.0)
    cubes, _ = vote(lattice, lattice.targets)
    counts = np.bincount(cubes.ravel(), minlength=3)
    assert counts[2] == pytest.approx(lattice.targets[2], abs=1.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_label_is_pinched(seed: int) -> None:
    """In every 2 x 2 x 2 block each label and its rest must hang together by faces; found here by labelling blocks."""
    labels = folded(seed).labels
    rough = np.pad(labels, 1).astype(np.int16)
    rough[np.random.default_rng(seed).random(rough.shape) < 0.02] = 1
    rough[[0, -1]] = rough[:, [0, -1]] = 0
    rough[:, :, [0, -1]] = 0
    scores = np.stack([rough == label for label in range(4)]).astype(np.float32)
    mended, left = compose(rough, scores)
    assert left == 0
    assert np.mean(mended != rough) < 0.05
    for corner in np.argwhere(np.ones([extent - 1 for extent in rough.shape]))[::3]:
        block = mended[tuple(slice(start, start + 2) for start in corner)]
        kinds = np.unique(block)
        if len(kinds) == 2:
            assert all(ndimage.label(block == kind)[1] == 1 for kind in kinds)
