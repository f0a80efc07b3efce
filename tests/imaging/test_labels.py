"""Labelled regions on the voxels of a scan: shares are volumes, and what is no segmentation is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.anatomy.labels import read_regions
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.registration.rigid import Rigid

FINE_MM = np.diag([0.5, 0.5, 0.5, 1.0])
COARSE_MM = np.array([[2.0, 0.0, 0.0, 5.0], [0.0, 0.0, 2.0, 6.0], [0.0, -2.0, 0.0, 20.0], [0.0, 0.0, 0.0, 1.0]])
"""Voxels of 2 mm, turned against the segmentation."""


def _halves(path: Path, border_mm: float) -> Path:
    """Region 3 below a plane across the first world axis, region 7 above it."""
    x_mm = 0.5 * np.arange(60)
    labels = np.where(x_mm < border_mm, 3, 7)[:, None, None] * np.ones((1, 60, 60))
    write_nifti(path, labels.astype(np.uint8), FINE_MM)
    return path


@pytest.mark.parametrize("border_mm", [10.25, 10.75, 11.25, 11.75])
def test_shares_are_volumes(tmp_path: Path, border_mm: float) -> None:
    """A border through a voxel splits it in proportion, in the right place although axes are turned.

    Shares on the wrong side or of the wrong voxel would smear one tissue's mean into its neighbour. Three points a
    direction resolve a share to a sixth.
    """
    mask = np.ones((8, 5, 5), dtype=bool)
    mask[0] = False
    regions = read_regions(_halves(tmp_path / "labels.nii.gz", border_mm), mask, COARSE_MM)
    assert regions.numbers.tolist() == [3, 7]
    fractions = regions.fractions.toarray()
    assert fractions.sum(axis=1) == pytest.approx(1.0)
    low_mm = (np.argwhere(mask) @ COARSE_MM[:3, :3].T + COARSE_MM[:3, 3])[:, 0] - 1.0
    assert np.abs(fractions[:, 0] - np.clip((border_mm - low_mm) / 2.0, 0.0, 1.0)).max() <= 1 / 6 + 1e-9


def test_regions_follow_the_head(tmp_path: Path) -> None:
    """The head moved by 3 mm before the anatomy was taken: the elastogram sees the border 3 mm short of it."""
    mask = np.ones((8, 5, 5), dtype=bool)
    moved = read_regions(
        _halves(tmp_path / "moved.nii.gz", 14.25), mask, COARSE_MM, Rigid(np.array([0, 0, 0, 3.0, 0, 0]), np.zeros(3))
    )
    still = read_regions(_halves(tmp_path / "still.nii.gz", 11.25), mask, COARSE_MM)
    np.testing.assert_allclose(moved.fractions.toarray(), still.fractions.toarray(), atol=1e-12)


def test_outside_the_segmentation_is_no_region(tmp_path: Path) -> None:
    """A segmentation smaller than the scan says nothing about the rest; it must not be extrapolated."""
    mask = np.ones((14, 4, 4), dtype=bool)
    regions = read_regions(_halves(tmp_path / "labels.nii.gz", 10.0), mask, COARSE_MM)
    inside = regions.fractions.toarray().sum(axis=1).reshape(mask.shape)
    assert inside[0, 0, 0] == pytest.approx(1.0)
    assert inside[-1, 0, 0] == 0.0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda labels: labels + 0.5, "no labels"),
        (lambda labels: -labels, "no labels"),
        (lambda labels: np.where(labels == 3, np.nan, labels), "no labels"),
        (lambda labels: 0 * labels, "no label inside"),
        (lambda labels: np.stack([labels, labels], axis=-1), "shape"),
    ],
)
def test_what_is_no_segmentation_is_refused(tmp_path: Path, change: object, found: str) -> None:
    """A probability map taken for labels would give every voxel its own region, and nothing would say so."""
    labels = np.full((60, 60, 60), 3.0)
    write_nifti(tmp_path / "labels.nii.gz", change(labels).astype(np.float32), FINE_MM)  # type: ignore[operator]
    with pytest.raises(InputError, match=found):
        read_regions(tmp_path / "labels.nii.gz", np.ones((4, 4, 4), dtype=bool), COARSE_MM)
