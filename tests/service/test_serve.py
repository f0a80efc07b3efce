"""`palpate serve`: over HTTP the same numbers as on the command line, to the last bit, and results that may change."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.serve import ServeSettings
from palpate.content_digest import digest
from palpate.errors import InputError
from palpate.imaging.deidentify.key_file import open_key
from palpate.imaging.files.maps import read_map, write_map, write_mask
from palpate.service.query import ask as query_ask
from palpate.service.serve.start import demand_safe, is_loopback
from tests.conftest import Outcome
from tests.imaging.drawn_files import PERSON, write_rtstruct, write_seg
from tests.service.conftest import SessionFiles, write_session
from tests.service.serve_client import ServiceClient, running

FRAME = "1.2.826.0.1.3680043.10.543.2"
SPHERE = "-16,-10,27,8"

type Inside = Callable[..., Outcome]


@pytest.fixture(scope="module")
def results(finished_session: SessionFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions of one subject."""
    home = tmp_path_factory.mktemp("served")
    shutil.copytree(finished_session.folder, home / "results" / "sub-01" / "ses-01")
    write_session(home / "results" / "sub-01" / "ses-02", home / "truth", anatomy=False, seed=8)
    for path in (home / "results" / "sub-01" / "ses-02").rglob("sub-01_ses-01*"):
        path.rename(path.with_name(path.name.replace("ses-01", "ses-02")))
    record = home / "results" / "sub-01" / "ses-02" / "wavefield" / "sub-01_ses-02_ingest.json"
    record.write_text(record.read_text().replace("sub-01_ses-01", "sub-01_ses-02"))
    return home / "results"


@pytest.fixture(scope="module")
def drawn(results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One box as a mask, segment and contours, and labels."""
    folder = tmp_path_factory.mktemp("drawn")
    affine_mm = read_map(
        results / "sub-01" / "ses-01" / "mre" / "sub-01_ses-01_stat-mean_storagemodulus.nii.gz"
    ).affine_mm
    box = np.zeros((20, 22, 12), dtype=bool)
    box[7:13, 8:14, 4:8] = True
    write_mask(folder / "mask.nii.gz", box, affine_mm, description="of Erika Mustermann")
    labels = box.astype(np.float32) + np.roll(box, 6, axis=0)
    write_map(folder / "labels.nii.gz", labels, affine_mm, units="1", description="labels")
    write_seg(folder / "seg.dcm", {PERSON: np.roll(box, 1, axis=1), "tumour": box}, affine_mm, frame=FRAME)
    square = np.array([[6.5, 7.5], [12.5, 7.5], [12.5, 13.5], [6.5, 13.5]])
    rings = [
        np.column_stack([square, np.full(4, float(k))]) @ affine_mm[:3, :3].T + affine_mm[:3, 3] for k in range(4, 8)
    ]
    write_rtstruct(folder / "roi.dcm", {PERSON: rings[:2], "GTV": rings}, frame=FRAME)
    return {one.name.partition(".")[0]: one for one in folder.iterdir() if one.suffix != ".json"}


@pytest.fixture(scope="module")
def client(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceClient]:
    with running(results, tmp_path_factory.mktemp("service")) as found:
        yield found


QUESTIONS = {
    "sphere": (("--sphere", SPHERE), {"sphere": SPHERE}),
    "with a threshold": (("--sphere", SPHERE, "--above", "2.6"), {"sphere": SPHERE, "above": "2.6"}),
    "quantities": (
        ("--sphere", SPHERE, "--quantity", "magnitude", "--quantity", "damping_ratio", "--frequency-hz", "50"),
        {"sphere": SPHERE, "quantity": ["magnitude", "damping_ratio"], "frequency_hz": "50"},
    ),
    "stiffer than": (("--sphere", SPHERE, "--than", "0,0,27,8"), {"sphere": SPHERE, "than_sphere": "0,0,27,8"}),
    "mask": (("--mask", "{mask}"), {"region": "{mask}"}),
    "segment": (("--seg", "{seg}", "--name", "2"), {"region": "{seg}", "name": "2"}),
    "segment by name": (("--seg", "{seg}", "--name", "tumour"), {"region": "{seg}", "name": "tumour"}),
    "contours": (("--roi", "{roi}", "--name", "GTV"), {"region": "{roi}", "name": "GTV"}),
    "mask than contours": (
        ("--mask", "{mask}", "--than", "{roi}#1"),
        {"region": "{mask}", "than_region": "{roi}", "than_name": "1"},
    ),
}


@pytest.mark.parametrize(
    ("case", "form"), [*((one, "json") for one in QUESTIONS), *(("with a threshold", one) for one in ("csv", "fhir"))]
)
def test_http_and_command_line_tell_the_same_bytes(
    case: str,
    form: str,
    client: ServiceClient,
    results: Path,
    drawn: dict[str, Path],
    palpate_inside: Inside,
    tmp_path: Path,
) -> None:
    """A planner may ask either: two numbers for one contour would be no answer."""
    arguments, fields = QUESTIONS[case]
    given = [one.format(**{name: str(path) for name, path in drawn.items()}) for one in arguments]
    out = tmp_path / f"answer.{'csv' if form == 'csv' else 'json'}"
    done = palpate_inside(
        "query", results / "sub-01" / "ses-01", *given, "--format", form, "--out", out, "--key", tmp_path / "none"
    )
    assert done.code == 0, done.printed
    told = {name: one for name, one in fields.items() if not isinstance(one, str) or not one.startswith("{")}
    told |= {
        name: client.kept(drawn[one[1:-1]].read_bytes())
        for name, one in fields.items()
        if isinstance(one, str) and one.startswith("{")
    }
    answer = client.region(told | {"format": form})
    assert answer.status_code == 200, answer.text
    assert answer.content == out.read_bytes()


@pytest.mark.parametrize("patient", ["4711", "4712"])
def test_contours_of_another_patient_are_refused_though_their_number_is_not_kept(
    patient: str, results: Path, drawn: dict[str, Path], palpate_inside: Inside, tmp_path: Path
) -> None:
    """The door takes the patient's number away; whose contours they are is compared all the same."""
    shutil.copytree(results, tmp_path / "results")
    key = open_key(tmp_path / "key" / "mine", away_from=tmp_path / "results" / "sub-01")
    record = tmp_path / "results" / "sub-01" / "ses-01" / "wavefield" / "sub-01_ses-01_ingest.json"
    told = json.loads(record.read_text())
    told["patient_pseudonym"] = key.pseudonym(patient)
    told["identifiers"] = {"status": "pseudonymised", "key_fingerprint": key.fingerprint}
    told["dicom"]["FrameOfReferenceUID"] = key.identifier(FRAME)
    record.write_text(json.dumps(told))
    given = ("--roi", drawn["roi"], "--name", "GTV", "--key", tmp_path / "key" / "mine")
    done = palpate_inside("query", tmp_path / "results" / "sub-01" / "ses-01", *given, "--out", tmp_path / "a.json")
    with running(tmp_path / "results", tmp_path / "home", tmp_path / "key" / "mine") as client:
        answer = client.region({"region": client.kept(drawn["roi"].read_bytes()), "name": "GTV"})
    if patient == "4711":
        assert answer.content == (tmp_path / "a.json").read_bytes()
        assert "region-patient-unknown" not in answer.text
    else:
        assert done.code == 2
        assert answer.status_code == 400
        assert "a region of another patient" in answer.text


def test_labels_are_the_table_of_regions(
    client: ServiceClient, results: Path, drawn: dict[str, Path], palpate_inside: Inside, tmp_path: Path
) -> None:
    """The service has no second way to average over labels."""
    out = tmp_path / "regions.tsv"
    done = palpate_inside("regions", results / "sub-01" / "ses-01", "--labels", drawn["labels"], "--out", out)
    assert done.code == 0, done.printed
    kept = client.kept(drawn["labels"].read_bytes())
    path = "/api/v1/subjects/01/sessions/01/labels"
    assert client.ask(path, params={"region": kept, "format": "tsv"}).content == out.read_bytes()
    rows = client.ask(path, params={"region": kept}).json()["rows"]
    assert ["\t".join(one.values()) for one in rows] == out.read_text().splitlines()[1:]


def test_change_is_the_table_of_change(
    client: ServiceClient, results: Path, drawn: dict[str, Path], palpate_inside: Inside, tmp_path: Path
) -> None:
    """And no second way to compare sessions; the JSON holds the record and every digit."""
    out = tmp_path / "change.tsv"
    folders = [results / "sub-01" / one for one in ("ses-01", "ses-02")]
    done = palpate_inside("change", *folders, "--labels", drawn["labels"], "--out", out)
    assert done.code == 0, done.printed
    fields = {"from": "01", "to": "02", "region": client.kept(drawn["labels"].read_bytes())}
    assert client.ask("/api/v1/subjects/01/change", params=fields | {"format": "tsv"}).content == out.read_bytes()
    told = client.ask("/api/v1/subjects/01/change", params=fields).json()
    record = json.loads(out.with_suffix(".json").read_text())
    assert {name: told[name] for name in record} == record
    assert f"{told['rows'][0]['difference']:.6g}" == out.read_text().splitlines()[1].split("\t")[9]


def test_lists_maps_and_reports(client: ServiceClient, results: Path) -> None:
    """What a client needs to find its question, the maps as they lie there, and the DICOM report."""
    assert client.ask("/api/v1/subjects").json() == {"subjects": ["01"]}
    assert client.ask("/api/v1/subjects/01/sessions").json()["sessions"] == ["01", "02"]
    path = "/api/v1/subjects/01/sessions/01/maps"
    for one in client.ask(path).json()["maps"]:
        there = results / "sub-01" / "ses-01" / "mre" / one["name"]
        assert client.ask(f"{path}/{one['name']}").content == there.read_bytes()
    report = client.region({"sphere": SPHERE, "format": "sr"})
    assert pydicom.dcmread(io.BytesIO(report.content)).Modality == "SR"
    assert client.ask("/api/v1/subjects/01/forecasts").json()["forecasts"] == []


def test_draws_and_slices_are_what_the_figures_are_made_of(client: ServiceClient, results: Path) -> None:
    """The page's histogram and picture show the answer's own draws and the map's own voxels."""
    told = client.region({"sphere": SPHERE}).json()["results"][0]["quantities"]["storage_modulus"]
    draws = client.region({"sphere": SPHERE, "format": "draws"}).json()["results"][0]["draws"]["storage_modulus"]
    assert np.mean(draws["values"]) == told["mean_kpa"]
    found = client.ask("/api/v1/subjects/01/sessions/01/slices/6").json()
    values = np.frombuffer(base64.b64decode(found["values_base64"]), "<f4").reshape(22, 20).T
    there = read_map(results / "sub-01" / "ses-01" / "mre" / "sub-01_ses-01_stat-mean_storagemodulus.nii.gz")
    np.testing.assert_array_equal(values, there.values[:, :, 6])


def test_forecasts_are_told_as_their_records_have_them(results: Path, tmp_path: Path) -> None:
    """Figures of a finished forecast, number by number, and the paired differences of its schedules."""
    shutil.copytree(results, tmp_path / "results")
    folder = tmp_path / "results" / "sub-01" / "twin" / "forecast" / "as-planned"
    folder.mkdir(parents=True)
    record = {"subject": "01", "forecast": [{"day": 30.0, "burden_ml": {"mean": 12.345678901234567}}]}
    (folder / "forecast.json").write_text(json.dumps(record))
    (folder.parent / "difference.tsv").write_text("schedule\tday\tmean\nlater\t30\t1.5\n")
    with running(tmp_path / "results", tmp_path / "home") as client:
        told = client.ask("/api/v1/subjects/01/forecasts").json()["forecasts"]
    assert told[0]["forecast"] == record["forecast"]
    assert told[0]["difference"] == [{"schedule": "later", "day": "30", "mean": "1.5"}]


def test_a_large_region_is_read_in_parts_to_the_same_bits(
    client: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sphere over a whole brain must not fill a worker's memory, and must not change a digit."""
    whole = client.region({"sphere": "-10,-10,20,100"}).content
    monkeypatch.setattr(query_ask, "MOST_AT_ONCE", 1)
    assert client.region({"sphere": "-10,-10,20,100"}).content == whole


def test_rewritten_results_are_noticed(results: Path, tmp_path: Path) -> None:
    """An inversion may run again under a running service: an answer of the old draws would be wrong."""
    shutil.copytree(results, tmp_path / "results")
    mre = tmp_path / "results" / "sub-01" / "ses-01" / "mre"
    with running(tmp_path / "results", tmp_path / "home") as client:
        first = client.region({"sphere": SPHERE}).json()["results"][0]
        other = mre.with_name("other")
        shutil.copytree(mre, other)
        shutil.copy2(mre / "sub-01_ses-01_samples.h5", other / "old.h5")
        draws = tmp_path / "results" / "sub-01" / "ses-02" / "mre" / "sub-01_ses-02_samples.h5"
        shutil.copy2(draws, other / "sub-01_ses-01_samples.h5")
        (other / "old.h5").unlink()
        mre.rename(mre.with_name("gone"))
        other.rename(mre)
        second = client.region({"sphere": SPHERE}).json()["results"][0]
        assert second["input_sha256"]["samples"] == digest(draws) != first["input_sha256"]["samples"]
        assert second["quantities"] != first["quantities"]


def test_questions_at_the_same_time_get_their_own_answers(client: ServiceClient) -> None:
    """Threads share one opened session; no answer may be another one's."""
    spheres = [f"{x},-10,27,{radius}" for x in (-20, -16, -10, 0) for radius in (5, 8, 11)]
    path = "/api/v1/subjects/01/sessions/01/region?sphere={}"
    single = [client.ask(path.format(one)).content for one in spheres]
    assert [one.content for one in client.both(*(path.format(one) for one in spheres))] == single


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "scanner.example", "::"])
def test_others_are_not_served_without_tls_and_tokens(host: str, tmp_path: Path) -> None:
    """Health data on a network need both; one of them is not enough."""
    tokens = {"issuer": "https://a", "audience": "b", "keys": tmp_path / "keys.json"}
    for settings, told in (
        (ServeSettings(), "without a certificate and tokens"),
        (ServeSettings(certificate=tmp_path / "a.pem"), "without tokens"),
        (ServeSettings.model_validate({"tokens": tokens}), "without a certificate"),
    ):
        with pytest.raises(InputError, match=told):
            demand_safe(host, settings)
    demand_safe(host, ServeSettings.model_validate({"tokens": tokens, "certificate": tmp_path / "a.pem"}))
    assert not is_loopback(host)
    demand_safe("127.0.0.1", ServeSettings())


def test_folders_of_the_service_lie_outside_the_results(results: Path, palpate_inside: Inside, tmp_path: Path) -> None:
    """Results are handed on; who asked, and what others drew, is not."""
    settings = json.dumps({"audit": str(results / "audit"), "uploads": str(tmp_path / "uploads")})
    done = palpate_inside("serve", results, "--port", "0", "--settings", settings)
    assert done.code == 2
    assert "audit: found a folder inside the results" in done.printed
    assert not (results / "audit").exists()
