"""Heads too small for the boxes of displacement: refused where the geometry is first known, and only they."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.tumour.head import LEAST_BOXES, demand_head, second_box, voxels_a_box
from tests.imaging.tumour_study import AFFINE, SHAPE, distance_mm, make_study

BOX_MM, VOXEL_MM = 9.0, 3.0
LEAST_MM = LEAST_BOXES * 12.0
"""With voxels of 3 mm the larger boxes have 12."""


def ball(diameter_mm: float, edge_mm: float) -> np.ndarray:
    """A head in air, shape (n, n, n)."""
    count = int(2 * np.ceil((diameter_mm / 2.0 + 12.0) / edge_mm))
    at = (np.indices((count,) * 3) + 0.5) * edge_mm - count * edge_mm / 2.0
    return np.asarray(np.linalg.norm(at, axis=0) < diameter_mm / 2.0)


@pytest.mark.parametrize("edge_mm", [1.5, 3.0])
def test_just_large_enough_passes_and_just_too_small_does_not(edge_mm: float) -> None:
    """The limit is a length in millimetres, whatever the voxels are, to two voxels of the twin."""
    edges_mm = np.full(3, edge_mm)
    (warning,) = demand_head("images", ball(LEAST_MM + 2.0 * VOXEL_MM, edge_mm), edges_mm, BOX_MM, VOXEL_MM)
    assert warning.code == "head-small"
    with pytest.raises(InputError, match=f"at least {LEAST_MM:.0f} mm, {LEAST_BOXES} boxes of 12 mm"):
        demand_head("images", ball(LEAST_MM - 2.0 * VOXEL_MM, edge_mm), edges_mm, BOX_MM, VOXEL_MM)


@pytest.mark.parametrize(
    ("edges_mm", "half_mm"), [((1.0, 1.0, 1.0), 43.0), ((4.0, 4.0, 4.0), 43.0), ((1.5, 1.5, 6.0), 56.0)]
)
def test_heads_of_people_pass(edges_mm: tuple[float, ...], half_mm: float) -> None:
    """A newborn's brain is some 90 mm wide, a child's 120: no warning, though thick slices make boxes of 15 mm."""
    edges = np.array(edges_mm)
    at = [(np.arange(int(np.ceil(140.0 / edge))) + 0.5) * edge - 70.0 for edge in edges]
    grid = np.meshgrid(*at, indexing="ij")
    head = sum((one / half_mm) ** 2 for one in grid) < 1.0
    assert demand_head("images", np.asarray(head), edges, BOX_MM, VOXEL_MM) == ()


def test_a_slab_of_a_large_head_is_as_thin_as_it_is() -> None:
    """What the images do not show goes on for 9 mm only: a thin slab has no room for boxes either."""
    demand_head("images", np.ones((60, 60, 30), np.bool_), np.full(3, 2.0), BOX_MM, VOXEL_MM)
    with pytest.raises(InputError, match="whole head"):
        demand_head("images", np.ones((60, 60, 8), np.bool_), np.full(3, 2.0), BOX_MM, VOXEL_MM)


def test_boxes_of_two_sizes_differ_whatever_the_voxels() -> None:
    """Rounded to whole voxels, 9 and 12 mm were both two voxels of 6 mm, and the extrapolation divided by zero."""
    for edge in np.arange(0.5, 25.0, 0.25):
        for edges in (np.full(3, edge), np.array([1.0, 1.0, edge])):
            first, second = voxels_a_box(edges, BOX_MM), voxels_a_box(edges, second_box(edges, BOX_MM))
            assert np.prod(second) > np.prod(first)
            assert (second >= first).all()


def test_the_command_refuses_a_small_head_before_anything_is_calibrated(
    tmp_path: Path, palpate_inside: Callable[..., object]
) -> None:
    """Minutes of calibration ended in a crash; the earliest step that knows the head says how small it is."""
    make_study(tmp_path)
    out = tmp_path / "history.h5"
    arguments = ("tumour", tmp_path / "sessions.tsv", "--subject", "07", "--out", out)
    assert palpate_inside(*arguments).code == 0  # type: ignore[attr-defined]
    out.unlink()
    labels = np.where(distance_mm() < 15.0, 2, 0).astype(np.uint8)
    assert labels.shape == SHAPE
    write_nifti(tmp_path / "labels" / "labels.nii.gz", labels, AFFINE)
    (tmp_path / "treatments.tsv").write_text("date\tkind\tdose_gy\n2025-01-20\tradiotherapy\t2\n")
    refused = palpate_inside(*arguments)
    assert refused.code == 2  # type: ignore[attr-defined]
    assert "found a head that holds a ball of 30 mm" in refused.printed  # type: ignore[attr-defined]
    assert not out.exists()
    assert palpate_inside(*arguments, "--box-mm", "0").code == 0  # type: ignore[attr-defined]
