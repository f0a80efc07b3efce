"""Mid-plane of a head: the side of a finding must be the patient's, whatever part of the head the maps show."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.anatomy.midplane import midplane_of
from palpate.imaging.findings.find import MIDLINE_MM, side_of

MIDDLE_MM = np.array([7.0, 3.0, 10.0])
AXES = [np.diag([2.0, 2.0, 2.0]), np.diag([-2.0, 2.0, 3.0]), np.array([[0, 0, 2.5], [2.0, 0, 0], [0, -2.0, 0]])]


def _image(
    turn: Rotation, axes: NDArray[np.float64], width_mm: float = 280.0, height_mm: float = 88.0
) -> tuple[NDArray[np.float64], ...]:
    """A head with a coil on its left, turned about a point that is not the middle of the image."""
    shape = tuple(int(np.ceil(width_mm / np.linalg.norm(axes[:, axis]))) for axis in range(3))
    affine_mm = np.eye(4)
    affine_mm[:3, :3] = axes
    affine_mm[:3, 3] = np.array([12.0, -9.0, 21.0]) - axes @ (np.array(shape) / 2.0)
    world = np.moveaxis(np.indices(shape), 0, -1) @ axes.T + affine_mm[:3, 3]
    own = turn.inv().apply((world - MIDDLE_MM).reshape(-1, 3)).reshape(world.shape)
    head = ((own / [72.0, 95.0, height_mm]) ** 2).sum(axis=-1) < 1.0
    coil = np.linalg.norm(own - [-78.0, 20.0, 0.0], axis=-1) < 18.0
    noise = np.random.default_rng(3).normal(0.0, 8.0, shape)
    return 500.0 * head + 400.0 * coil + noise, affine_mm


@pytest.mark.parametrize("axes", AXES, ids=["RAS", "left-handed", "other order"])
@pytest.mark.parametrize("height_mm", [88.0, 60.0], ids=["high", "flat"])
def test_a_turned_head_keeps_its_sides(axes: NDArray[np.float64], height_mm: float) -> None:
    """A head lies in the coil as it does, turned by ten degrees and more: far in front x = 0 is another side."""
    turn = Rotation.from_euler("xyz", [6.0, -8.0, 14.0], degrees=True)
    plane = midplane_of(*_image(turn, axes, height_mm=height_mm))
    assert plane is not None
    for own in ([20.0, 60.0, 30.0], [-9.0, 70.0, -20.0], [0.0, 80.0, 0.0], [12.0, -60.0, 50.0]):
        point_mm = turn.apply(own) + MIDDLE_MM
        assert plane.to_the_right_mm(point_mm) == pytest.approx(own[0], abs=2.0)
        expected = "midline" if abs(own[0]) <= MIDLINE_MM else "right" if own[0] > 0.0 else "left"
        assert side_of(point_mm, plane) == expected


def test_a_brain_has_its_mid_plane_in_the_middle() -> None:
    """The average brain of 152 people is symmetric about its x = 0."""
    atlas = load_atlas()
    plane = midplane_of(atlas.t1, atlas.affine_mm)
    assert plane is not None
    for y, z in ((60.0, 0.0), (-80.0, 20.0), (0.0, 60.0), (0.0, -10.0)):
        assert abs(plane.to_the_right_mm(np.array([0.0, y, z]))) < 2.0


def test_no_side_is_guessed() -> None:
    """Without an image, with noise alone, and where the image cuts the head on every side, the side is unknown."""
    noise = np.random.default_rng(5).normal(0.0, 1.0, (60, 60, 60))
    assert midplane_of(noise, np.eye(4)) is None
    cut, affine_mm = _image(Rotation.identity(), AXES[0], width_mm=90.0)
    assert midplane_of(cut, affine_mm) is None
    whole, affine_mm = _image(Rotation.identity(), AXES[0])
    assert midplane_of(whole[: whole.shape[0] // 2], affine_mm) is None, "half a head has no middle"
    assert side_of(np.array([40.0, 0.0, 0.0]), None) == "unknown"
