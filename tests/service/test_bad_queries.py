"""Bad questions to `palpate query`: one sentence that says what to mend, exit code 2, and no name of a patient."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from palpate.imaging.files.maps import read_map, read_mask, write_mask
from palpate.imaging.registration.placement import not_moved, write_placement
from palpate.service.query import session
from tests.conftest import Outcome
from tests.imaging.drawn_files import PERSON, write_rtstruct, write_seg
from tests.service.conftest import SessionFiles

FRAME = "1.2.826.0.1.3680043.10.543.2"
SPHERE = ("--sphere", "0,0,20,4")

type Inside = Callable[..., Outcome]

OPEN = cache(session.open_session)
"""Opening of a session that many questions share: it is not what is tested here."""


@pytest.fixture(scope="module")
def drawn(finished_session: SessionFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Regions with every fault, in files named after the patient."""
    folder = tmp_path_factory.mktemp("drawn")
    mean = read_map(finished_session.mre / "sub-01_ses-01_stat-mean_storagemodulus.nii.gz")
    box = np.zeros(mean.values.shape, dtype=bool)
    box[8:12, 9:13, 5:8] = True
    affine_mm = mean.affine_mm
    segments = {PERSON: box, "liver": box, "Liver": box, "tumour": box}
    write_seg(folder / "Mustermann.dcm", segments, affine_mm, frame=FRAME)
    write_seg(folder / "other.dcm", {PERSON: box}, affine_mm, frame="1.2.3")
    square = np.array([[8.0, 9.0], [12.0, 9.0], [12.0, 13.0], [8.0, 13.0]])
    bow = np.array([[8.0, 9.0], [12.0, 13.0], [12.0, 9.0], [8.0, 13.5]])

    def planes(corners: np.ndarray) -> list[np.ndarray]:
        cubes = [np.column_stack([corners, np.full(4, float(k))]) for k in (5, 6)]
        return [one @ affine_mm[:3, :3].T + affine_mm[:3, 3] for one in cubes]

    off_mm = [one + np.array([0.0, 0.0, 500.0]) for one in planes(square)]
    regions = {PERSON: planes(square), "GTV": planes(bow), "PTV": off_mm}
    write_rtstruct(folder / "Erika.dcm", regions, frame=FRAME)
    write_rtstruct(folder / "open.dcm", {"GTV": planes(square)}, kind="OPEN_PLANAR", frame=FRAME)
    write_rtstruct(folder / "ct.dcm", {"GTV": planes(square)}, frame="1.2.4")
    write_mask(folder / "empty.nii.gz", np.zeros_like(box), affine_mm, description="empty")
    away_mm = affine_mm.copy()
    away_mm[:3, 3] += 800.0
    write_mask(folder / "away.nii.gz", box, away_mm, description="away")
    write_mask(folder / "mask.nii.gz", box, affine_mm, description="box")
    (folder / "broken.dcm").write_bytes((folder / "Mustermann.dcm").read_bytes()[:2000])
    (folder / "notes.txt").write_text("mine")
    return folder


CASES = {
    "no region": ((), "one of --sphere"),
    "two regions": ((*SPHERE, "--mask", "{mask.nii.gz}"), "--sphere and --mask"),
    "three numbers": (("--sphere", "1,2,3"), "RADIUS"),
    "radius 0": (("--sphere", "0,0,20,0"), "a radius above 0"),
    "radius below 0": (("--sphere", "0,0,20,-3"), "a radius above 0"),
    "radius nan": (("--sphere", "0,0,20,nan"), "a radius above 0"),
    "centre infinite": (("--sphere", "inf,0,20,4"), "R A S"),
    "words": (("--sphere", "tumour"), "--sphere"),
    "sphere outside": (("--sphere", "900,0,0,5"), "touches no voxel of the map"),
    "sphere between points": (("--sphere", "0,0,20,0.01"), "smaller than the distance of the points"),
    "threshold 0": ((*SPHERE, "--above", "0"), "above 0"),
    "threshold below 0": ((*SPHERE, "--above", "-2"), "above 0"),
    "threshold nan": ((*SPHERE, "--above", "nan"), "above 0"),
    "threshold of a ratio": ((*SPHERE, "--above", "2", "--quantity", "loss_tangent"), "beside loss_tangent"),
    "unknown quantity": ((*SPHERE, "--quantity", "hardness"), "'hardness'"),
    "frequency absent": ((*SPHERE, "--frequency-hz", "33"), "sub-01_ses-01 at 50 Hz"),
    "frequency nan": ((*SPHERE, "--frequency-hz", "nan"), "in hertz above 0"),
    "run absent": ((*SPHERE, "--run", "9"), "sub-01_ses-01 at 50 Hz"),
    "unknown format": ((*SPHERE, "--format", "xml"), "json, csv, fhir, sr"),
    "report without file": ((*SPHERE, "--format", "sr"), "--out"),
    "scan without report": ((*SPHERE, "--scan", "{.}"), "--scan"),
    "scan of another patient": ((*SPHERE, "--format", "sr", "--out", "new.dcm", "--scan", "{.}"), "no image that"),
    "name of a sphere": ((*SPHERE, "--name", "GTV"), "--name"),
    "mask is a segmentation": (("--mask", "{Mustermann.dcm}", "--name", "1"), "--name"),
    "mask is DICOM": (("--mask", "{other.dcm}"), "--seg"),
    "seg is contours": (("--seg", "{Erika.dcm}", "--name", "1"), "an RT Structure Set"),
    "roi is a segmentation": (("--roi", "{Mustermann.dcm}", "--name", "tumour"), "a DICOM Segmentation"),
    "seg is a mask": (("--seg", "{mask.nii.gz}"), "a NIfTI mask"),
    "file absent": (("--seg", "{gone.dcm}"), "no such file"),
    "folder": (("--seg", "{.}"), "a folder"),
    "damaged": (("--seg", "{broken.dcm}", "--name", "tumour"), "Export the region again"),
    "text": (("--mask", "{notes.txt}"), "a complete .nii"),
    "no name": (("--seg", "{Mustermann.dcm}"), "2 (liver), 3 (Liver), 4 (tumour)"),
    "name absent": (("--seg", "{Mustermann.dcm}", "--name", "spleen"), "1, 2 (liver), 3 (Liver), 4 (tumour)"),
    "name ambiguous": (("--seg", "{Mustermann.dcm}", "--name", "LIVER"), "2 segments of the name"),
    "number absent": (("--roi", "{Erika.dcm}", "--name", "12"), "1, 2 (GTV), 3 (PTV)"),
    "contour crosses itself": (("--roi", "{Erika.dcm}", "--name", "GTV"), "crosses itself"),
    "contour open": (("--roi", "{open.dcm}", "--name", "GTV"), "OPEN_PLANAR"),
    "contour outside": (("--roi", "{Erika.dcm}", "--name", "PTV"), "touches no voxel"),
    "segment of another frame": (("--seg", "{other.dcm}"), "another frame of reference"),
    "contour of another frame": (("--roi", "{ct.dcm}"), "another frame of reference"),
    "empty mask": (("--mask", "{empty.nii.gz}"), "no voxel above 0"),
    "mask outside": (("--mask", "{away.nii.gz}"), "touches no voxel"),
    "out is the region": (("--mask", "{mask.nii.gz}", "--out", "{mask.nii.gz}"), "the input mask"),
    "out is mine": ((*SPHERE, "--out", "{notes.txt}"), "did not write"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_question_is_refused_in_one_sentence(
    case: str, drawn: Path, finished_session: SessionFiles, palpate_inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found, what is expected and what to do; files are left as they are, and no name is repeated."""
    arguments, told = CASES[case]
    given = [str(drawn / one[1:-1]) if one.startswith("{") else one for one in arguments]
    before = {path: path.read_bytes() for path in drawn.iterdir()}
    monkeypatch.setattr(session, "open_session", OPEN)
    done = palpate_inside("query", finished_session.folder, *given)
    _demand_refusal(done, told)
    assert {path: path.read_bytes() for path in drawn.iterdir()} == before


def _demand_refusal(done: Outcome, told: str) -> None:
    assert done.code == 2, done.printed
    assert told in done.printed
    assert done.printed.startswith("palpate: ")
    assert "found " in done.printed
    assert "expected " in done.printed
    assert len(done.printed.strip().splitlines()) == 1
    assert not any(name in done.printed for name in ("Mustermann^", PERSON, "Mustermann.dcm", "Erika.dcm"))


def _without_draws(mre: Path) -> None:
    (mre / "sub-01_ses-01_samples.h5").unlink()


def _with_few_draws(mre: Path) -> None:
    with h5py.File(mre / "sub-01_ses-01_samples.h5", "r+") as file:
        for name in ("storagemodulus_kpa", "lossmodulus_kpa"):
            values = file[name][:5]
            del file[name]
            file[name] = values


def _with_damaged_draws(mre: Path) -> None:
    path = mre / "sub-01_ses-01_samples.h5"
    path.write_bytes(path.read_bytes()[:5000])


def _without_maps(mre: Path) -> None:
    shutil.rmtree(mre)


SESSIONS = {
    "no draws": (_without_draws, "no joint draws"),
    "few draws": (_with_few_draws, "5 draws"),
    "damaged draws": (_with_damaged_draws, "samples"),
    "no maps": (_without_maps, "stat-mean_storagemodulus"),
}


@pytest.mark.parametrize("case", SESSIONS)
def test_a_session_that_cannot_answer_says_why(
    case: str, finished_session: SessionFiles, tmp_path: Path, palpate_inside: Inside
) -> None:
    """An interval without draws would be made up."""
    spoil, told = SESSIONS[case]
    shutil.copytree(finished_session.folder, tmp_path / "session")
    spoil(tmp_path / "session" / "mre")
    _demand_refusal(palpate_inside("query", tmp_path / "session", *SPHERE), told)


def test_a_region_on_a_t1_without_a_place_is_refused(
    finished_session: SessionFiles, tmp_path: Path, palpate_inside: Inside
) -> None:
    """A registration that failed leaves no way to the elastogram; that the region could be anywhere is no answer."""
    shutil.copytree(finished_session.folder, tmp_path / "session")
    wavefield = tmp_path / "session" / "wavefield"
    anatomy = read_map(wavefield / "sub-01_ses-01_T1w.nii.gz")
    write_mask(tmp_path / "mask.nii.gz", anatomy.values > 500.0, anatomy.affine_mm, description="head")
    assert read_mask(tmp_path / "mask.nii.gz").any()
    write_placement(wavefield, "sub-01_ses-01", not_moved("failed", "The registration failed."))
    done = palpate_inside("query", tmp_path / "session", "--mask", tmp_path / "mask.nii.gz")
    _demand_refusal(done, "whose place on the elastogram is not known")
