"""`palpate query`: one answer of exact numbers, the same in every format, and a sentence for every bad question."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import jsonschema
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.derived.statistics import medium_of
from palpate.imaging.dicom_out import report_codes
from palpate.imaging.dicom_out.report_place import outline_place
from palpate.imaging.files.maps import read_map, write_mask
from palpate.imaging.region_values.values import region_values
from palpate.imaging.region_values.weights import weighted
from palpate.imaging.registration.placement import Placement, write_placement
from palpate.imaging.registration.rigid import Rigid
from palpate.service.query.answer import Answer
from palpate.service.query.ask import Query, ask
from palpate.service.query.fhir import as_fhir
from palpate.service.query.formats import COLUMNS, as_csv, as_json
from palpate.service.query.options import QueryOptions
from palpate.service.query.region_spec import FileSpec, RegionSpec, SphereSpec
from palpate.service.query.report import report_identity, write_report
from palpate.service.query.session import OpenSession, open_session
from tests.conftest import CHECKOUT, Outcome
from tests.imaging.drawn_files import PERSON, write_rtstruct, write_seg
from tests.service.conftest import SessionFiles, write_session

FRAME = "1.2.826.0.1.3680043.10.543.2"
ABOVE_KPA = 2.8
EVERY = QueryOptions(
    quantities=("storage_modulus", "loss_modulus", "magnitude", "loss_tangent", "damping_ratio", "phase_angle"),
    above_kpa=ABOVE_KPA,
)
STATISTICS = ("mean", "std", "lower", "upper")

type Inside = Callable[..., Outcome]


@pytest.fixture(scope="module")
def session(finished_session: SessionFiles) -> OpenSession:
    return open_session(finished_session.folder)


def _affine_mm(session: OpenSession) -> NDArray[np.float64]:
    return session.runs[0].stiffness.affine_mm


def _at_mm(session: OpenSession, index: tuple[float, float, float]) -> NDArray[np.float64]:
    affine_mm = _affine_mm(session)
    return np.asarray(affine_mm[:3, :3] @ np.array(index) + affine_mm[:3, 3])


def _sphere(session: OpenSession, index: tuple[float, float, float] = (11, 9, 6), radius_mm: float = 8.0) -> SphereSpec:
    return SphereSpec(",".join(f"{one:.6f}" for one in (*_at_mm(session, index), radius_mm)))


def _block(session: OpenSession, margin: int = 0) -> NDArray[np.bool_]:
    """A box of voxels around the middle of the map."""
    mask = np.zeros(session.runs[0].stiffness.informed.shape, dtype=bool)
    mask[7 - margin : 13 + margin, 8 - margin : 14 + margin, 4:8] = True
    return mask


def _contours(session: OpenSession) -> list[NDArray[np.float64]]:
    """The same box as contours on the elastogram's slices, RAS."""
    square = np.array([[6.5, 7.5], [12.5, 7.5], [12.5, 13.5], [6.5, 13.5]])
    affine_mm = _affine_mm(session)
    return [
        np.column_stack([square, np.full(4, float(k))]) @ affine_mm[:3, :3].T + affine_mm[:3, 3] for k in range(4, 8)
    ]


@pytest.fixture(scope="module")
def files(session: OpenSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The box as a mask, as a segment and as contours, each beside another region."""
    folder = tmp_path_factory.mktemp("regions")
    affine_mm, box = _affine_mm(session), _block(session)
    write_mask(folder / "mask.nii.gz", box, affine_mm, description="box")
    segments = {PERSON: _block(session, 2), "tumour": box, "liver": box, "Liver": box}
    write_seg(folder / "seg.dcm", segments, affine_mm, frame=FRAME)
    contours = _contours(session)
    write_rtstruct(folder / "roi.dcm", {PERSON: contours[:2], "GTV": contours}, frame=FRAME)
    return folder


def _ask(session: OpenSession, spec: RegionSpec, options: QueryOptions = EVERY) -> Answer:
    return ask(session, Query(spec, options))


@pytest.fixture(scope="module")
def answer(session: OpenSession) -> Answer:
    return _ask(session, _sphere(session))


def test_figures_are_those_of_the_whole_map_to_the_last_bit(session: OpenSession) -> None:
    """A query reads the voxels around a region alone; tables of regions read all: nobody may see a difference."""
    run = session.runs[0]
    for index, radius_mm in (((11, 9, 6), 8.0), ((3, 11, 6), 9.0), ((10, 11, 6), 300.0), ((10.3, 10.9, 5.6), 1.1)):
        spec = _sphere(session, index, radius_mm)
        found = _ask(session, spec).runs[0]
        weights = weighted(spec.read(_affine_mm(session)), run.stiffness, run.draws, None)
        medium = medium_of("run", run.stiffness.inversion, run.stiffness.frequency_hz, None, EVERY.chosen)
        for one, figure in zip(
            region_values(run.stiffness, run.draws, [weights], EVERY.chosen, medium), found.figures, strict=True
        ):
            told = [getattr(figure, name) for name in STATISTICS]
            assert told == [getattr(one, name) for name in STATISTICS]
            errors = (one.monte_carlo.mean, one.monte_carlo.lower, one.monte_carlo.upper)
            assert (figure.mean_error, figure.lower_error, figure.upper_error) == errors
            assert (found.covered_ml, found.informed_share) == (weights.covered_ml, one.informed_share)


def test_a_region_is_the_same_as_mask_segment_and_contours(session: OpenSession, files: Path) -> None:
    """Whichever file holds it: the same voxels, so the same figures."""
    asked = [
        FileSpec("mask", files / "mask.nii.gz"),
        FileSpec("seg", files / "seg.dcm", "tumour"),
        FileSpec("seg", files / "seg.dcm", "2"),
        FileSpec("roi", files / "roi.dcm", "gtv"),
    ]
    answers = [_ask(session, one) for one in asked]
    assert [one.region.kind for one in answers] == ["NIfTI", "SEG", "SEG", "RTSTRUCT"]
    assert [one.region.title for one in answers] == ["region", "tumour", "tumour", "GTV"]
    for one in answers:
        assert one.runs[0].registration.state == "none needed"
        assert one.region.volume_ml == pytest.approx(6 * 6 * 4 * 0.01, rel=1e-5)
        for mine, first in zip(one.runs[0].figures, answers[0].runs[0].figures, strict=True):
            assert [getattr(mine, name) for name in STATISTICS] == pytest.approx(
                [getattr(first, name) for name in STATISTICS], rel=1e-12
            )


def test_probability_counts_draws(answer: Answer) -> None:
    """P(above) is a share of draws with an error of its own, and none is told of a ratio."""
    figures = {one.quantity.key: one for one in answer.runs[0].figures}
    above = figures["storage_modulus"].above
    assert above is not None
    assert 0.0 <= above.probability <= 1.0
    assert above.error > 0.0
    assert above.probability * answer.runs[0].draws == pytest.approx(round(above.probability * answer.runs[0].draws))
    stiffer = figures["magnitude"].above
    assert stiffer is not None
    assert stiffer.probability >= above.probability  # |G*| is never below G'
    assert figures["loss_tangent"].above is None


def test_every_format_tells_the_same_numbers(answer: Answer, session: OpenSession, tmp_path: Path) -> None:
    """Formats are functions of one answer: no digit is lost in any."""
    run = answer.runs[0]
    in_json = json.loads(as_json(answer))["results"][0]
    rows = list(csv.DictReader(io.StringIO(as_csv(answer))))
    assert as_csv(answer).splitlines()[0] == ",".join(COLUMNS)
    resource = json.loads(as_fhir(answer))
    components = {one["code"]["coding"][0]["code"]: one for one in resource["component"]}
    report = _report(session, answer, tmp_path)
    for figure, row in zip(run.figures, rows, strict=True):
        numbers = {name: getattr(figure, name) for name in STATISTICS}
        key, end = figure.quantity.key, {"kPa": "_kpa", "rad": "_rad", "1": ""}[figure.quantity.unit]
        told = in_json["quantities"][key]
        assert {name: told[name + end] for name in STATISTICS} == numbers
        assert {name: float(row[name]) for name in STATISTICS} == numbers
        code = key.replace("_", "-")
        mean = resource if figure is run.figures[0] else components[f"{code}-mean"]
        interval = components[f"{code}-interval"]["valueRange"]
        assert numbers == {
            "mean": mean["valueQuantity"]["value"],
            "std": components[f"{code}-std"]["valueQuantity"]["value"],
            "lower": interval["low"]["value"],
            "upper": interval["high"]["value"],
        }
        assert report[key] == numbers
    above = run.figures[0].above
    assert above is not None
    assert in_json["quantities"]["storage_modulus"]["above"]["probability"] == above.probability
    assert components["storage-modulus-above"]["valueQuantity"]["value"] == above.probability
    assert float(rows[0]["probability_above"]) == above.probability


def _report(session: OpenSession, answer: Answer, folder: Path) -> dict[str, dict[str, float]]:
    """What a structured report tells, by quantity and statistic."""
    path = folder / "report.dcm"
    write_report(path, answer, report_identity(session, answer, None, folder / "key" / "of-mine", path))
    content = hd.sr.srread(path).content
    groups = content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(answer.runs)
    found: dict[str, dict[str, float]] = {}
    for key, concept in report_codes.CONCEPTS.items():
        for one in groups[0].get_measurements(name=concept):
            statistic = next((name for name, code in report_codes.STATISTICS.items() if code == one.derivation), None)
            if statistic:
                found.setdefault(key, {})[statistic] = one.value
    return found


OBSERVATION = {
    "type": "object",
    "required": ["resourceType", "status", "code", "subject", "valueQuantity", "component"],
    "additionalProperties": False,
    "properties": {
        "resourceType": {"const": "Observation"},
        "status": {"const": "preliminary"},
        "category": {"type": "array", "items": {"$ref": "#/$defs/concept"}},
        "code": {"$ref": "#/$defs/concept"},
        "subject": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "type": {"const": "Patient"},
                "display": {"type": "string"},
                "identifier": {
                    "type": "object",
                    "required": ["system", "value"],
                    "properties": {"system": {"type": "string", "pattern": "^urn:oid:2\\.25\\.[0-9]+$"}},
                },
            },
        },
        "issued": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
        "valueQuantity": {"$ref": "#/$defs/quantity"},
        "note": {"type": "array", "items": {"type": "object", "required": ["text"]}},
        "bodySite": {"type": "object", "required": ["text"]},
        "method": {"type": "object", "required": ["text"]},
        "device": {"type": "object", "required": ["display"]},
        "component": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/component"}},
    },
    "$defs": {
        "concept": {
            "type": "object",
            "required": ["coding"],
            "properties": {
                "coding": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["system", "code", "display"],
                        "properties": {"code": {"type": "string", "pattern": r"^\S+( \S+)*$"}},
                    },
                }
            },
        },
        "quantity": {
            "type": "object",
            "required": ["value", "unit", "system", "code"],
            "properties": {
                "value": {"type": "number"},
                "system": {"const": "http://unitsofmeasure.org"},
                "code": {"enum": ["kPa", "1", "rad", "m/s", "/m", "mL", "Hz", "mm"]},
            },
        },
        "component": {
            "type": "object",
            "required": ["code"],
            "minProperties": 2,
            "maxProperties": 2,
            "properties": {
                "code": {"$ref": "#/$defs/concept"},
                "valueQuantity": {"$ref": "#/$defs/quantity"},
                "valueString": {"type": "string"},
                "valueRange": {
                    "type": "object",
                    "required": ["low", "high"],
                    "properties": {"low": {"$ref": "#/$defs/quantity"}, "high": {"$ref": "#/$defs/quantity"}},
                },
            },
        },
    },
}
"""What FHIR R4 asks of the Observations that palpate writes (hl7.org/fhir/R4/observation.html)."""


def test_observation_is_fhir_r4(answer: Answer) -> None:
    """Required fields, value sets and types; codes of components differ from the resource's own (rule obs-7)."""
    resource = json.loads(as_fhir(answer))
    jsonschema.validate(resource, OBSERVATION)
    codes = [one["code"]["coding"][0]["code"] for one in resource["component"]]
    assert len(set(codes)) == len(codes)
    assert resource["code"]["coding"][0]["code"] not in codes
    assert "Research use only" in resource["note"][0]["text"]
    assert resource["subject"]["display"] == "sub-01"


@pytest.mark.skipif(not Path("/usr/bin/dciodvfy").exists(), reason="needs dciodvfy (Debian: dicom3tools)")
@pytest.mark.parametrize("which", ["sphere", "mask", "one slice"])
def test_report_breaks_no_rule_of_dicom(
    which: str,
    session: OpenSession,
    files: Path,
    finished_session: SessionFiles,
    tmp_path: Path,
    palpate_inside: Inside,
) -> None:
    """By dciodvfy, which knows the tables of structured reports; each region's place is of a form that they allow."""
    if which == "one slice":
        mask = _block(session)
        mask[:, :, 5:] = False
        write_mask(tmp_path / "mask.nii.gz", mask, _affine_mm(session), description="slice")
    region = ("--sphere", _sphere(session).text)
    if which != "sphere":
        region = ("--mask", str((files if which == "mask" else tmp_path) / "mask.nii.gz"))
    out = tmp_path / "report.dcm"
    given = ("--format", "sr", "--out", out, "--above", 3, "--key", tmp_path / "mine" / "key")
    done = palpate_inside("query", finished_session.folder, *region, *given)
    assert done.code == 0, done.printed
    judged = subprocess.run(["dciodvfy", str(out)], capture_output=True, text=True, check=False)
    assert not [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]
    group = hd.sr.srread(out).content.get_volumetric_roi_measurement_groups()[0]
    assert group.roi.graphic_type.value == ("ELLIPSOID" if which == "sphere" else "POLYGON")
    header = pydicom.dcmread(out)
    assert (header.PatientID, header.PatientIdentityRemoved) == ("sub-01", "YES")
    again = tmp_path / "again.dcm"
    palpate_inside("query", finished_session.folder, *region, *given[:3], again, *given[4:])
    assert again.read_bytes() == out.read_bytes()


def test_an_outline_lies_where_the_region_lies(session: OpenSession, files: Path) -> None:
    """Corners of the outlines, back in voxels, are the edge of the box."""
    footprint = _ask(session, FileSpec("mask", files / "mask.nii.gz")).runs[0].footprint
    shares = np.zeros(session.runs[0].stiffness.informed.shape)
    shares[tuple(footprint.voxels.T)] = footprint.shares
    corners = np.concatenate([np.array(one) for one in outline_place(shares, footprint.affine_mm).outlines_mm])
    back = np.linalg.inv(footprint.affine_mm)
    index = corners @ back[:3, :3].T + back[:3, 3]
    assert index.min(axis=0) == pytest.approx([6.5, 7.5, 4.0], abs=1e-3)
    assert index.max(axis=0) == pytest.approx([12.5, 13.5, 7.0], abs=1e-3)


def test_a_region_that_leaves_the_map_says_how_much_is_left(session: OpenSession) -> None:
    """Figures of a part must not pass for those of the whole."""
    inside, cut = _ask(session, _sphere(session)), _ask(session, _sphere(session, (2, 11, 6), 9.0))
    assert not [one for one in inside.warnings if one.code == "region-cut"]
    warning = next(one for one in cut.warnings if one.code == "region-cut")
    share = cut.runs[0].covered_share
    assert 0.1 < share < 0.98
    assert f"{100.0 * share:.0f} %" in warning.sentence
    assert cut.runs[0].covered_ml == pytest.approx(share * cut.region.volume_ml)


def test_a_region_on_the_t1_comes_by_the_recorded_registration(tmp_path: Path) -> None:
    """A mask on the T1's voxels is carried, and the error of the registration widens its interval."""
    made = write_session(tmp_path / "session", tmp_path / "truth")
    anatomy = read_map(made.wavefield / "sub-01_ses-01_T1w.nii.gz")
    here = open_session(made.folder)
    centre_mm = _at_mm(here, (11, 9, 6))
    points_mm = np.moveaxis(np.indices(anatomy.values.shape), 0, -1) @ anatomy.affine_mm[:3, :3].T
    far_mm = np.linalg.norm(points_mm + anatomy.affine_mm[:3, 3] - centre_mm, axis=-1)
    write_mask(tmp_path / "mask.nii.gz", far_mm < 8.0, anatomy.affine_mm, description="ball")
    spec, options = FileSpec("mask", tmp_path / "mask.nii.gz"), QueryOptions()
    unknown = _ask(here, spec, options).runs[0]
    assert (unknown.registration.state, unknown.registration.uncertainty_mm) == ("not registered", None)
    moved = Rigid(np.array([0.0, 0.0, 0.0, 0.0, 0.0, 3.0]), centre_mm)
    answers = []
    for error_mm in (0.0, 2.0):
        covariance = np.diag([0.0] * 3 + [error_mm**2] * 3)
        write_placement(made.wavefield, "sub-01_ses-01", Placement("registered", moved, covariance, error_mm * 3**0.5))
        answers.append(_ask(here, spec, options).runs[0])
    exact, rough = answers
    assert (exact.registration.state, rough.registration.uncertainty_mm) == ("recorded", pytest.approx(2.0 * 3**0.5))
    # The T1 shows the ball 3 mm further up than the elastogram does.
    down = SphereSpec(",".join(f"{one:.6f}" for one in (*(centre_mm - [0.0, 0.0, 3.0]), 8.0)))
    assert exact.figures[0].mean == pytest.approx(_ask(here, down, options).runs[0].figures[0].mean, rel=5e-3)
    assert abs(exact.figures[0].mean - unknown.figures[0].mean) > 0.01
    assert rough.figures[0].std > exact.figures[0].std


def test_runs_and_frequencies_are_all_answered_or_chosen(tmp_path: Path) -> None:
    """Nobody learns of one frequency and takes it for another."""
    made = write_session(tmp_path / "s", tmp_path / "t", runs=("_run-1", "_run-2"), frequencies_hz=(40.0, 60.0))
    here = open_session(made.folder)
    spec = _sphere(here)
    every = _ask(here, spec, QueryOptions())
    assert [(one.run[-1], one.frequency_hz) for one in every.runs] == [("1", 40), ("1", 60), ("2", 40), ("2", 60)]
    resource = json.loads(as_fhir(every))
    assert (resource["resourceType"], resource["type"], len(resource["entry"])) == ("Bundle", "collection", 4)
    for one in resource["entry"]:
        jsonschema.validate(one["resource"], OBSERVATION)
    one = _ask(here, spec, QueryOptions(run="2", frequency_hz=60.0))
    assert one.runs[0].figures == every.runs[3].figures
    assert len(one.runs) == 1
    assert len(_report(here, every, tmp_path)["storage_modulus"]) == 4
    for wrong in (QueryOptions(run="3"), QueryOptions(frequency_hz=50.0)):
        with pytest.raises(InputError, match="sub-01_ses-01_run-2 at 60 Hz"):
            _ask(here, spec, wrong)


def test_the_documented_example_is_what_comes_out(
    finished_session: SessionFiles, tmp_path: Path, palpate_inside: Inside
) -> None:
    """The page's example is this session's answer; versions and digests, which differ, are left out of it."""
    page = (CHECKOUT / "docs" / "query.md").read_text(encoding="utf-8")
    command = re.search(r"^    palpate query \S+ (--sphere.*)$", page, re.MULTILINE)
    shown = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert command is not None
    assert shown is not None
    out = tmp_path / "answer.json"
    done = palpate_inside("query", finished_session.folder, *command[1].split(), "--out", out)
    assert done.code == 0, done.printed
    _demand_alike(json.loads(shown[1]), json.loads(out.read_text(encoding="utf-8")), "")


def _demand_alike(shown: object, found: object, where: str) -> None:
    if shown == "...":
        return
    if isinstance(shown, dict):
        assert isinstance(found, dict)
        assert list(shown) == list(found), where
        for key, value in shown.items():
            _demand_alike(value, found[key], f"{where}.{key}")
    elif isinstance(shown, list):
        assert isinstance(found, list)
        assert len(shown) == len(found), where
        for one, other in zip(shown, found, strict=True):
            _demand_alike(one, other, where)
    elif isinstance(shown, float):
        assert found == pytest.approx(shown, rel=1e-4), where
    else:
        assert found == shown, where
