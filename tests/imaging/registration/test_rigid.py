"""Rigid motions: what the file says is what is done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from palpate.errors import InputError
from palpate.imaging.registration.placement import ENDING, Placement, read_placement, write_placement
from palpate.imaging.registration.rigid import Rigid
from tests.laws.chance import assert_mean_square

MOTION = Rigid(np.array([0.1, -0.2, 0.3, 4.0, -5.0, 6.0]), np.array([10.0, 20.0, -30.0]))
COVARIANCE = np.diag([0.01, 0.02, 0.005, 0.3, 0.2, 0.4]) ** 2


def test_matrix_is_what_the_file_describes() -> None:
    """Others will apply y = R_z R_x R_y (x - c) + c + t from the file's words; another order would be off by mm."""
    x, y, z, *shift = MOTION.parameters
    turn = Rotation.from_euler("z", z) * Rotation.from_euler("x", x) * Rotation.from_euler("y", y)
    points = np.random.default_rng(1).uniform(-80.0, 80.0, (20, 3))
    expected = turn.apply(points - MOTION.centre_mm) + MOTION.centre_mm + shift
    np.testing.assert_allclose(MOTION.moved(points), expected, atol=1e-9)
    assert MOTION.angle_deg == pytest.approx(np.rad2deg(turn.magnitude()))


def test_spread_is_that_of_draws() -> None:
    """The millimetres that a user reads are those by which draws of the motion scatter."""
    points = np.random.default_rng(2).uniform(-60.0, 60.0, (40, 3))
    draws = list(MOTION.draws(COVARIANCE, 2000, seed=3))
    away = np.array([draw.moved(points) - MOTION.moved(points) for draw in draws])
    found = np.sqrt((away**2).sum(axis=-1).mean())
    # Root of a mean square over 2000 draws: 1.6 % for one direction alone; second order of 0.02 rad adds less.
    assert MOTION.spread_mm(COVARIANCE, points) == pytest.approx(found, rel=0.05)
    shifts = np.array([draw.parameters[3] for draw in draws]) - MOTION.parameters[3]
    assert_mean_square(shifts, COVARIANCE[3, 3])


def test_file_keeps_the_motion(tmp_path: Path) -> None:
    """The matrix takes the anatomy to the elastogram, the reverse of the motion, as the file's name says."""
    write_placement(tmp_path, "sub-01", Placement("registered", MOTION, COVARIANCE, 0.5, {"moved_mm": 1.0}, ("Odd.",)))
    found = read_placement(tmp_path, "sub-01")
    assert found.warnings == ("Odd.",)
    np.testing.assert_array_equal(found.motion.parameters, MOTION.parameters)
    np.testing.assert_array_equal(found.covariance, COVARIANCE)
    assert '"from": "T1w"' in (tmp_path / f"sub-01{ENDING}").read_text()
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    point = found.affine_on_elastogram_mm(affine) @ [3.0, 4.0, 5.0, 1.0]
    np.testing.assert_allclose(MOTION.moved(point[:3]), [3.0, 4.0, 10.0], atol=1e-9)


@pytest.mark.parametrize("dropped", ["warnings", "doubts"])
def test_file_of_either_version_is_read(dropped: str, tmp_path: Path) -> None:
    """Warnings were sentences under another key."""
    write_placement(tmp_path, "sub-01", Placement("registered", MOTION, COVARIANCE, 0.5, {}, ("Odd.",)))
    path = tmp_path / f"sub-01{ENDING}"
    content = json.loads(path.read_text())
    assert content["doubts"] == ["Odd."]
    assert [one["code"] for one in content["warnings"]] == ["anatomy-moved"]
    del content[dropped]
    path.write_text(json.dumps(content))
    assert read_placement(tmp_path, "sub-01").warnings == ("Odd.",)


def test_without_a_file_nothing_moves(tmp_path: Path) -> None:
    """Folders of earlier versions, and of other laboratories, have none."""
    found = read_placement(tmp_path, "sub-01")
    assert found.usable
    np.testing.assert_array_equal(found.motion.matrix_mm, np.eye(4))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "registered", "mre_to_t1w": {"covariance": [[0]]}}'])
def test_a_spoilt_file_is_refused(text: str, tmp_path: Path) -> None:
    """Taking nothing for the motion would lay the anatomy centimetres off."""
    (tmp_path / f"sub-01{ENDING}").write_text(text)
    with pytest.raises(InputError, match="palpate ingest"):
        read_placement(tmp_path, "sub-01")
