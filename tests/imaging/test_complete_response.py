"""Scans on which no tumour is visible are read as such, and only where a file says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palpate.config.study import read_study
from palpate.config.tumour import TumourSettings
from palpate.errors import InputError
from palpate.imaging.files.nifti import read_nifti, write_nifti
from palpate.imaging.tumour.history import CAVITY
from palpate.imaging.tumour.history_file import read_history, write_history
from palpate.imaging.tumour.reading import TumourReading, read_tumour
from tests.imaging.tumour_study import AFFINE, TREATMENTS, make_study, write_treatments


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three dates with a tumour, without the surgery that needs regions of the second."""
    make_study(tmp_path)
    write_treatments(tmp_path, *TREATMENTS[:4])
    return tmp_path


def _read(root: Path) -> TumourReading:
    table = root / "sessions.tsv"
    return read_tumour(read_study(table), "07", TumourSettings(), table=table, drugs=None)


def _blank(root: Path, date: int, value: int = 0) -> None:
    path = root / f"growth{date}" / "roi.nii.gz"
    regions = read_nifti(path).values
    write_nifti(path, np.where(regions > 0, value, 0).astype(np.uint8), AFFINE)


@pytest.mark.parametrize("date", [2, 3])
def test_regions_of_zeros_are_a_complete_response(study: Path, date: int) -> None:
    """After treatment that worked nothing is left to draw; refusing it would leave out the patients who did best."""
    _blank(study, date)
    found = _read(study)
    scan = found.history.scans[date - 1]
    assert scan.marked
    assert not scan.tumour.any()
    assert not np.isfinite(scan.cellularity).any()
    assert any(f"ses-{date:02d}" in note and "without a visible tumour" in note for note in found.notes)


def test_what_is_stored_still_says_that_somebody_looked(study: Path) -> None:
    """Zeros that were drawn are data, zeros for want of a file are not; the file between the steps must tell them."""
    _blank(study, 3)
    (study / "growth1" / "roi.nii.gz").unlink()
    write_treatments(study, *TREATMENTS[:3])
    write_history(study / "history.h5", _read(study).history)
    again = read_history(study / "history.h5").scans
    assert [scan.marked for scan in again] == [False, True, True]


def test_a_cavity_alone_is_one_too(study: Path) -> None:
    """After a gross total resection the only region is the cavity."""
    _blank(study, 3, CAVITY)
    scan = _read(study).history.scans[2]
    assert scan.marked
    assert not scan.tumour.any()


def test_a_tumour_may_come_after_the_first_scan(study: Path) -> None:
    """A scan before the tumour says how fast it came."""
    _blank(study, 1)
    values = read_nifti(study / "growth1" / "cellularity.nii.gz").values
    write_nifti(study / "growth1" / "cellularity.nii.gz", (0.2 * values).astype(np.float32), AFFINE)
    write_treatments(study, *TREATMENTS[:3])
    scans = _read(study).history.scans
    assert [scan.tumour.any() for scan in scans] == [False, True, True]


def test_cellularity_below_what_counts_needs_no_regions(study: Path) -> None:
    """A measured map states by itself that cells are few."""
    (study / "growth1" / "roi.nii.gz").unlink()
    values = read_nifti(study / "growth1" / "cellularity.nii.gz").values
    write_nifti(study / "growth1" / "cellularity.nii.gz", (0.2 * values).astype(np.float32), AFFINE)
    write_treatments(study, *TREATMENTS[:3])
    assert not _read(study).history.scans[0].marked


def test_a_file_that_is_missing_is_no_complete_response(study: Path) -> None:
    """Nothing drawn because nobody drew must not be taken for nothing to draw."""
    (study / "growth3" / "roi.nii.gz").unlink()
    with pytest.raises(InputError, match="no such file"):
        _read(study)
