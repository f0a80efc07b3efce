"""Whoever decides by a result asks how anyone knows: its signed record must show every change, and name nobody."""

from __future__ import annotations

import getpass
import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from palpate.config.provenance import signing_variables
from palpate.config.settings import load_settings
from palpate.content_digest import digest
from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField
from palpate.output_marker import read_mark, stranger_in
from palpate.run_crate.names import CRATE, OPERATOR, SIGNATURE, SIGNING_KEY
from palpate.run_crate.signing_key import key_text
from palpate.service.provenance.compare import difference, is_same
from palpate.service.provenance.finding import PartFinding
from palpate.service.provenance.report import provenance_findings, results_below
from tests.conftest import Outcome

MESH = {"zone_width_mm": 8.0, "zone_stride_mm": 4.0}
type Inside = Callable[..., Outcome]


def _waves() -> WaveField:
    """A plane shear wave of 60 Hz in 3 kPa, with 2 % of noise."""
    x_m = 2e-3 * np.arange(9)
    wave = np.exp(2j * np.pi * 60.0 / np.sqrt(3e3 / 1e3) * x_m)[:, None, None] * np.ones((9, 7, 5))
    noise = np.random.default_rng(1).standard_normal((2, 9, 7, 5, 3))
    clean = 1e-5 * np.stack([0 * wave, wave, 0.5 * wave], axis=-1)
    return WaveField(
        displacement_m=clean + 2e-7 * (noise[0] + 1j * noise[1]),
        mask=np.ones((9, 7, 5), dtype=bool),
        affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
        frequency_hz=60.0,
        noise_std_m=2e-7,
        density_kg_m3=1000.0,
        label="sub-box",
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session in a study's layout, in folders that are named after a person, whose steps the command line ran."""
    session = tmp_path_factory.mktemp("Mustermann") / "results" / "sub-01" / "ses-01"
    (session / "wavefield").mkdir(parents=True)
    write_wave_field(session / "wavefield", _waves())
    return session


@pytest.fixture
def session(made: Path, tmp_path: Path, palpate_inside: Inside) -> Path:
    """A copy of the session for one test, with mesh and maps."""
    if not (made / "mre").exists():
        wavefield, mesh = made / "wavefield", made / "mesh"
        done = palpate_inside("mesh", wavefield, "--settings", json.dumps(MESH), "--out", mesh)
        assert done.code == 0, done.printed
        done = palpate_inside("invert", wavefield, "--mesh", mesh, "--method", "direct", "--out", made / "mre")
        assert done.code == 0, done.printed
    copy = tmp_path / "results" / "sub-01" / "ses-01"
    shutil.copytree(made, copy)
    return copy


def _faults(folder: Path, *keys: Path) -> list[PartFinding]:
    return [one for one in provenance_findings(results_below(folder), keys, {}) if one.state.is_fault]


def _flip(path: Path, at: int) -> bytes:
    """Change one bit of a file; return its bytes before."""
    before = path.read_bytes()
    changed = bytearray(before)
    changed[at] ^= 1 << at % 8
    path.write_bytes(changed)
    return before


def _public(path: Path, secret: bytes) -> Path:
    key = Ed25519PrivateKey.from_private_bytes(secret).public_key()
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_whole_results_are_said_to_be_whole(session: Path, palpate_inside: Inside) -> None:
    """The chain from maps to mesh to wave field, each part with a line of its own, and exit code 0."""
    done = palpate_inside("verify", "provenance", session / "mre")
    assert done.code == 0, done.printed
    lines = done.printed.splitlines()
    assert lines[0].startswith("mre: signature: whole (key ")
    assert "mre: input wavefield: whole" in lines
    assert "mre: input mesh: whole" in lines
    assert any(line.startswith("mre > mesh: signature: whole") for line in lines)
    assert sum(": file " in line for line in lines) == len(list((session / "mre").glob("sub-*"))) + len(
        list((session / "mesh").glob("[!.r]*"))
    )
    assert lines[-1].startswith("All ")


def test_a_flipped_byte_in_each_of_20_places_is_found(session: Path, palpate_inside: Inside) -> None:
    """A changed result, a changed record and a changed signature must each be found, wherever the byte lies."""
    maps = session / "mre"
    files = sorted(maps.glob("sub-*"))
    places = [(path, part) for path in files for part in (0.0, 0.99)][:8]
    places += [(maps / CRATE, part / 6) for part in range(6)]
    places += [(maps / SIGNATURE, part / 6) for part in range(6)]
    assert len(places) == 20
    for path, part in places:
        before = _flip(path, int(part * path.stat().st_size))
        faults = _faults(maps)
        named = f"file {path.name}" if path in files else "signature"
        assert named in {one.part for one in faults}, (path.name, part)
        path.write_bytes(before)
    assert _faults(maps) == []
    _flip(files[0], 10)
    done = palpate_inside("verify", "provenance", maps)
    assert done.code == 1
    assert f"file {files[0].name}: changed" in done.printed
    assert done.printed.splitlines()[-1].startswith("1 of ")


def test_missing_and_added_files_are_found(session: Path) -> None:
    """A map that was removed, or put beside the others, changes what a reader takes for the result."""
    lost, *_ = sorted((session / "mre").glob("*.nii.gz"))
    lost.rename(session / "mre" / "sub-02_storagemodulus.nii.gz")
    found = {one.part: str(one.state) for one in _faults(session / "mre")}
    assert found == {f"file {lost.name}": "missing", "file sub-02_storagemodulus.nii.gz": "not recorded"}


def test_what_palpate_adds_later_is_no_fault(session: Path) -> None:
    """Scores and tables of regions lie in the folder of maps, and no step reads them."""
    (session / "mre" / "regions.tsv").write_text("region\n")
    assert _faults(session / "mre") == []


def test_changes_of_inputs_are_found_through_the_chain(session: Path) -> None:
    """Maps may be whole and the mesh behind them another: both the link and the mesh's own file must tell."""
    zones = next((session / "mesh").glob("*_zones.h5"))
    _flip(zones, 2000)
    faults = {(one.result, one.part) for one in _faults(session / "mre")}
    assert faults == {("mre", "input mesh"), ("mre > mesh", f"file {zones.name}")}
    shutil.rmtree(session / "mesh")
    states = {one.part: str(one.state) for one in provenance_findings(results_below(session / "mre"), (), {})}
    assert states["input mesh"] == "not found"
    assert _faults(session / "mre") == []


def test_moved_inputs_are_taken_from_where_they_are_named(session: Path, palpate_inside: Inside) -> None:
    """Records name no path, so that somebody has to where an input lies elsewhere."""
    (session / "wavefield").rename(session.parent / "old")
    done = palpate_inside("verify", "provenance", session / "mre", "--input", f"wavefield={session.parent / 'old'}")
    assert "mre: input wavefield: whole" in done.printed
    done = palpate_inside("verify", "provenance", session / "mre", "--input", f"wavefield={session / 'mesh'}")
    assert done.code == 1
    assert "input wavefield: changed" in done.printed


def test_another_signer_is_not_trusted_until_named(session: Path, tmp_path: Path) -> None:
    """A record that is changed and signed anew holds by its own key; only a key from elsewhere tells who signed."""
    maps, forged = session / "mre", Ed25519PrivateKey.from_private_bytes(bytes(32))
    told = json.loads((maps / CRATE).read_text())
    key = next(one for one in told["@graph"] if one["@id"] == "#signing-key")
    key["value"] = key_text(forged.public_key())
    text = json.dumps(told).encode()
    (maps / CRATE).write_bytes(text)
    (maps / SIGNATURE).write_bytes(forged.sign(text))
    assert [(one.part, str(one.state)) for one in _faults(maps)] == [("signature", "not trusted")]
    theirs = _public(tmp_path / "theirs.pub", bytes(32))
    ours = _public(tmp_path / "ours.pub", bytes(range(32)))
    assert _faults(maps, theirs, ours) == []
    assert {one.result for one in _faults(maps, theirs)} == {"mre > mesh"}
    (maps / SIGNATURE).unlink()
    assert [str(one.state) for one in _faults(maps, theirs, ours)] == ["missing"]


def test_crate_is_one_that_tools_for_ro_crates_read(session: Path) -> None:
    """RO-Crate 1.1 and the Process Run Crate profile: nothing they demand lacks, no reference is open."""
    told = json.loads((session / "mre" / CRATE).read_text())
    graph = {one["@id"]: one for one in told["@graph"]}
    assert len(graph) == len(told["@graph"])
    outside = {"https://w3id.org/ro/crate/1.1"}
    refs = set(re.findall(r'\{\s*"@id": "([^"]+)"\s*\}', json.dumps(told)))
    assert refs - graph.keys() == outside
    assert graph[CRATE]["about"] == {"@id": "./"}
    root, run = graph["./"], graph["#run"]
    assert all(root[key] for key in ("datePublished", "name", "license"))
    assert graph[root["conformsTo"]["@id"]]["@type"] == "CreativeWork"
    assert root["mentions"] == {"@id": "#run"}
    assert run["@type"] == "CreateAction"
    assert graph[run["instrument"]["@id"]]["softwareVersion"]
    assert {one["@id"] for one in root["hasPart"]} == {path.name for path in (session / "mre").glob("sub-*")}
    kinds = {one["propertyID"] for one in told["@graph"] if "propertyID" in one}
    assert kinds == {"environment", "tolerance"}


def test_record_names_no_person_place_or_machine(
    session: Path, tmp_path: Path, palpate_inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of scans bear names, a login is a name; whoever answers for a run is named only where that was said."""
    text = (session / "mre" / CRATE).read_text()
    secrets = ["Mustermann", str(tmp_path), socket.gethostname(), f'"{getpass.getuser()}"', "#operator"]
    assert [one for one in secrets if one in text] == []
    monkeypatch.setenv(OPERATOR, "Radiology, Room 7")
    done = palpate_inside("invert", session / "wavefield", "--method", "direct", "--out", session / "again")
    assert done.code == 0
    graph = {one["@id"]: one for one in json.loads((session / "again" / CRATE).read_text())["@graph"]}
    assert graph[graph["#run"]["agent"]["@id"]]["name"] == "Radiology, Room 7"


def test_record_changes_nothing_for_later_steps(session: Path) -> None:
    """It holds the time of the run: if it counted as content, equal maps would make every later step run again."""
    before = digest(session / "mre")
    marked = read_mark(session / "mre")
    assert stranger_in(session / "mre", marked) is None
    (session / "mre" / CRATE).unlink()
    (session / "mre" / SIGNATURE).unlink()
    assert digest(session / "mre") == before


def test_key_that_others_may_read_is_refused_before_any_work(
    session: Path, tmp_path: Path, palpate_inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With such a key anybody signs; to hear of it after hours of inversion helps nobody."""
    key = tmp_path / "key"
    key.write_bytes(bytes(32))
    key.chmod(0o640)
    monkeypatch.setenv(SIGNING_KEY, str(key))
    done = palpate_inside("invert", session / "wavefield", "--method", "direct", "--out", session / "again")
    assert (done.code, "others may read" in done.printed) == (2, True)
    assert not (session / "again").exists()


def test_key_of_a_study_is_made_with_its_public_half(
    session: Path, tmp_path: Path, palpate_inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is handed to others is the public half alone; the private one lies outside the results, for its owner."""
    key = tmp_path / "keys" / "study"
    monkeypatch.setenv(SIGNING_KEY, str(key))
    arguments = ("invert", session / "wavefield", "--method", "direct", "--out", session / "again")
    assert palpate_inside(*arguments).code == 0
    assert key.stat().st_mode & 0o777 == 0o600
    assert _faults(session / "again", key.with_name("study.pub")) == []
    done = palpate_inside("verify", "provenance", session / "again", "--key", key)
    assert (done.code, "the PEM of an Ed25519 public key" in done.printed) == (2, True)
    monkeypatch.setenv(SIGNING_KEY, str(session / "key"))
    done = palpate_inside(*arguments)
    assert done.code == 0
    assert "is not signed: " in done.printed
    assert not (session / "key").exists()
    assert [one.part for one in _faults(session / "again", key.with_name("study.pub"))] == ["signature"]


@pytest.mark.parametrize("graph", ["{}", "[]", '{"@graph": [{"@id": "#run"}]}', "\x00"])
def test_damaged_record_is_a_finding_and_no_crash(graph: str, session: Path) -> None:
    """A record may be anything by the time that somebody asks."""
    (session / "mre" / CRATE).write_text(graph)
    assert [one.part for one in _faults(session / "mre")] == ["signature", "record"]


def test_folder_without_record_is_said_to_have_none(tmp_path: Path, palpate_inside: Inside) -> None:
    """No record is another answer than a wrong one."""
    done = palpate_inside("verify", "provenance", tmp_path)
    assert (done.code, "no result with a record" in done.printed) == (2, True)


def test_step_runs_again_to_the_same_bits(session: Path, palpate_inside: Inside) -> None:
    """The record must be enough to make the result again: settings, options, inputs by content, nothing else."""
    done = palpate_inside("verify", "provenance", session / "mre", "--rerun")
    assert done.code == 0, done.printed
    again = [line for line in done.printed.splitlines() if ": re-run" in line]
    assert len(again) == len(list((session / "mre").glob("sub-*")))
    assert all(line.endswith("whole (the same to the last bit)") for line in again)


def test_result_that_its_settings_do_not_give_is_found(session: Path, palpate_inside: Inside) -> None:
    """A signer may be wrong about a result; only the step itself shows that."""
    maps, key = session / "mre", Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    told = json.loads((maps / CRATE).read_text())
    settings = next(one for one in told["@graph"] if one["@id"] == "#settings")
    settings["value"] = json.dumps(json.loads(settings["value"]) | {"tissue_density_kg_m3": 1500.0})
    (maps / CRATE).write_text(json.dumps(told))
    (maps / SIGNATURE).write_bytes(key.sign((maps / CRATE).read_bytes()))
    done = palpate_inside("verify", "provenance", maps, "--rerun")
    assert done.code == 1, done.printed
    assert "_inversion.json: changed (numbers differ by" in done.printed


def test_record_that_does_not_hold_is_never_run(session: Path, palpate_inside: Inside) -> None:
    """A record is a command line: a forged one must not start anything."""
    _flip(session / "mre" / CRATE, 4000)
    done = palpate_inside("verify", "provenance", session / "mre", "--rerun")
    assert (done.code, "re-run" in done.printed) == (1, False)


def test_operator_and_key_of_a_study_reach_its_steps() -> None:
    """The configuration names them once; steps learn them from the environment, as on a cluster's nodes."""
    section = {"signing_key": "~/k", "operator": "R 7"}
    chosen = load_settings({"sessions": "s.tsv", "results": "r", "provenance": section})
    found = signing_variables(chosen.provenance)
    assert found == {SIGNING_KEY: str(Path("~/k").expanduser()), OPERATOR: "R 7"}
    assert signing_variables(load_settings({"sessions": "s.tsv", "results": "r"}).provenance) == {}


def test_numbers_are_compared_by_the_scale_of_their_array(tmp_path: Path) -> None:
    """Elsewhere sums round otherwise; a voxel near zero must not make a map of kPa count as different."""
    one, other = tmp_path / "a.tsv", tmp_path / "b.tsv"
    one.write_text("region\tkPa\nliver\t2.0\nspleen\t1e-9\n")
    other.write_text("region\tkPa\nliver\t2.0\nspleen\t2e-6\n")
    assert difference(one, other) == pytest.approx(1e-6, rel=1e-2)
    other.write_text("region\tkPa\nkidney\t2.0\nspleen\t1e-9\n")
    assert difference(one, other) == np.inf
    records = tmp_path / "a.json", tmp_path / "b.json"
    for path, seconds in zip(records, (1.0, 2.0), strict=True):
        path.write_text(json.dumps({"misfit": 1.5, "seconds": {"solve": seconds}}))
    assert is_same(*records)
    records[1].write_text(json.dumps({"misfit": 1.25, "seconds": {}}))
    assert not is_same(*records)
    assert difference(*records) == pytest.approx(0.25 / 1.5)
    assert difference(tmp_path / "a.html", tmp_path / "b.html") is None
