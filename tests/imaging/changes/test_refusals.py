"""Pairs that cannot be compared end in one sentence; pairs that differ in more than time carry a warning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.changes import way
from palpate.imaging.changes.compare import compare_sessions
from palpate.imaging.files.nifti import Volume, read_nifti, write_nifti
from palpate.imaging.registration.placement import Placement
from palpate.imaging.registration.rigid import at_rest
from tests.imaging.changes.conftest import LABEL, record, second_session

KEYED = {"status": "pseudonymised", "key_fingerprint": "0123456789abcdef"}


def _renamed(folder: Path, new: str) -> None:
    """Give all files of a session another label."""
    for path in [*folder.rglob(f"{LABEL}*")]:
        path.rename(path.with_name(path.name.replace(LABEL, new)))


def _without_draws(folder: Path) -> None:
    (folder / "mre" / f"{LABEL}_samples.h5").unlink()


def _without_images(folder: Path) -> None:
    (folder / "wavefield" / f"{LABEL}_T1w.nii.gz").unlink()
    (folder / "wavefield" / f"{LABEL}_magnitude.nii.gz").unlink()


def _other_frame(folder: Path) -> None:
    _without_images(folder)
    record(folder, "ingest", dicom={"FrameOfReferenceUID": "1.2.3", "BodyPartExamined": "BRAIN"})


def _other_anatomy(folder: Path) -> None:
    path = folder / "wavefield" / f"{LABEL}_T1w.nii.gz"
    known = read_nifti(path)
    write_nifti(path, known.values[::-1].astype(np.float32), known.affine_mm)


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another subject": (lambda folder: _renamed(folder, "sub-02_ses-01"), "sub-01 and session B of sub-02"),
    "another patient by pseudonym": (
        lambda folder: record(folder, "ingest", identifiers=KEYED, patient_pseudonym="PBBBBBBBBBBBB"),
        "two patients",
    ),
    "another organ": (
        lambda folder: record(folder, "ingest", dicom={"BodyPartExamined": "LIVER"}),
        "session A of brain and session B of liver",
    ),
    "another part of the body": (
        lambda folder: record(folder, "ingest", dicom={"BodyPartExamined": "BREAST"}),
        "session B of breast",
    ),
    "another frequency": (
        lambda folder: record(folder, "inversion", frequency_hz=60.0),
        "50 Hz in session A and 60 Hz in session B",
    ),
    "no draws": (_without_draws, "no joint draws"),
    "no images and another frame": (_other_frame, "no way from session B to session A"),
    "no maps": (lambda folder: shutil.rmtree(folder / "mre"), "no *_stat-mean_storagemodulus"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sessions_that_cannot_be_compared(name: str, first_session: Path, dseg: Path, tmp_path: Path) -> None:
    """Nothing is written, and the sentence tells which and why."""
    change, told = REFUSED[name]
    first = second_session(first_session, tmp_path / "ses-01", digest="0")
    record(first, "ingest", identifiers=KEYED, patient_pseudonym="PAAAAAAAAAAAA")
    second = tmp_path / "ses-02"
    shutil.copytree(first, second)
    record(second, "inversion", input_digests={"wavefield": "1" * 64})
    change(second)
    with pytest.raises(InputError) as caught:
        compare_sessions(first, second, dseg, tmp_path / "change.tsv", maps=tmp_path / "maps")
    assert told in str(caught.value)
    assert not [path for path in (tmp_path / "change.tsv", tmp_path / "maps") if path.exists()]


def test_images_that_show_something_else(
    first_session: Path, dseg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where images are there and do not fit, one frame of reference is no way out: the person may have moved."""

    def failed(*_: object) -> Placement:
        return Placement("failed", at_rest(np.zeros(3)), np.zeros((6, 6)), None, {}, ("Only 1 of 7 starts agrees.",))

    monkeypatch.setattr(way, "register", failed)
    second = second_session(first_session, tmp_path / "ses-02", _other_anatomy)
    with pytest.raises(InputError, match=r"no way from .*: A's magnitude on B's T1: Only 1 of 7"):
        compare_sessions(first_session, second, dseg, tmp_path / "change.tsv")


def test_magnitudes_lie_where_their_registration_says(
    first_session: Path, dseg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two visits have coordinates of their own: session B lies 40 mm away, and its regions have the values of A's."""
    shift = np.array([40.0, -25.0, 10.0])

    def fitting(magnitude: Volume, tissue: NDArray[np.bool_], fixed: Volume) -> Placement:
        assert tissue.shape == magnitude.values.shape
        assert fixed.affine_mm == pytest.approx(magnitude.affine_mm, abs=1e-3)  # laid centre on centre
        return Placement("registered", at_rest(np.zeros(3)), np.diag([0.0] * 3 + [1e-4] * 3), 0.02)

    def moved(folder: Path) -> None:
        (folder / "wavefield" / f"{LABEL}_T1w.nii.gz").unlink()
        for path in [one for kind in ("modulus", "mask", "magnitude") for one in folder.rglob(f"*{kind}.nii.gz")]:
            known = nib.load(path)
            affine_mm = known.affine.copy()
            affine_mm[:3, 3] += shift
            write_nifti(path, np.asarray(known.dataobj), affine_mm)

    monkeypatch.setattr(way, "register", fitting)
    first = second_session(first_session, tmp_path / "ses-01", digest="2")
    monkeypatch.setattr(way, "_on_anatomy_of_first", lambda *_: None)
    second = second_session(first_session, tmp_path / "ses-02", moved)
    (pair,) = compare_sessions(first, second, dseg, tmp_path / "change.tsv")
    for one in pair.changes:
        assert one.change.ratio == pytest.approx(1.0, abs=1e-3)
    assert pair.facts["uncertainty_mm"] == pytest.approx(np.sqrt(3e-4), rel=1e-3)
    assert not [one for one in pair.facts["warnings"] if one["code"] == "change-not-registered"]
    assert np.array(pair.facts["matrix_mm"])[:3, 3] == pytest.approx(-shift, abs=1e-2)


def test_labels_of_nobody(first_session: Path, dseg: Path, tmp_path: Path) -> None:
    """Labels that touch neither session are told, whatever their grid."""
    labels = read_nifti(dseg)
    away_mm = labels.affine_mm.copy()
    away_mm[:3, 3] += 500.0
    write_nifti(tmp_path / "dseg.nii.gz", labels.values.astype(np.int16), away_mm)
    with pytest.raises(InputError, match="no label inside either session"):
        compare_sessions(first_session, first_session, tmp_path / "dseg.nii.gz", tmp_path / "change.tsv")


def _of_record(path: Path) -> list[str]:
    (pair,) = json.loads(path.read_text())["changes"]
    return [one["code"] for one in pair["warnings"]]


def test_what_differs_beside_time_is_told(first_session: Path, dseg: Path, tmp_path: Path) -> None:
    """Another exam, an unfinished inversion and an unknown organ are warnings, in the record and the log."""
    second = second_session(first_session, tmp_path / "ses-02")
    record(second, "ingest", dicom={}, frequencies=[{"components_measured": 1}])
    record(second, "inversion", converged=False)
    first = second_session(first_session, tmp_path / "ses-01", digest="2")
    record(first, "ingest", dicom={}, frequencies=[{"components_measured": 3}])
    compare_sessions(first, second, dseg, tmp_path / "change.tsv")
    assert {"change-not-converged", "change-other-exam", "change-organ-unknown"} <= set(
        _of_record(tmp_path / "change.json")
    )
    compare_sessions(first, second, dseg, tmp_path / "change.tsv", organ="brain")
    assert "change-organ-unknown" not in _of_record(tmp_path / "change.json")
