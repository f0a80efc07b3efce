"""A tumour's images over time arrive on one grid, in days, unchanged where they need not change."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from palpate.config.study import read_study
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.files.nifti import Volume
from palpate.imaging.phantom.grid import block, rotation
from palpate.imaging.phantom.identity import RAS_TO_LPS, Identity, fill, place, save
from palpate.imaging.phantom.rtdose import write_rtdose
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.dose import read_dose
from palpate.imaging.tumour.history import ENHANCING, TumourHistory
from palpate.imaging.tumour.history_file import history_notes, read_history, write_history
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.reading import read_tumour
from tests.imaging.tumour_study import DATES, ROWS, cellularity, make_study, write_sessions


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[TumourHistory, tuple[str, ...]]:
    """The small study's history and what was taken for granted."""
    root = tmp_path_factory.mktemp("tumour")
    make_study(root)
    table = root / "sessions.tsv"
    found = read_tumour(read_study(table), "07", TumourSettings(), table=table, drugs={"temozolomide"})
    return found.history, found.notes


def test_cellularity_is_the_same_whatever_it_came_as(read: tuple[TumourHistory, tuple[str, ...]]) -> None:
    """ADC in either unit is the same density; a wrong unit or sign would be off by far more than rounding."""
    scans = read[0].scans
    for number, scan in enumerate(scans, start=1):
        known = np.isfinite(scan.cellularity)
        assert np.allclose(scan.cellularity[known], cellularity(number)[known], atol=1e-4)
        assert known.sum() > 100
    assert [scan.day for scan in scans] == [0.0, 28.0, 56.0]
    stds = [float(np.nanmax(scan.cellularity_std)) for scan in scans]
    assert stds == pytest.approx([0.1, 240e-6 / 2.4e-3, 0.25e-3 / 2.4e-3])


def test_treatments_land_in_place(read: tuple[TumourHistory, tuple[str, ...]]) -> None:
    """A fraction's dose is the plan's over its number; regions are those of the last scan before."""
    history = read[0]
    assert [one.day for one in history.irradiations] == [14.0, 15.0, 16.0]
    assert history.irradiations[0].dose_gy is history.irradiations[1].dose_gy
    middle = history.irradiations[0].dose_gy[10, 9, 8]
    assert middle == pytest.approx(2.0, rel=0.02)
    marked = np.isin(history.scans[0].roi, (1, 2))
    assert np.array_equal(history.irradiations[2].dose_gy > 0, marked)
    assert history.drug_doses[0].drug == "temozolomide"
    assert np.array_equal(history.surgeries[0].removed, history.scans[1].roi == ENHANCING)
    assert history.white[-1, 9, 8] == 1.0
    assert history.white[0, 9, 8] == 0.0
    assert not history.tissue[:, :, :2].any()


def test_stored_history_is_the_same_and_holds_no_date(
    read: tuple[TumourHistory, tuple[str, ...]], tmp_path: Path
) -> None:
    """What is stored is all that later steps see; dates of a person's scans must not be among it."""
    path = tmp_path / "history.h5"
    write_history(path, *read)
    again = read_history(path)
    assert again.subject == "07"
    for before, after in zip(read[0].scans, again.scans, strict=True):
        assert np.allclose(before.cellularity, after.cellularity, atol=1e-6, equal_nan=True)
        assert np.array_equal(before.roi, after.roi)
        assert np.array_equal(before.offset, after.offset) or before.offset is after.offset is None
    assert [one.day for one in again.irradiations] == [one.day for one in read[0].irradiations]
    assert again.irradiations[0].dose_gy is again.irradiations[1].dose_gy
    assert again.drug_doses == read[0].drug_doses
    assert np.array_equal(again.surgeries[0].removed, read[0].surgeries[0].removed)
    assert history_notes(path) == read[1]
    texts: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, one: texts.extend([name, *map(str, one.attrs.values())]))
        texts += [str(value) for value in file.attrs.values()]
    assert not any(date in text for date in DATES for text in texts)
    assert all(date.encode() not in path.read_bytes() for date in DATES)


def _write_t1(folder: Path, identity: Identity) -> None:
    """Slices of the head in which the small study's tumour grows, in the frame of reference of its dose."""
    grid = block(np.zeros(3), np.diag([-1.0, -1.0, 1.0]), (20, 18, 16), 3.0)
    folder.mkdir()
    for k in range(grid.shape[2]):
        image = identity.image(12, k + 1)
        image.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        place(image, grid, RAS_TO_LPS @ (grid.affine_mm @ [0, 0, k, 1])[:3])
        fill(image, np.add.outer(np.arange(18), np.arange(20)).astype(np.uint16), bits=12)
        save(image, folder / f"{k:03d}.dcm")


def test_planners_dose_meets_a_deidentified_t1(read: tuple[TumourHistory, tuple[str, ...]], tmp_path: Path) -> None:
    """T1s come out of an archive de-identified, the dose from a planning system is not: it must lie where it lay."""
    make_study(tmp_path)
    _write_t1(tmp_path / "t1", Identity("07", "01", "test"))
    deidentify(tmp_path / "t1", tmp_path / "clean", tmp_path / "key")
    table = tmp_path / "sessions.tsv"
    for anatomy in ("t1", "clean"):
        write_sessions(tmp_path, (ROWS[0] | {"anatomy": anatomy}, *ROWS[1:]))
        given = {"table": table, "key_file": tmp_path / "key"}
        found = read_tumour(read_study(table), "07", TumourSettings(), **given)
        expected = read[0].irradiations[0].dose_gy
        np.testing.assert_array_equal(found.history.irradiations[0].dose_gy, expected)
        assert not [note for note in found.notes if "no T1 came as DICOM" in note]
    with pytest.raises(InputError, match=r"give its key \(ingest\.key\)"):
        read_tumour(read_study(table), "07", TumourSettings(), table=table, key_file=tmp_path / "none")


def test_dose_lies_where_the_planning_system_put_it(tmp_path: Path) -> None:
    """LPS to RAS, frame offsets and the order of rows: a linear dose comes back as the same function of the world."""
    grid = block(np.array([10.0, -20.0, 30.0]), np.diag([-1.0, -1.0, 1.0]), (9, 8, 7), 3.0)
    slope = np.array([0.02, 0.03, 0.05])
    write_rtdose(tmp_path / "d.dcm", Identity("07", "01", "x"), grid, 10.0 + grid.points_mm @ slope)
    dose = read_dose(tmp_path / "d.dcm")
    target = TumourGrid((3, 3, 3), np.array([[2.0, 0, 0, 8.0], [0, 2.0, 0, -22.0], [0, 0, 2.0, 28.0], [0, 0, 0, 1]]))
    assert np.allclose(target.interpolated(dose.volume), 10.0 + target.points_mm() @ slope, atol=1e-6)


def test_motion_takes_a_later_date_back() -> None:
    """A head that moved by a known motion is read as if it had not; the wrong direction would double the error."""
    grid = TumourGrid((12, 12, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
    motion = Rigid(np.array([0.0, 0.0, 0.1, 3.0, -2.0, 1.0]), np.array([11.0, 11.0, 11.0]))
    wide = TumourGrid((40, 40, 40), np.array([[1.0, 0, 0, -8], [0, 1.0, 0, -8], [0, 0, 1.0, -8], [0, 0, 0, 1]]))
    back = np.linalg.inv(motion.matrix_mm)
    first = wide.points_mm() @ back[:3, :3].T + back[:3, 3]
    moved = Volume(first @ np.array([1.0, 2.0, 3.0]), wide.affine_mm)
    found = grid.interpolated(moved, motion)
    known = np.isfinite(found)
    assert known.mean() > 0.9
    assert np.allclose(found[known], (grid.points_mm() @ np.array([1.0, 2.0, 3.0]))[known], atol=1e-9)


def test_nearest_voxels_say_where_they_lie() -> None:
    """Values of a turned and moved date are untouched, and right for the places that `offset` names.

    If either were off, maps of later dates would be compared with the model at wrong places, by up to half a voxel.
    """
    grid = TumourGrid((9, 10, 11), np.diag([3.0, 2.0, 2.5, 1.0]))
    motion = Rigid(np.array([0.05, -0.1, 0.2, 1.3, -0.7, 2.1]), np.array([12.0, 10.0, 12.0]))
    turned = rotation((10.0, -5.0, 20.0)) @ np.diag([-2.0, 3.0, 2.5])
    own = TumourGrid((40, 40, 40), np.block([[turned, np.array([[60.0], [-60.0], [-45.0]])], [np.zeros((1, 3)), 1.0]]))
    back = np.linalg.inv(motion.matrix_mm)
    slope = np.array([1.0, 2.0, 3.0])
    seen = Volume((own.points_mm() @ back[:3, :3].T + back[:3, 3]) @ slope, own.affine_mm)
    offset = grid.offset(seen, motion)
    shown = grid.points_mm() + offset @ grid.affine_mm[:3, :3].T
    inside = grid.covered(seen, motion)
    assert inside.mean() > 0.5
    found = grid.nearest(seen, motion, outside=np.nan)
    assert np.isin(found[inside], seen.values).all()
    assert np.allclose(found[inside], (shown @ slope)[inside], atol=1e-9)
    assert 0.3 < np.abs(offset[inside]).max() < 1.2
    assert not grid.offset(Volume(np.zeros(grid.shape), grid.affine_mm)).any()
