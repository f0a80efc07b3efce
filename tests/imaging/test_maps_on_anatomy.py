"""Maps on the T1's grid, from files as palpate invert and ingest leave them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from palpate.errors import InputError
from palpate.imaging.anatomy.maps_on_anatomy import NOTE_NAME, write_maps_on_anatomy
from palpate.imaging.files.maps import read_map, read_mask, write_map
from palpate.imaging.files.stiffness_folder import MODULI
from palpate.imaging.registration.placement import Placement, not_moved, write_placement
from palpate.imaging.registration.rigid import Rigid
from tests.service.conftest import SessionFiles, write_session

LABEL = "sub-01_ses-01"
STATISTICS = ("mean", "std", "lower", "upper")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> SessionFiles:
    folder = tmp_path_factory.mktemp("session")
    return write_session(folder / "session", folder / "truth")


def _wavefield(session: SessionFiles, tmp_path: Path, affine_mm: np.ndarray | None = None) -> Path:
    """The wave-field folder with a T1 on the very voxels of the maps, elsewhere in the world if an affine is given."""
    folder = tmp_path / "wavefield"
    shutil.copytree(session.folder / "wavefield", folder)
    mean = read_map(session.mre / f"{LABEL}_stat-mean_storagemodulus.nii.gz")
    place = mean.affine_mm if affine_mm is None else affine_mm
    write_map(folder / f"{LABEL}_T1w.nii.gz", np.ones(mean.values.shape), place, units="1", description="T1")
    return folder


def _same_as_the_maps(session: SessionFiles, out: Path) -> None:
    for modulus in MODULI:
        for statistic in STATISTICS:
            found = read_map(out / f"{LABEL}_space-T1w_stat-{statistic}_{modulus}.nii.gz", units="kPa").values
            there = read_map(session.mre / f"{LABEL}_stat-{statistic}_{modulus}.nii.gz").values
            # Maps are stored to seven digits; a difference of large numbers, the spread loses one or two of them.
            np.testing.assert_allclose(found, there, rtol=1e-4)
    informed = read_mask(out / f"{LABEL}_space-T1w_desc-informed_mask.nii.gz")
    np.testing.assert_array_equal(informed, read_mask(session.mre / f"{LABEL}_desc-informed_mask.nii.gz"))


def test_on_the_same_voxels_the_maps_are_the_same(session: SessionFiles, tmp_path: Path) -> None:
    """Law of identity: what is not moved and not interpolated must not change, NaN included."""
    write_maps_on_anatomy(session.mre, _wavefield(session, tmp_path), tmp_path / "out")
    _same_as_the_maps(session, tmp_path / "out")


def test_a_motion_and_its_reverse_cancel(session: SessionFiles, tmp_path: Path) -> None:
    """The T1 was taken with the head elsewhere, and the registration knows where: each voxel finds itself again."""
    motion = Rigid(np.array([0.1, 0.05, -0.2, 6.0, -4.0, 9.0]), np.array([3.0, 4.0, 5.0]))
    turn = Rotation.from_euler("z", -0.2) * Rotation.from_euler("x", 0.1) * Rotation.from_euler("y", 0.05)
    affine_mm = read_map(session.mre / f"{LABEL}_stat-mean_storagemodulus.nii.gz").affine_mm.copy()
    affine_mm[:3, 3] = turn.apply(affine_mm[:3, 3] - motion.centre_mm) + motion.centre_mm + [6.0, -4.0, 9.0]
    affine_mm[:3, :3] = turn.as_matrix() @ affine_mm[:3, :3]
    folder = _wavefield(session, tmp_path, affine_mm)
    write_placement(folder, LABEL, Placement("registered", motion, np.zeros((6, 6)), 0.0))
    write_maps_on_anatomy(session.mre, folder, tmp_path / "out")
    _same_as_the_maps(session, tmp_path / "out")


def test_misplacement_shows_in_the_spread(session: SessionFiles, tmp_path: Path) -> None:
    """Where stiffness changes, not knowing the place by 2 mm is not knowing the stiffness."""
    folder = _wavefield(session, tmp_path)
    covariance = np.diag([0.0, 0.0, 0.0, 4.0, 4.0, 4.0])
    write_placement(folder, LABEL, Placement("aligned", Rigid(np.zeros(6), np.zeros(3)), covariance, 2.0 * 3**0.5))
    write_maps_on_anatomy(session.mre, folder, tmp_path / "out")
    name = "stat-std_storagemodulus.nii.gz"
    found = read_map(tmp_path / "out" / f"{LABEL}_space-T1w_{name}").values
    there = read_map(session.mre / f"{LABEL}_{name}").values
    assert np.nanmedian(found / there) > 1.1


@pytest.mark.parametrize("why", ["no anatomy", "lost"])
def test_without_a_place_there_is_a_note(session: SessionFiles, tmp_path: Path, why: str) -> None:
    """A map laid on the wrong place would be looked at like any other."""
    folder = _wavefield(session, tmp_path)
    if why == "lost":
        write_placement(folder, LABEL, not_moved("failed", "Lost."))
    else:
        (folder / f"{LABEL}_T1w.nii.gz").unlink()
    assert write_maps_on_anatomy(session.mre, folder, tmp_path / "out") == ()
    assert (tmp_path / "out" / NOTE_NAME).read_text().startswith("There are no maps here")


@pytest.mark.parametrize("what", ["missing", "truncated"])
def test_draws_are_needed(session: SessionFiles, tmp_path: Path, what: str) -> None:
    """Spreads of voxels cannot stand in for draws, so the message says which step writes them."""
    shutil.copytree(session.mre, tmp_path / "mre")
    samples = tmp_path / "mre" / f"{LABEL}_samples.h5"
    if what == "missing":
        samples.unlink()
    else:
        samples.write_bytes(samples.read_bytes()[:200])
    with pytest.raises(InputError, match="palpate invert"):
        write_maps_on_anatomy(tmp_path / "mre", _wavefield(session, tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
