"""A small longitudinal patient from the table of sessions to the page of its forecast."""

from __future__ import annotations

import json
import re
from pathlib import Path

import meshio
import numpy as np
import pydicom
import pytest
import yaml

from palpate.config.longitudinal import LongitudinalSettings
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.phantom.study import write_sessions
from palpate.imaging.phantom.tumour_scene import tumour_scene
from palpate.imaging.phantom.tumour_study import write_tumour_patient
from palpate.solvers.virtual_tumour import grow
from tests.conftest import CHECKOUT, Command, run

SMALL = LongitudinalSettings(
    half_edge_mm=33.0,
    truth_voxel_mm=3.0,
    truth_step_days=2.0,
    days_before_first_scan=80.0,
    voxel_mm=4.0,
    beyond_days=(110,),
)
QUICK = {
    "twin": {"voxel_mm": 8.0, "outline_modes": 3, "draws": 20, "max_iterations": 3, "block_mm": 8.0},
    "forecast": {"days_after_last_scan": [30], "on_mesh": True},
    "mesh": {"tetrahedra": {"edge_mm": 3.0}},
    "maps": {"kinds": ["seg"]},
}


def _patient(home: Path) -> list[dict[str, str]]:
    scene = tumour_scene(SMALL, load_atlas())
    return list(write_tumour_patient(home, SMALL, scene, grow(SMALL, scene)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patient, another with one date only, and the finished workflow."""
    home = tmp_path_factory.mktemp("longitudinal study")
    rows = _patient(home)
    write_sessions(home, [*rows, rows[0] | {"subject": "03", "session": "01"}])
    (home / "study.yaml").write_text(yaml.safe_dump(QUICK))
    config = ("--configfile", "study.yaml", "--config", "sessions=sessions.tsv", "results=results")
    done = run("snakemake", "-s", CHECKOUT / "Snakefile", "-c1", *config, cwd=home, timeout_s=900.0)
    (home / "printed").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return home


def test_every_output_is_there_and_says_the_same(home: Path) -> None:
    """Page, table, record and maps are of one forecast; bounds enclose the mean, and densities stay in 0..1."""
    twin = home / "results" / "sub-02" / "twin"
    record = json.loads((twin / "forecast" / "forecast.json").read_text())
    (row,) = record["forecast"]
    assert row["day"] == SMALL.days[-1] + 30
    stem = f"sub-02_day-{row['day']:g}"
    lower, mean, upper = (
        read_nifti(twin / "forecast" / f"{stem}_stat-{name}_density.nii.gz").values
        for name in ("lower", "mean", "upper")
    )
    inside = np.isfinite(mean)
    assert inside.any()
    assert (lower[inside] >= 0.0).all()
    assert (upper[inside] <= 1.0).all()
    assert (lower[inside] <= upper[inside]).all()
    for level in ("50", "80", "90", "95"):
        assert row["visible_ml"][level][0] <= row["visible_ml"]["median"] <= row["visible_ml"][level][1]
    lines = (twin / "forecast" / "forecast.tsv").read_text().splitlines()
    assert len(lines) == 8  # one quantity stands under its earlier name, too
    assert row["displacement_mm"]["95"][0] < row["displacement_mm"]["median"] < row["largest_displacement_mm"]["95"][1]
    page = (twin / "outlook.html").read_text()
    assert f"{row['visible_ml']['median']:.0f} mL" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


def test_forecast_is_on_the_tissues_mesh_too(home: Path) -> None:
    """Where the study asks for it; it must lie where the voxels' forecast lies, so that they can be shown together."""
    folder = home / "results" / "sub-02" / "twin" / "forecast"
    (mesh,) = json.loads((folder / "forecast.json").read_text())["meshes"]
    assert mesh["share_of_cells_in_mesh"] > 0.8
    seen = meshio.read(folder / mesh["file"])
    mean = read_nifti(folder / f"sub-02_day-{mesh['day']:g}_stat-mean_density.nii.gz")
    weights = np.nan_to_num(mean.values)
    points = np.argwhere(weights > 0) @ mean.affine_mm[:3, :3].T + mean.affine_mm[:3, 3]
    middle = np.average(points, axis=0, weights=weights[weights > 0])
    density = seen.point_data["density_mean"]
    assert np.average(seen.points, axis=0, weights=density) == pytest.approx(middle, abs=4.0)


def test_the_forecast_is_dicom_in_the_study_of_the_first_t1(home: Path) -> None:
    """A planner opens it over that T1; who made it is told by the record beside the folder."""
    twin = home / "results" / "sub-02" / "twin"
    (path,) = (twin / "dicom").glob("*.dcm")
    made, t1 = pydicom.dcmread(path), pydicom.dcmread(home / "sub-02" / "ses-01" / "t1" / "0001.dcm")
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert made[name].value == t1[name].value
    assert [one["kind"] for one in json.loads((twin / "dicom.json").read_text())["written"]] == ["seg"]


@pytest.mark.long
def test_without_labels_there_is_a_sentence_and_no_mesh(home: Path) -> None:
    """Labels of another date lie in that date's world; a mesh of them would show the tumour in another place."""
    lines = (home / "sessions.tsv").read_text().splitlines()
    at = lines[0].split("\t").index("labels")
    rows = [line.split("\t") for line in lines[1:]]
    table = [lines[0], *("\t".join([*row[:at], "", *row[at + 1 :]]) for row in rows)]
    (home / "unlabelled.tsv").write_text("\n".join(table) + "\n")
    config = ("--configfile", "study.yaml", "--config", "sessions=unlabelled.tsv", "results=other")
    done = run("snakemake", "-s", CHECKOUT / "Snakefile", "-n", *config, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sub-02: no labels in the row of the first scan" in done.stdout + done.stderr
    assert "rule tetrahedra" not in done.stdout + done.stderr
    assert "rule forecast" in done.stdout + done.stderr


def test_one_date_gets_a_forecast_of_the_population(home: Path) -> None:
    """A subject with one scan has a forecast that says everywhere of whom it is, and a word while it is planned."""
    assert "sub-03: one session with tumour maps" in (home / "printed").read_text()
    twin = home / "results" / "sub-03" / "twin"
    assert json.loads((twin / "forecast" / "forecast.json").read_text())["basis"] == "population, not this patient"
    assert "population, not this patient" in (twin / "outlook.html").read_text()


def test_no_date_reaches_the_results(home: Path) -> None:
    """Days of a person's scans identify; results count days from the first."""
    for path in (home / "results" / "sub-02").rglob("*"):
        if path.is_file():
            assert b"2025-0" not in path.read_bytes(), path.name


@pytest.mark.parametrize("name", ["outlook.html", "history.h5"])
def test_an_edited_file_is_named_before_any_step_replaces_it(home: Path, name: str) -> None:
    """Snakemake would delete it; the kind of every single file must be known to the workflow as to the command."""
    file = home / "results" / "sub-02" / "twin" / name
    written = file.read_bytes()
    file.write_bytes(written + b"\n")
    try:
        config = ("--configfile", "study.yaml", "--config", "sessions=sessions.tsv", "results=results")
        done = run("snakemake", "-s", CHECKOUT / "Snakefile", "-c1", *config, cwd=home)
        assert done.returncode != 0
        said = [line for line in done.stderr.splitlines() if line.startswith("palpate: ")]
        assert any(f"{name}: found a file that was changed after palpate had written it" in line for line in said), said
        assert file.read_bytes() == written + b"\n"
    finally:
        file.write_bytes(written)


def test_forecast_is_compared_with_the_truth(home: Path, palpate: Command) -> None:
    """The demo prints this table; it must find its days."""
    forecast = home / "results" / "sub-02" / "twin" / "forecast"
    done = palpate("verify", "forecast", forecast, "--truth", home / "sub-02" / "truth" / "truth.json")
    assert done.returncode == 0, done.stderr
    assert "burden_ml" in done.stdout


def test_bad_twin_settings_are_refused_at_once(tmp_path: Path, snakemake: Command) -> None:
    """A typo in a section of the twin must end planning, like any other."""
    table = CHECKOUT / "tests" / "configs" / "study" / "sessions.tsv"
    path = tmp_path / "bad.yaml"
    path.write_text("tumour: {adc_watr_mm2_s: 0.003}\n")
    done = snakemake("-n", "--configfile", path, "--config", f"sessions={table}", "results=out")
    assert done.returncode == 2
    assert "unknown key tumour.adc_watr_mm2_s" in done.stderr


def test_history_follows_all_that_it_is_read_from(tmp_path: Path, snakemake: Command) -> None:
    """Doses lie in files that only the table of treatments names; a corrected dose must reach the forecast."""
    for name in ("first", "later"):
        (tmp_path / name).mkdir()
    for name in ("dose.dcm", "t1.nii.gz", "labels.nii.gz"):
        (tmp_path / name).touch()
    (tmp_path / "treatments.tsv").write_text("date\tkind\tdose_file\n2025-02-01\tradiotherapy\tdose.dcm\n")
    rows = ["02|01||t1.nii.gz|labels.nii.gz|2025-01-01|first|treatments.tsv", "02|02||||2025-03-01|later|"]
    header = "subject|session|mre|anatomy|labels|date|growth|treatment"
    (tmp_path / "sessions.tsv").write_text("\n".join([header, *rows]).replace("|", "\t") + "\n")
    done = snakemake("-n", "--config", "sessions=sessions.tsv", "results=results")
    assert done.returncode == 0, done.stdout + done.stderr
    inputs = re.findall(r"^rule tumour:\n +input: (.*)$", done.stdout + done.stderr, re.M)
    assert [{Path(path).name for path in line.split(", ")} for line in inputs] == [
        {"first", "later", "t1.nii.gz", "labels.nii.gz", "treatments.tsv", "dose.dcm"}
    ]
