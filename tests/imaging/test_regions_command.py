"""palpate regions: labels, segments, contours and spheres as a table, and what cannot be one."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from palpate import read_stiffness as read_posterior
from palpate.errors import InputError
from palpate.imaging.deidentify.key_file import open_key
from palpate.imaging.files.draws import open_draws
from palpate.imaging.files.nifti import StoredVolume, read_grid, write_nifti
from palpate.imaging.files.stiffness_folder import read_stiffness
from palpate.imaging.region_values.command import RegionsCommand, write_regions
from palpate.imaging.region_values.label_map import read_label_map
from palpate.imaging.region_values.label_weights import weighted_labels
from palpate.imaging.region_values.motion import uncertain
from palpate.imaging.region_values.patient import patient_warnings
from palpate.imaging.region_values.table import COLUMNS
from palpate.imaging.region_values.weights import weighted
from palpate.imaging.regions.region import DrawnRegion, VoxelShape
from palpate.imaging.regions.sphere import SphereShape
from palpate.imaging.registration.placement import Placement, write_placement
from palpate.imaging.registration.rigid import Rigid
from palpate.service.query.ask import Query, ask
from palpate.service.query.options import QueryOptions
from palpate.service.query.region_spec import SphereSpec
from palpate.service.query.session import open_session
from tests.conftest import Outcome
from tests.imaging.drawn_files import FRAME, write_rtstruct, write_seg
from tests.imaging.registration_files import write_itk
from tests.service.conftest import SHAPE, write_session

LABEL = "sub-01_ses-01"
NAMES = {1: "left", 2: "rechts außen", 7: "Grey matter"}
PATIENTS = [
    ("4711", "own", "accepted"),
    ("4712", "own", "refused"),
    ("", "own", "unknown"),
    ("4711", "other key", "unknown"),
    ("sub-01", "before", "accepted"),
    ("sub-02", "before", "refused"),
    ("4711", "retained", "unknown"),
]
"""Patient's number in the file of a region, identifiers of the record, and what follows."""
MOTION = Rigid(np.array([0.03, -0.02, 0.05, 2.0, -1.0, 1.5]), np.array([0.0, -10.0, 20.0]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one session whose elastogram states its frame of reference; only read."""
    folder = tmp_path_factory.mktemp("study")
    session = write_session(folder / "results" / "sub-01" / "ses-01", folder / "truth").folder
    path = session / "wavefield" / f"{LABEL}_ingest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dicom": {"FrameOfReferenceUID": FRAME}}))
    return folder


@pytest.fixture
def session(made: Path, tmp_path: Path) -> Path:
    """The session, to write in."""
    shutil.copytree(made / "results", tmp_path / "results")
    return tmp_path / "results" / "sub-01" / "ses-01"


def _affine(session: Path) -> NDArray[np.float64]:
    return read_stiffness(session)[0].affine_mm


def _blocks() -> NDArray[np.uint8]:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[4:9, 6:15, 3:9], labels[9:12, 6:15, 3:9], labels[12:16, 8:14, 4:8] = 1, 2, 7
    return labels


def _dseg(session: Path, labels: NDArray[np.generic] | None = None, table: str | None = None) -> Path:
    """Labels on the elastogram's voxels, and their names beside."""
    path = session.parent / "sub-01_dseg.nii.gz"
    write_nifti(path, _blocks() if labels is None else labels, _affine(session))
    told = "index\tname\tcolor\n" + "".join(f"{index}\t{name}\t#ff0000\n" for index, name in NAMES.items())
    path.with_name("sub-01_dseg.tsv").write_text(told if table is None else table, encoding="utf-8")
    return path


def _table(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["region"], row["quantity"]): row for row in csv.DictReader(file, delimiter="\t")}


def test_a_table_has_the_figures_of_the_posterior_in_python(session: Path) -> None:
    """The contract of the columns, and one number whichever door a user takes."""
    path, rows = write_regions(RegionsCommand(session, labels=_dseg(session)), None)
    assert path == session / "regions.tsv"
    assert path.read_text(encoding="utf-8").splitlines()[0].split("\t") == list(COLUMNS)
    found = _table(path)
    assert rows == len(found) == 12
    posterior = read_posterior(session)
    for number, name in NAMES.items():
        region = posterior.region(_blocks() == number)
        for quantity, summary in (("storage_modulus", region.storage_kpa), ("loss_tangent", region.loss_tangent)):
            row = found[name, quantity]
            for figure in ("mean", "std", "lower", "upper", "mean_error", "lower_error", "upper_error"):
                assert float(row[figure]) == pytest.approx(getattr(summary, figure), rel=1e-6)
            assert (row["subject"], row["session"], row["frequency_hz"]) == ("01", "01", "50")
            assert (row["unit"], row["draws"], row["number"]) == (summary.unit, "60", str(number))
            assert float(row["covered_share"]) == pytest.approx(region.covered_share, rel=1e-6)
            assert float(row["informed_share"]) == pytest.approx(region.informed_share, rel=1e-6)
    record = json.loads((session / "regions.json").read_text(encoding="utf-8"))
    assert list(record["columns"]) == list(COLUMNS)


def test_every_label_weighs_what_it_weighs_alone(session: Path) -> None:
    """Labels are weighed together for speed; each must be the region that it is for itself, also where it moves."""
    run = read_stiffness(session)[0]
    assert run.samples_path is not None
    draws = open_draws(run.samples_path, run.informed.shape)
    finer = np.kron(_blocks(), np.ones((2, 2, 2), dtype=np.uint8))
    affine = MOTION.matrix_mm @ run.affine_mm @ np.diag([0.5, 0.5, 0.5, 1.0])
    path = session / "finer.nii.gz"
    write_nifti(path, finer, affine)
    covariance = np.diag([1e-4] * 3 + [0.4] * 3)
    for carry in (MOTION, uncertain(MOTION, covariance)):
        found = weighted_labels(read_label_map(path), run, draws, carry)
        assert [one.number for one in found] == [1, 2, 7]
        for one in found:
            shape = VoxelShape(StoredVolume((finer == one.number).astype(np.uint8), affine), 1.0)
            alone = weighted(DrawnRegion(path, "NIfTI", shape), run, draws, carry)
            # Points on the border of two voxels fall to either.
            assert np.abs(one.shares - alone.shares).mean() < 1e-3
            assert one.volume_ml == pytest.approx(alone.volume_ml)
            assert (one.displaced is None) == (alone.displaced is None)
            if one.displaced is not None and alone.displaced is not None:
                assert np.abs((one.displaced - alone.displaced).toarray()).mean() < 1e-3


def test_labels_on_a_moved_t1_follow_the_recorded_registration(session: Path) -> None:
    """The same tissue labelled in both worlds has the same values, and those from the T1 hold the motion's error."""
    affine = _affine(session)
    t1 = MOTION.matrix_mm @ affine
    write_nifti(session / "wavefield" / f"{LABEL}_T1w.nii.gz", np.ones(SHAPE, dtype=np.float32), t1)
    here, _ = write_regions(RegionsCommand(session, labels=_dseg(session)), session / "here.tsv")
    there = _dseg(session)
    write_nifti(there, _blocks(), t1)
    told = []
    for covariance in (np.zeros((6, 6)), np.diag([1e-4] * 3 + [2.0] * 3)):
        uncertainty_mm = 2.4 if covariance.any() else None
        write_placement(session / "wavefield", LABEL, Placement("registered", MOTION, covariance, uncertainty_mm))
        told.append(_table(write_regions(RegionsCommand(session, labels=there), session / "there.tsv")[0]))
    still, moved = told
    for key, row in _table(here).items():
        assert float(still[key]["mean"]) == pytest.approx(float(row["mean"]), rel=1e-3)
        assert float(still[key]["std"]) == pytest.approx(float(row["std"]), rel=1e-2)
    assert all(float(moved[key]["std"]) > 0.95 * float(one["std"]) for key, one in still.items())
    assert float(moved["left", "storage_modulus"]["std"]) > 1.02 * float(still["left", "storage_modulus"]["std"])
    entry = json.loads((session / "there.json").read_text())["regions"][LABEL]
    assert entry["world"] == "t1"


def test_segments_may_overlap_and_contours_may_be_points(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Planning systems write organs and targets that overlap, and markers that enclose nothing."""
    run = read_stiffness(session)[0]
    affine = np.diag([2.0, 2.0, 2.5, 1.0])
    affine[:3, 3] = run.affine_mm[:3, :3] @ np.array([6.0, 7.0, 4.0]) + run.affine_mm[:3, 3]
    whole = np.ones((5, 6, 4), dtype=np.uint8)
    part = np.zeros_like(whole)
    part[2:4, 2:4, 1:3] = 1
    seg = write_seg(session / "organs.dcm", {"liver": whole, "lesion": part}, affine)
    found = _table(write_regions(RegionsCommand(session, labels=seg), session / "seg.tsv")[0])
    assert {name for name, _ in found} == {"liver", "lesion"}
    assert "Regions overlap" in capsys.readouterr().err
    square = np.array([[-1.0, -1.0], [5.0, -1.0], [5.0, 5.0], [-1.0, 5.0]])
    planes = [np.insert(square, 2, 2.5 * height, axis=1) + affine[:3, 3] for height in range(4)]
    roi = write_rtstruct(session / "rt.dcm", {"PTV": planes, "Mustermann": [one + 4.0 for one in planes], "GTV": []})
    found = _table(write_regions(RegionsCommand(session, labels=roi), session / "rt.tsv")[0])
    assert {name for name, _ in found} == {"PTV", "ROI 2"}
    assert "1 of 3 ROIs enclose nothing" in capsys.readouterr().err
    names = session / "names.tsv"
    names.write_text("index\tname\n1\ttarget\n2\tother\n")
    found = _table(write_regions(RegionsCommand(session, labels=roi, names=names), session / "rt.tsv")[0])
    assert {name for name, _ in found} == {"target", "other"}


def test_regions_warn_of_what_a_query_warns_of(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever command a user takes: steps, cut and uninformed regions, each code in one line."""
    path = session / "mre" / f"{LABEL}_inversion.json"
    stated = {"code": "weak-waves", "sentence": "Waves are weak.", "advice": "Scan again."}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"warnings": [stated]}))
    asked = ask(open_session(session), Query(SphereSpec("-24,-14,30,10"), QueryOptions()))
    write_regions(RegionsCommand(session, spheres=("-24,-14,30,10",)), None)
    entry = json.loads((session / "regions.json").read_text(encoding="utf-8"))["regions"][LABEL]
    assert entry["warnings"] == [one.as_record() for one in asked.warnings]
    assert {"weak-waves", "region-cut"} <= {one["code"] for one in entry["warnings"]}
    capsys.readouterr()
    write_regions(RegionsCommand(session, spheres=("-24,-14,30,10", "-24,-14,30,11", "-5,-10,25,3")), None)
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len([line for line in said if "The map covers less than 98 % of 2 of 3 regions" in line]) == 1
    assert len([line for line in said if "Regions overlap" in line]) == 1
    assert len([line for line in said if "Waves are weak" in line]) == 1


@pytest.mark.parametrize(("number", "status", "told"), PATIENTS)
def test_a_region_of_another_patient_is_refused(number: str, status: str, told: str, tmp_path: Path) -> None:
    """One frame of reference does not prove one patient; where nothing tells, a warning says so."""
    path = tmp_path / "mine" / "key"
    key = open_key(path, away_from=tmp_path / "results")
    stated = {"own": key.pseudonym("4711"), "other key": "PAAAAAAAAAAAA", "before": "sub-01", "retained": ""}[status]
    made = {"before": "pseudonymised before", "retained": "retained"}.get(status, "pseudonymised")
    fingerprint = key.fingerprint if status == "own" else "other"
    ingest = {"identifiers": {"status": made, "key_fingerprint": fingerprint}, "patient_pseudonym": stated}
    region = DrawnRegion("roi", "RTSTRUCT", SphereShape(np.zeros(3), 5.0), person=(number, "", ""))
    if told == "refused":
        with pytest.raises(InputError, match="another patient"):
            patient_warnings(region, ingest, "elastogram", path)
        return
    codes = [one.code for one in patient_warnings(region, ingest, "elastogram", path)]
    assert codes == ([] if told == "accepted" else ["region-patient-unknown"])


def test_a_lookup_table_of_freesurfer_names_labels(session: Path) -> None:
    """The table that FreeSurfer ships names 1400 labels, of which a file has some."""
    table = session / "FreeSurferColorLUT.txt"
    table.write_text(
        "#$Id: FreeSurferColorLUT.txt\n\n#No. Label Name:   R   G   B   A\n0   Unknown   0 0 0 0\n"
        "1   Left-Hippocampus  220 216 20 0\n2  Right-Hippocampus 220 216 20 0\n7 ctx-lh-insula 255 192 32 0\n"
        "99 Nothing 1 2 3 0\n"
    )
    found = _table(write_regions(RegionsCommand(session, labels=_dseg(session), names=table), None)[0])
    assert [name for name, quantity in found if quantity == "magnitude"] == [
        "Left-Hippocampus",
        "Right-Hippocampus",
        "ctx-lh-insula",
    ]


def test_a_study_has_one_table(session: Path) -> None:
    """Sessions computed together, by names with {subject}, and gathered from their own tables are the same rows."""
    results = session.parents[1]
    other = results / "sub-02" / "ses-01"
    shutil.copytree(session, other)
    with pytest.raises(InputError, match="another label in the folder of sub-02_ses-01"):
        write_regions(RegionsCommand(results, spheres=("-5,-10,25,6",)), None)
    for path in [*other.rglob(f"{LABEL}*")]:
        path.rename(path.with_name(path.name.replace("sub-01", "sub-02")))
    labels = _dseg(session)
    for name in ("01", "02"):
        shutil.copy(labels, results / f"of-{name}.nii.gz")
    command = RegionsCommand(results, labels=results / "of-{subject}.nii.gz", workers=1)
    with pytest.raises(InputError, match="does not name"):  # another table of names lies beside
        shutil.copy(labels.with_name("sub-01_dseg.tsv"), results / "of-01.tsv")
        (results / "of-02.tsv").write_text("index\tname\n1\tone\n")
        write_regions(command, None)
    shutil.copy(results / "of-01.tsv", results / "of-02.tsv")
    path, rows = write_regions(command, None)
    assert (path.name, rows) == ("group_regions.tsv", 24)
    together = path.read_text(encoding="utf-8")
    for name, folder in (("01", session), ("02", other)):
        write_regions(RegionsCommand(folder, labels=results / f"of-{name}.nii.gz"), None)
    assert write_regions(RegionsCommand(results), None)[0].read_text(encoding="utf-8") == together
    gathered = json.loads((results / "group_regions.json").read_text(encoding="utf-8"))["regions"]
    assert list(gathered) == [LABEL, LABEL.replace("sub-01", "sub-02")]
    assert all("warnings" in one for one in gathered.values())
    with pytest.raises(InputError, match="one file for 2 sessions"):
        write_regions(RegionsCommand(results, labels=labels), None)


def _probabilities(session: Path) -> RegionsCommand:
    return RegionsCommand(session, labels=_dseg(session, np.full(SHAPE, 0.3, dtype=np.float32)))


def _empty(session: Path) -> RegionsCommand:
    return RegionsCommand(session, labels=_dseg(session, np.zeros(SHAPE, dtype=np.uint8)))


def _elsewhere(session: Path) -> RegionsCommand:
    path, affine = _dseg(session), _affine(session)
    affine[:3, 3] += 400.0
    write_nifti(path, _blocks(), affine)
    return RegionsCommand(session, labels=path)


def _template(session: Path) -> RegionsCommand:
    import nibabel as nib

    path = _dseg(session)
    image = nib.Nifti1Image(_blocks(), _affine(session))
    image.set_sform(_affine(session), code="mni")
    image.set_qform(None, code="unknown")
    nib.save(image, path)
    return RegionsCommand(session, labels=path)


def _other_frame(session: Path) -> RegionsCommand:
    whole = np.ones((5, 6, 4), dtype=np.uint8)
    return RegionsCommand(session, labels=write_seg(session / "seg.dcm", {"liver": whole}, np.eye(4), frame="1.2.3"))


def _no_draws(session: Path) -> RegionsCommand:
    (session / "mre" / f"{LABEL}_samples.h5").unlink()
    return RegionsCommand(session, labels=_dseg(session))


def _few_draws(session: Path) -> RegionsCommand:
    with h5py.File(session / "mre" / f"{LABEL}_samples.h5", "r+") as file:
        for name in ("storagemodulus_kpa", "lossmodulus_kpa"):
            values = file[name][:5]
            del file[name]
            file[name] = values
    return RegionsCommand(session, labels=_dseg(session))


def _latin(session: Path) -> RegionsCommand:
    path = _dseg(session)
    path.with_name("sub-01_dseg.tsv").write_bytes("index\tname\n1\tau\xdfen\n2\tx\n7\ty\n".encode("latin-1"))
    return RegionsCommand(session, labels=path)


def _lost_t1(session: Path) -> RegionsCommand:
    write_placement(session / "wavefield", LABEL, Placement("failed", MOTION, np.zeros((6, 6))))
    return RegionsCommand(session, labels=_dseg(session), space="t1")


MOVED_MM = np.array([4.0, 0.0, 0.0])
"""Way of the patient between the elastogram and the T1."""


@pytest.fixture
def moved(session: Path) -> Path:
    """The session with a T1 in the elastogram's frame of reference, before which the patient moved by 4 mm."""
    path = session / "wavefield" / f"{LABEL}_ingest.json"
    anatomy = {"same_frame_of_reference": True, "dicom": {"FrameOfReferenceUID": FRAME, "SeriesInstanceUID": "1.2.3.9"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"anatomy": anatomy}))
    motion = Rigid(np.append(np.zeros(3), MOVED_MM), np.zeros(3))
    write_placement(session / "wavefield", LABEL, Placement("registered", motion, np.zeros((6, 6)), 0.0, {}))
    return session


def _box(affine: NDArray[np.float64], centre_mm: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last voxel of a box of about 10 mm around a place."""
    middle = np.linalg.solve(affine[:3, :3], centre_mm - affine[:3, 3])
    half = 4.5 / np.linalg.norm(affine[:3, :3], axis=0)
    return np.rint(middle - half).astype(int), np.rint(middle + half).astype(int)


def _rings(affine: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    """The edge of a box of voxels on each of their slices, RAS, mm."""
    (i, j, k), (i_end, j_end, k_end) = first - 0.5, last + 0.5
    square = np.array([[i, j], [i_end, j], [i_end, j_end], [i, j_end]])
    heights = np.arange(round(k + 0.5), round(k_end + 0.5))
    rings = [np.insert(square, 2, height, axis=1) for height in heights]
    return [ring @ affine[:3, :3].T + affine[:3, 3] for ring in rings]


def _mean_of(session: Path, labels: Path, **more: object) -> float:
    path, _ = write_regions(RegionsCommand(session, labels=labels, **more), None)  # type: ignore[arg-type]
    return next(float(row["mean"]) for (_, quantity), row in _table(path).items() if quantity == "storage_modulus")


@pytest.mark.parametrize("world", ["t1", "elastogram"])
def test_a_box_of_voxels_has_one_value_whichever_file_holds_it(moved: Path, world: str) -> None:
    """T1 and elastogram share a frame of reference, and the patient moved: NIfTI, SEG and RTSTRUCT are one region."""
    run = read_stiffness(moved)[0]
    affine, shape = run.affine_mm, run.informed.shape
    centre_mm = affine[:3, :3] @ np.array([15.5, 8.0, 6.0]) + affine[:3, 3]
    if world == "t1":
        affine, shape = read_grid(moved / "wavefield" / f"{LABEL}_T1w.nii.gz")
        centre_mm = centre_mm + MOVED_MM
    first, last = _box(affine, centre_mm)
    box = np.zeros(shape, dtype=np.uint8)
    box[tuple(slice(low, high + 1) for low, high in zip(first, last, strict=True))] = 1
    write_nifti(moved / "box.nii.gz", box, affine)
    wanted = _mean_of(moved, moved / "box.nii.gz")
    seg = write_seg(moved / "seg.dcm", {"lesion": box}, affine)
    roi = write_rtstruct(moved / "roi.dcm", {"lesion": _rings(affine, first, last)})
    assert _mean_of(moved, seg) == pytest.approx(wanted, rel=1e-3)
    assert _mean_of(moved, roi) == pytest.approx(wanted, rel=0.005)
    # The law has force: in the other world the same voxels have another value.
    other = "elastogram" if world == "t1" else "t1"
    assert abs(_mean_of(moved, seg, space=other) / wanted - 1.0) > 0.02


def test_contours_between_slices_need_their_series_or_a_word(moved: Path) -> None:
    """Where neither planes nor series tell, a guess would be wrong by the patient's motion."""
    first, last = _box(np.diag([2.0, 2.0, 2.0, 1.0]), np.array([0.0, -12.0, 27.0]))
    turned = MOTION.matrix_mm @ np.diag([2.0, 2.0, 2.0, 1.0])
    roi = write_rtstruct(moved / "roi.dcm", {"lesion": _rings(turned, first, last)})
    with pytest.raises(InputError, match="share a frame of reference") as refused:
        _mean_of(moved, roi)
    assert "--space" in refused.value.advice
    told = {world: _mean_of(moved, roi, space=world) for world in ("t1", "elastogram")}
    assert told["t1"] != pytest.approx(told["elastogram"], rel=1e-3)
    file = pydicom.dcmread(roi)
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, frame.FrameOfReferenceUID = "1.2.3.9", FRAME
    study.RTReferencedSeriesSequence, frame.RTReferencedStudySequence = [series], [study]
    file.ReferencedFrameOfReferenceSequence = [frame]
    file.save_as(roi)
    assert _mean_of(moved, roi) == told["t1"]


def test_spheres_lie_in_the_world_of_the_elastogram(moved: Path) -> None:
    """Their coordinates are the elastogram's; --space is about the labels beside them."""
    sphere = "0,-12,27,7"
    path, _ = write_regions(RegionsCommand(moved, spheres=(sphere,)), None)
    alone = next(iter(_table(path).values()))["mean"]
    labels = _dseg(moved)
    path, _ = write_regions(RegionsCommand(moved, labels=labels, spheres=(sphere,), space="t1"), None)
    found = {region: row["mean"] for (region, quantity), row in _table(path).items() if quantity == "storage_modulus"}
    assert alone in found.values()


def _t1_alone(session: Path) -> RegionsCommand:
    path = session / "wavefield" / f"{LABEL}_ingest.json"
    anatomy = {"same_frame_of_reference": False, "dicom": {"FrameOfReferenceUID": "1.2.3"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"anatomy": anatomy}))
    whole = np.ones((5, 6, 4), dtype=np.uint8)
    labels = write_seg(session / "seg.dcm", {"liver": whole}, np.eye(4), frame="1.2.3")
    return RegionsCommand(session, labels=labels, space="elastogram")


def _space_beside_a_transform(session: Path) -> RegionsCommand:
    transform = write_itk(session / "to.tfm", np.eye(4))
    return RegionsCommand(session, labels=_dseg(session), space="t1", registration=transform)


BAD: dict[str, tuple[Callable[[Path], RegionsCommand], str]] = {
    "labels that are no integers": (_probabilities, "no labels"),
    "no label at all": (_empty, "no voxel with a label"),
    "labels beside the map": (_elsewhere, "on the map"),
    "labels of a template": (_template, "coordinates of a template"),
    "another frame of reference": (_other_frame, "another frame of reference"),
    "no joint draws": (_no_draws, "no joint draws"),
    "too few draws": (_few_draws, "5 draws"),
    "names in Latin-1": (_latin, "UTF-8"),
    "names of other labels": (
        lambda session: RegionsCommand(session, labels=_dseg(session, table="index\tname\n1\tone\n")),
        "does not name: 2, 7",
    ),
    "a name twice": (
        lambda session: RegionsCommand(session, labels=_dseg(session, table="index\tname\n1\tone\n2\tone\n7\ttwo\n")),
        "second time",
    ),
    "names that are no table": (
        lambda session: RegionsCommand(session, labels=_dseg(session, table="1 one\n2 two\n")),
        "no column",
    ),
    "a T1 whose place is not known": (_lost_t1, "not known"),
    "a sphere beside the map": (lambda session: RegionsCommand(session, spheres=("0,0,900,5",)), "on the map"),
    "a folder of labels": (lambda session: RegionsCommand(session, labels=session), "a folder"),
    "no region at all": (RegionsCommand, "no region"),
    "a space of spheres": (
        lambda session: RegionsCommand(session, spheres=("0,0,30,5",), space="t1"),
        "without labels",
    ),
    "a space against the file": (_t1_alone, "of the T1 alone"),
    "a space beside a transform": (_space_beside_a_transform, "beside --registration"),
    "names without labels": (
        lambda session: RegionsCommand(session, spheres=("0,0,30,5",), names=_dseg(session)),
        "names without labels",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_regions_are_refused_in_one_sentence(case: str, session: Path) -> None:
    """Each names its cause and what to do; nothing is written."""
    command, words = BAD[case]
    with pytest.raises(InputError) as refused:
        write_regions(command(session), None)
    assert words in str(refused.value)
    assert refused.value.advice.endswith(".")
    assert not (session / "regions.tsv").exists()


def test_the_command_writes_beside_the_session_and_replaces_no_input(
    session: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """The names table has the ending of the output: it must never be overwritten."""
    labels = _dseg(session)
    names = labels.with_name("sub-01_dseg.tsv")
    done = palpate_inside("regions", session, "--labels", labels, "--out", names)
    assert done.code == 2
    assert "palpate regions did not write" in done.printed
    asked = '{"quantities": ["damping_ratio"]}'
    done = palpate_inside("regions", session, "--labels", labels, "--sphere", "-5,-10,25,6", "--settings", asked)
    assert done.code == 0, done.printed
    assert {quantity for _, quantity in _table(session / "regions.tsv")} == {"damping_ratio"}
