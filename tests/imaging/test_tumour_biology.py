"""Hypoxia, biopsies and markers beside a tumour's images: read in the first scan's world, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palpate.config.study import read_study
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.biopsies import on_first_scan
from palpate.imaging.tumour.history import Biopsy, TumourMarkers
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.imaging.tumour.reading import TumourReading, read_tumour
from palpate.imaging.tumour.tissue import TumourTissue
from tests.imaging.tumour_study import AFFINE, SHAPE, distance_mm, make_study


def read(root: Path) -> TumourReading:
    """Read the study's tumour."""
    table = root / "sessions.tsv"
    return read_tumour(read_study(table), "07", TumourSettings(), table=table)


def put(root: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    """Write the map of the first date."""
    write_nifti(root / "growth1" / "hypoxia.nii.gz", values.astype(np.float32), affine)


def test_map_lies_where_its_world_says(tmp_path: Path) -> None:
    """A share is carried to the grid voxel by voxel, and its part of the visible tumour is said."""
    make_study(tmp_path)
    put(tmp_path, np.where(distance_mm() < 6.0, 0.8, 0.0))
    found = read(tmp_path)
    share = found.history.scans[0].hypoxia
    assert share is not None
    assert share == pytest.approx(np.where(distance_mm() < 6.0, 0.8, 0.0), abs=1e-6)
    assert found.history.scans[1].hypoxia is None
    assert any("hypoxia of day 0" in note for note in found.notes)


def test_without_map_and_table_nothing_changes(tmp_path: Path) -> None:
    """Both are off by default."""
    make_study(tmp_path)
    found = read(tmp_path)
    assert all(scan.hypoxia is None for scan in found.history.scans)
    assert found.history.markers is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: put(root, np.full(SHAPE, 40.0)), "values from 40 to 40"),
        (lambda root: put(root, np.full(SHAPE, -0.2)), "values from -0.2"),
        (lambda root: put(root, np.where(distance_mm() < 6.0, np.nan, 0.1)), "not finite"),
        (lambda root: put(root, np.full(SHAPE, np.inf)), "not finite"),
        (lambda root: put(root, np.zeros(tuple(n - 1 for n in SHAPE))), "another grid"),
        (lambda root: put(root, np.zeros(SHAPE), AFFINE + np.diag([0.5, 0.0, 0.0, 0.0])), "another grid"),
        (lambda root: put(root, np.zeros(SHAPE), AFFINE @ np.diag([-1.0, -1.0, 1.0, 1.0])), "another grid"),
        (lambda root: put(root, np.zeros((*SHAPE, 2))), "shape"),
        (lambda root: (root / "growth1" / "hypoxia.nii.gz").write_bytes(b"PET"), "hypoxia.nii.gz"),
    ],
)
def test_bad_map_is_refused(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    """Uptake, percent, pressures or another frame would spare cells that radiotherapy kills."""
    make_study(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError) as refused:
        read(tmp_path)
    assert "hypoxia.nii.gz" in str(refused.value)
    assert words in str(refused.value)


def test_samples_are_carried_back_by_the_heads_motion() -> None:
    """A point of a later date lies where the first scan has the same tissue."""
    grid, tissue = TumourGrid((20, 18, 16), AFFINE), TumourTissue(np.ones(SHAPE, bool), np.ones(SHAPE), ())
    motion = Rigid(np.array([0.1, -0.05, 0.2, 3.0, -2.0, 1.0]), np.zeros(3))
    first = np.array([4.0, -7.0, 2.0])
    x, y, z = (float(one) for one in motion.moved(first))
    (found,) = on_first_scan((Biopsy((x, y, z), 0.3, 0.1),), motion, grid, tissue, "growth2")
    assert found.point_mm == pytest.approx(first)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("0\t0\t0\t1.4\t0.1", "density"),
        ("0\t0\t0\t0.4\t0", "error"),
        ("0\t0\tnan\t0.4\t0.1", "z_mm"),
        ("0\t0\t900\t0.4\t0.1", "beyond"),
        ("0\t0\t-24\t0.4\t0.1", "outside the tissue"),
        ("", "no sample"),
    ],
)
def test_bad_samples_are_refused(tmp_path: Path, lines: str, words: str) -> None:
    """A sample in air, in another unit or without error would outweigh every image."""
    make_study(tmp_path)
    (tmp_path / "growth1" / "biopsies.tsv").write_text(f"x_mm\ty_mm\tz_mm\tdensity\terror\n{lines}\n")
    with pytest.raises(InputError) as refused:
        read(tmp_path)
    assert "biopsies.tsv" in str(refused.value)
    assert words in str(refused.value)


def test_samples_are_read_with_their_date(tmp_path: Path) -> None:
    """The row's date is the samples'."""
    make_study(tmp_path)
    (tmp_path / "growth2" / "biopsies.tsv").write_text("x_mm\ty_mm\tz_mm\tdensity\terror\n1.5\t0\t-3\t0.4\t0.1\n")
    found = read(tmp_path)
    assert [len(scan.biopsies) for scan in found.history.scans] == [0, 1, 0]
    assert found.history.scans[1].biopsies[0] == Biopsy(pytest.approx((1.5, 0.0, -3.0)), 0.4, 0.1)
    assert any(note == "biopsies of day 28: 1" for note in found.notes)


def test_markers_come_from_participants(tmp_path: Path) -> None:
    """The line of this subject counts, and a subject that is not there is said."""
    make_study(tmp_path)
    table = tmp_path / "participants.tsv"
    table.write_text(
        "participant_id\tage\tsex\tmgmt\tidh\nsub-07\t61\tf\tMethylated\tunknown\nsub-08\t40\tm\tn/a\tmut\n"
    )
    assert read(tmp_path).history.markers == TumourMarkers(mgmt="methylated", age=61.0)
    table.write_text("subject\tmgmt\n08\tmethylated\n")
    found = read(tmp_path)
    assert found.history.markers is None
    assert any("participants.tsv has no line" in note for note in found.notes)


@pytest.mark.parametrize("cell", ["0.5", "yes", "methylated?"])
def test_unknown_word_is_refused(tmp_path: Path, cell: str) -> None:
    """A state that nobody can read must not count as unknown."""
    make_study(tmp_path)
    (tmp_path / "participants.tsv").write_text(f"subject\tmgmt\n07\t{cell}\n")
    with pytest.raises(InputError, match="mgmt"):
        read(tmp_path)
