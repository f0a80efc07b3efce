"""Draws of the stiffness on a tumour's grid."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from palpate.errors import InputError
from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.maps import read_map
from palpate.imaging.registration.placement import Placement, not_moved, write_placement
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.stiffness import stiffness_on
from tests.service.conftest import SessionFiles, write_session

LABEL = "sub-01_ses-01"
MOTION = Rigid(np.array([0.1, 0.05, -0.2, 6.0, -4.0, 9.0]), np.array([3.0, 4.0, 5.0]))


@pytest.fixture
def session(tmp_path: Path) -> SessionFiles:
    """A session whose T1 nobody placed."""
    return write_session(tmp_path / "session", tmp_path / "truth")


def _grid(session: SessionFiles) -> TumourGrid:
    found = read_map(session.mre / f"{LABEL}_stat-mean_storagemodulus.nii.gz")
    i, j, k = found.values.shape
    return TumourGrid((i, j, k), found.affine_mm)


def _demand_same(session: SessionFiles, found: np.ndarray) -> None:
    """In the posterior's own voxels the draws themselves, in Pa; NaN elsewhere."""
    draws = open_draws(session.mre / f"{LABEL}_samples.h5", found.shape[1:])
    there = tuple(draws.voxels.T)
    for kept, draw in zip(found, draws.log_draws("storagemodulus"), strict=False):
        np.testing.assert_allclose(kept[there], 1e3 * np.exp(draw), rtol=1e-4)
    outside = np.ones(found.shape[1:], dtype=bool)
    outside[there] = False
    assert np.isnan(found[:, outside]).all()


def test_on_the_same_voxels_draws_are_the_same(session: SessionFiles) -> None:
    """Law of identity: kPa become Pa, and nothing else changes."""
    found = stiffness_on(session.mre, _grid(session), None, 10).draws_pa
    assert len(found) == 10
    _demand_same(session, found)


def test_a_placed_t1_is_followed_backwards(session: SessionFiles) -> None:
    """The tumour's world is the T1's: a grid moved as the T1 lies finds the elastogram's own voxels again."""
    write_placement(session.wavefield, LABEL, Placement("registered", MOTION, np.zeros((6, 6)), 0.0))
    here = _grid(session)
    found = stiffness_on(session.mre, TumourGrid(here.shape, MOTION.matrix_mm @ here.affine_mm), None, 5).draws_pa
    _demand_same(session, found)


def test_a_moved_date_is_followed(session: SessionFiles) -> None:
    """The first scan's head lay elsewhere: its grid, taken by the motion to the elastography's date, is the same."""
    here = _grid(session)
    back = TumourGrid(here.shape, np.linalg.inv(MOTION.matrix_mm) @ here.affine_mm)
    _demand_same(session, stiffness_on(session.mre, back, MOTION, 5).draws_pa)


@pytest.mark.parametrize("what", ["no draws", "elsewhere", "lost"])
def test_unusable_stiffness_is_refused(session: SessionFiles, what: str) -> None:
    """A modulus of another place would steer growth unnoticed."""
    grid = _grid(session)
    if what == "no draws":
        shutil.move(session.mre / f"{LABEL}_samples.h5", session.folder / "elsewhere.h5")
    elif what == "lost":
        write_placement(session.wavefield, LABEL, not_moved("failed", "Lost."))
    else:
        grid = TumourGrid(grid.shape, grid.affine_mm + np.array([[0, 0, 0, 900.0]] + [[0.0] * 4] * 3))
    with pytest.raises(InputError) as refused:
        stiffness_on(session.mre, grid, None, 5)
    assert refused.value.advice
