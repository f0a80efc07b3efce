"""DICOM on the T1 of a session: joined to the T1's study, in the T1's place, or refused with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.errors import InputError
from palpate.imaging.anatomy.maps_on_anatomy import write_maps_on_anatomy
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.derived.quantities import Medium
from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.maps import read_map
from palpate.imaging.files.stiffness_folder import read_stiffness
from palpate.imaging.region_values.motion import motion_to_anatomy
from palpate.imaging.region_values.quantities import REGION_QUANTITIES
from palpate.imaging.region_values.values import region_values
from palpate.imaging.region_values.weights import weighted
from palpate.imaging.regions.read import read_region
from palpate.imaging.registration.placement import Placement, read_placement, write_placement
from palpate.imaging.registration.rigid import Rigid
from tests.imaging.dicom_judge import errors_in, needs_dciodvfy, series_in
from tests.imaging.planning_session import SCAN, STEM, Home, make_session
from tests.imaging.planting import SECRETS, identifiers_in, leaks
from tests.imaging.scanner import FRAME, PATIENT, STUDY, edit, write_t1

T1_STUDY, T1_FRAME = "1.2.3.4.5.1", "1.2.3.4.5.2"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session whose T1 shares the elastogram's frame of reference."""
    root = tmp_path_factory.mktemp("planning")
    make_session(root)
    return root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Home:
    """That session, to be changed."""
    shutil.copytree(made, tmp_path / "home")
    return Home(tmp_path / "home")


def _t1_of_another_study(home: Home) -> None:
    """Give the T1 a study and a frame of reference of its own."""
    for path in home.t1.iterdir():
        edit(path, lambda image: setattr(image, "StudyInstanceUID", T1_STUDY))
        edit(path, lambda image: setattr(image, "FrameOfReferenceUID", T1_FRAME))


def test_the_series_lies_on_the_t1_and_shows_its_map(home: Home) -> None:
    """The pixel that a planner reads is the resampled map's, within 5 Pa; everything is in one study of one patient."""
    files = home.write(kinds=["mr", "rtstruct", "seg", "registration"])
    write_maps_on_anatomy(home.session / "mre", home.session / "wavefield", home.session / "anat")
    for statistic in ("mean", "std", "lower", "upper"):
        name = f"{STEM}_space-T1w_stat-{statistic}_storagemodulus"
        stored = np.stack([one.pixel_array.T for one in series_in(home.out / name)], axis=2).astype(float)
        expected = read_map(home.session / "anat" / f"{name}.nii.gz").values
        assert np.isfinite(expected).sum() > 200
        np.testing.assert_array_equal(stored > 0, np.isfinite(expected))
        assert np.abs(stored - 1e3 * expected)[stored > 0].max() <= 5.0
    images = [pydicom.dcmread(path) for path in files]
    assert len(images) == 4 * 15 + 2
    assert {one.StudyInstanceUID for one in images} == {STUDY}
    assert {str(one.PatientName) for one in images} == {PATIENT}
    assert len({one.SOPInstanceUID for one in images}) == len(images)
    t1 = {pydicom.dcmread(path).SOPInstanceUID for path in home.t1.iterdir()}
    assert {
        one.ReferencedImageSequence[0].ReferencedSOPInstanceUID
        for one in images
        if one.Modality == "MR" and "PixelData" in one
    } == t1
    assert list(home.reasons()) == ["registration"]
    assert "share a frame of reference" in home.reasons()["registration"]
    secrets = (*SECRETS, PATIENT, STUDY, FRAME)
    assert [one for one in leaks(home.session, secrets) if not one[0].startswith("dicom/")] == []


def test_frames_that_differ_need_a_recorded_registration(home: Home) -> None:
    """A T1 of another visit may lie anywhere: without a registration nothing is laid on it, with one its motion is."""
    _t1_of_another_study(home)
    files = home.write(kinds=["seg", "registration"])
    assert "no registration between them is recorded" in home.reasons()["seg"]
    assert "no registration between them is recorded" in home.reasons()["registration"]
    assert all("space-T1w" not in path.name for path in files)
    motion = Rigid(np.array([0.05, -0.02, 0.03, 1.0, -0.5, 0.4]), np.zeros(3))
    write_placement(home.session / "wavefield", STEM, Placement("registered", motion, np.zeros((6, 6)), 0.3))
    by_kind = {one.Modality: one for one in map(pydicom.dcmread, home.write(kinds=["seg", "registration"]))}
    assert set(by_kind) == {"SEG", "REG"}
    for image in by_kind.values():
        assert (image.StudyInstanceUID, image.FrameOfReferenceUID) == (T1_STUDY, T1_FRAME)
    frames = [one.FrameOfReferenceUID for one in by_kind["REG"].RegistrationSequence]
    assert frames == [T1_FRAME, FRAME]
    assert home.reasons() == {}


def _another_person(home: Home) -> None:
    for path in home.t1.iterdir():
        edit(path, lambda image: setattr(image, "PatientID", "SOMEBODY"))


def _another_image(home: Home) -> None:
    shutil.rmtree(home.t1)
    write_t1(home.t1, np.full((15, 12, 15), 7, np.uint16) + np.arange(15, dtype=np.uint16), SCAN, (1.0, 1.0, 1.1))


@pytest.mark.parametrize(
    ("change", "said"), [(_another_person, "differs from the scan in PatientID"), (_another_image, "another image")]
)
def test_a_t1_that_does_not_belong_is_refused(change: Callable[[Home], None], said: str, home: Home) -> None:
    """Two patients in one study make the original unreachable; another T1 shows a lesion where there is none."""
    change(home)
    with pytest.raises(InputError, match=said) as refusal:
        home.write(kinds=["seg"])
    assert "SOMEBODY" not in str(refusal.value)
    assert not home.out.exists()
    assert not home.out.with_name("dicom.json").exists()


def test_a_t1_as_nifti_has_no_study_to_join(home: Home, palpate_inside: Callable) -> None:
    """The command goes on with what can be written, and says in a sentence and in the record what cannot and why."""
    given = ("--wavefield", home.session / "wavefield", "--scan", home.mre, "--key", home.key, "--out", home.out)
    t1 = home.session / "wavefield" / f"{STEM}_T1w.nii.gz"
    shutil.copy(t1, home.mre.parent / "t1.nii.gz")
    done = palpate_inside("maps", home.session / "mre", *given, "--anatomy", home.mre.parent / "t1.nii.gz")
    assert done.code == 0, done.printed
    assert "no mr, rtstruct, seg, sr, pm: The T1 is NIfTI" in done.printed
    assert set(home.reasons()) == {"mr", "rtstruct", "seg", "sr", "pm"}
    assert len(list(home.out.rglob("*.dcm"))) == 4
    done = palpate_inside("maps", home.session / "mre", *given, "--kinds", "mr,spectra")
    assert done.code == 2
    assert "spectra" in done.printed


def test_without_a_t1_an_organ_is_shown_on_the_elastograms_own_grid(home: Home) -> None:
    """The liver has no T1: readers want |G*| in an image that every viewer opens, in the scan's own frame."""
    (home.session / "wavefield" / f"{STEM}_T1w.nii.gz").unlink()
    home.t1 = None  # type: ignore[assignment]
    path = home.session / "wavefield" / f"{STEM}_ingest.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"mask": {"source": "user"}}))
    home.write(kinds=["mr", "rtstruct"])
    mean = series_in(home.out / f"{STEM}_stat-mean_magnitude")
    assert len(mean) == 4
    inside = np.concatenate([one.pixel_array[one.pixel_array > 0] for one in mean])
    assert np.median(inside) == pytest.approx(1e3 * np.hypot(2.0, 1.0), rel=0.05)
    assert {one.FrameOfReferenceUID for one in mean} == {FRAME}
    (structures,) = (pydicom.dcmread(one) for one in home.out.glob("*_rtstruct.dcm"))
    contour = structures.ROIContourSequence[0].ContourSequence[0]
    storage = series_in(home.out / f"{STEM}_stat-mean_storagemodulus")
    assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID in {one.SOPInstanceUID for one in storage}


def test_the_report_states_the_regions_figures(home: Home) -> None:
    """A radiologist reads the figures that palpate regions states for the segment, as it is drawn on the T1."""
    home.write(kinds=["seg", "sr"])
    paths = {pydicom.dcmread(one).Modality: one for one in home.out.glob("*.dcm")}
    run = read_stiffness(home.session / "mre")[0]
    draws = open_draws(run.samples_path, run.informed.shape)
    report, segments = (pydicom.dcmread(paths[one]) for one in ("SR", "SEG"))
    region = read_region(Path(f"{paths['SEG']}#1"))
    carry = motion_to_anatomy(read_placement(home.session / "wavefield", run.label))
    quantity = REGION_QUANTITIES["storage_modulus"]
    (value,) = region_values(run, draws, [weighted(region, run, draws, carry)], [quantity], Medium(50.0, np.nan))
    stated = [value.mean, value.std, value.lower, value.upper]
    np.testing.assert_allclose(_numbers(report, "STORAGE"), stated, rtol=1e-6)
    assert _references(report) >= {segments.SOPInstanceUID}


def _numbers(report: pydicom.Dataset, code: str) -> list[float]:
    """Values of a concept, in the order of the report."""
    found = []
    for item in report.get("ContentSequence", []):
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == code:
            found.append(float(item.MeasuredValueSequence[0].NumericValue))
        found += _numbers(item, code)
    return found


def _references(report: pydicom.Dataset) -> set[str]:
    return {str(one.value) for one in report.iterall() if one.keyword == "ReferencedSOPInstanceUID"}


@pytest.mark.long
@needs_dciodvfy
def test_a_pseudonym_is_whole_and_breaks_no_rule(home: Home) -> None:
    """Handed on, no object may give the patient away, not even by the identifiers of the slices that it refers to."""
    _t1_of_another_study(home)
    motion = Rigid(np.zeros(6), np.zeros(3))
    write_placement(home.session / "wavefield", STEM, Placement("registered", motion, np.zeros((6, 6)), 0.3))
    own = (*identifiers_in(home.mre), *identifiers_in(home.t1))
    files = home.write(identity="pseudonym")
    assert leaks(home.out, (*SECRETS, *own)) == []
    key = known_key(home.key)
    assert key is not None
    images = [pydicom.dcmread(path) for path in files]
    assert {str(one.PatientID) for one in images} == {"sub-01"}
    framed = [one for one in images if one.Modality != "SR"]  # a report has no frame of reference as a whole
    assert {one.FrameOfReferenceUID for one in framed} == {key.identifier(FRAME), key.identifier(T1_FRAME)}
    judged = [one for one in files if one.parent == home.out or one.name == "0008.dcm"]
    assert {path.name: errors_in(path) for path in judged} == {path.name: [] for path in judged}
    other = home.key.with_name("other")
    other.write_bytes(bytes(range(32)))
    other.chmod(0o600)
    home.key = other
    home.write(identity="pseudonym", kinds=["pm", "seg"])
    assert "key" in home.reasons()["seg"]
