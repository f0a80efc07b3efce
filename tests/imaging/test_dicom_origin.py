"""DICOM maps beside a keyed record: under the scan's own patient and study, proved, or wholly under a pseudonym."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from palpate.config.ingest import IngestSettings
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import known_key, open_key
from palpate.imaging.ingest import ingest
from tests.conftest import Outcome
from tests.imaging.planting import SECRETS, identifiers_in, leaks, without_place
from tests.imaging.scanner import FRAME, PATIENT, STUDY, Scan, edit, write_mre
from tests.imaging.session_files import write_maps

type Inside = Callable[..., Outcome]

STEM = "sub-01_ses-01"
SMALL = Scan(shape=(8, 6, 3), offsets=4)
PATIENTS_FOLDER = "Mustermann 1960"


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """A key in the file "key"."""
    return open_key(tmp_path / "key", away_from=tmp_path / "results")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A scan in a folder named after its patient."""
    write_mre(tmp_path / PATIENTS_FOLDER, SMALL)
    return tmp_path / PATIENTS_FOLDER


def _session(scan: Path, home: Path, **settings: object) -> Path:
    """An ingested and inverted session."""
    session = home / "results" / "sub-01" / "ses-01"
    chosen = IngestSettings.model_validate({"key": home / "key", **settings})
    ingest(scan, STEM, session / "wavefield", anatomy=None, settings=chosen)
    write_maps(session)
    return session


def _record(session: Path) -> dict:
    return json.loads((session / "wavefield" / f"{STEM}_ingest.json").read_text())


def _maps(session: Path, palpate_inside: Inside, *arguments: object) -> Outcome:
    return palpate_inside(
        "maps", session / "mre", "--wavefield", session / "wavefield", "--out", session / "dicom", *arguments
    )


def _made(session: Path) -> list[pydicom.Dataset]:
    images = [pydicom.dcmread(path) for path in sorted((session / "dicom").glob("*.dcm"))]
    assert len(images) == 4
    return images


def _references(image: pydicom.Dataset) -> set[str]:
    return {str(one.value) for one in image.iterall() if one.keyword == "ReferencedSOPInstanceUID"}


@pytest.mark.parametrize("as_zip", [False, True])
def test_maps_lie_in_the_scans_own_frame_and_hold_nothing_else_of_it(
    as_zip: bool,  # noqa: FBT001 - a parameter of the test
    scan: Path,
    key: Key,
    tmp_path: Path,
    palpate_inside: Inside,
) -> None:
    """An archive files a map under the same patient and study; every further identifier would be one too many."""
    own = identifiers_in(scan)
    session = _session(scan, tmp_path)
    assert leaks(session, own) == []
    # What comes to lie beside the images later is none of this step's concern.
    (scan / "notes.txt").write_text("Erika")
    (scan / "DICOMDIR").write_bytes(bytes(128) + b"DICMbut damaged")
    given = scan
    if as_zip:
        given = tmp_path / f"{PATIENTS_FOLDER}.zip"
        with zipfile.ZipFile(given, "w") as archive:
            for file in sorted(path for path in scan.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(scan))
    done = _maps(session, palpate_inside, "--scan", given, "--key", tmp_path / "key")
    assert done.code == 0, done.printed
    assert not [one for one in own if one in done.printed]
    for image in _made(session):
        assert (image.StudyInstanceUID, image.FrameOfReferenceUID) == (STUDY, FRAME)
        assert (image.PatientID, image.PatientName, image.PatientBirthDate) == ("MUSTER77", PATIENT, "19600102")
        (reference,) = _references(image)
        assert reference in own
        assert key.identifier(reference) == _record(session)["dicom"]["SOPInstanceUID"]
    without_place(session / "dicom", tmp_path / "rest")
    assert leaks(tmp_path / "rest", (*SECRETS, *own)) == []


def _other_scan(scan: Path) -> None:
    shutil.rmtree(scan)
    write_mre(scan, replace(SMALL, seed=1))


def _changed(name: str) -> Callable[[Path], None]:
    def change(scan: Path) -> None:
        for file in scan.rglob("*.ima"):
            edit(file, lambda image: setattr(image, name, "1.2.3.4.9"))

    return change


WRONG: dict[str, Callable[[Path], None]] = {
    "another scan of the same study": _other_scan,
    "another study": _changed("StudyInstanceUID"),
    "another frame of reference": _changed("FrameOfReferenceUID"),
    "another series": _changed("SeriesInstanceUID"),
    "an empty folder": lambda scan: [file.unlink() for file in scan.rglob("*.ima")] and None,
}


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("what", WRONG)
def test_another_scan_is_refused(what: str, scan: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """A map in a stranger's frame of reference shows a lesion where there is none; the key proves whose it is."""
    session = _session(scan, tmp_path)
    WRONG[what](scan)
    done = _maps(session, palpate_inside, "--scan", scan, "--key", tmp_path / "key")
    assert done.code == 2
    assert "no image that the record of ingest stands for" in done.printed
    assert sum(line.startswith("palpate: ") for line in done.printed.splitlines()) == 1
    assert "Mustermann" not in done.printed
    assert not (session / "dicom").exists()


@pytest.mark.usefixtures("key")
def test_what_is_missing_is_named(scan: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """Scan, key, the right key: each is asked for by its option, and no new key is made that could fit nothing."""
    session = _session(scan, tmp_path)
    open_key(tmp_path / "other", away_from=session)
    for arguments, said in (
        (("--key", tmp_path / "key"), "--scan"),
        (("--key", tmp_path / "key", "--scan", tmp_path / "nowhere"), "no such file or folder"),
        (("--key", tmp_path / "none", "--scan", scan), "found none"),
        (("--key", tmp_path / "other", "--scan", scan), "another one, of fingerprint"),
        (("--scan", scan), "another one, of fingerprint"),
        (("--scan", scan), "Where machines share no home each makes its own key"),
    ):
        done = _maps(session, palpate_inside, *arguments)
        assert done.code == 2, arguments
        assert said in done.printed
        assert not (session / "dicom").exists()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("settings", ['{"identity": "pseudonym"}', '{"uids": "keyed"}'])
@pytest.mark.parametrize("uids", ["pseudonymised", "retained"])
def test_maps_to_hand_on_are_pseudonyms(
    uids: str, settings: str, scan: Path, key: Key, tmp_path: Path, palpate_inside: Inside
) -> None:
    """Who gets maps for research must not be able to look the patient up, whatever the site's own records hold.

    The study is nobody else's: neither the scan's nor that of a de-identified copy, which may have another patient.
    """
    session = _session(scan, tmp_path, identifiers=uids)
    done = _maps(session, palpate_inside, "--key", tmp_path / "key", "--settings", settings)
    assert done.code == 0, done.printed
    assert ("maps.identity: pseudonym" in done.printed) == ("uids" in settings)
    for image in _made(session):
        assert image.StudyInstanceUID not in (STUDY, key.identifier(STUDY))
        assert image.FrameOfReferenceUID == key.identifier(FRAME)
        assert (image.PatientID, image.PatientName) == ("sub-01", "sub-01^")
    assert leaks(session / "dicom", (*SECRETS, *identifiers_in(scan))) == []


def test_retained_identifiers_need_the_scan_but_no_key(scan: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """Records never hold a name: without the scan a map would have its study and no patient, which is refused."""
    session = _session(scan, tmp_path, identifiers="retained", key=None)
    assert _record(session)["identifiers"] == {"status": "retained", "kind": "retained"}
    done = _maps(session, palpate_inside)
    assert done.code == 2
    assert "--scan" in done.printed
    assert "maps.identity to pseudonym" in done.printed
    assert not (session / "dicom").exists()
    assert _maps(session, palpate_inside, "--scan", scan).code == 0
    for image in _made(session):
        assert (image.StudyInstanceUID, image.FrameOfReferenceUID) == (STUDY, FRAME)
        assert (image.PatientID, image.PatientName) == ("MUSTER77", PATIENT)
        assert _references(image) == {_record(session)["dicom"]["SOPInstanceUID"]} <= set(identifiers_in(scan))


@pytest.mark.usefixtures("key")
def test_maps_may_join_a_deidentified_copy(scan: Path, key: Key, tmp_path: Path, palpate_inside: Inside) -> None:
    """Given the copy in place of the scan, maps carry the copy's patient and study, whole."""
    session = _session(scan, tmp_path)
    deidentify(scan, tmp_path / "clean", tmp_path / "key")
    done = _maps(session, palpate_inside, "--scan", tmp_path / "clean", "--key", tmp_path / "key")
    assert done.code == 0, done.printed
    copy = pydicom.dcmread(next((tmp_path / "clean").rglob("*.dcm")))
    for image in _made(session):
        for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "DeidentificationMethod"):
            assert image[name].value == copy[name].value
        assert image.StudyInstanceUID == key.identifier(STUDY)


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [("PatientID", "OTHER", True), ("PatientName", "Muster^Max", True), ("PatientName", "MUSTERMANN^ERIKA^^", False)],
)
def test_a_study_of_two_patients_is_refused(
    name: str,
    value: str,
    refused: bool,  # noqa: FBT001 - a parameter of the test
    scan: Path,
    tmp_path: Path,
    palpate_inside: Inside,
) -> None:
    """Maps can join only one of them, and either may be wrong; another way to write one name is no other patient."""
    session = _session(scan, tmp_path, identifiers="retained", key=None)
    edit(scan / "s45" / "0003.ima", lambda image: setattr(image, name, value))
    done = _maps(session, palpate_inside, "--scan", scan)
    assert done.code == (2 if refused else 0), done.printed
    assert (session / "dicom").exists() != refused
    assert value not in done.printed
    if refused:
        assert "images of one study that differ in Patient" in done.printed


@pytest.mark.parametrize(
    ("settings", "said"),
    [('{"uids": "none"}', "maps.identity"), ('{"uids": "keyed", "identity": "scan"}', "another thing")],
)
def test_an_old_setting_that_means_nothing_is_refused(
    settings: str, said: str, scan: Path, tmp_path: Path, palpate_inside: Inside
) -> None:
    """A word that cannot be used must not silently become the default, which names the patient."""
    session = _session(scan, tmp_path, identifiers="retained", key=None)
    done = _maps(session, palpate_inside, "--scan", scan, "--settings", settings)
    assert done.code == 2
    assert said in done.printed
    assert not (session / "dicom").exists()


@pytest.mark.parametrize("own_key", [False, True])
def test_deidentified_scan_keeps_its_identifiers(
    own_key: bool,  # noqa: FBT001 - a parameter of the test
    scan: Path,
    key: Key,
    tmp_path: Path,
    palpate_inside: Inside,
) -> None:
    """Keyed twice they would fit neither the scan nor its de-identified copy; maps lie over the copy that was read."""
    deidentify(scan, tmp_path / "clean", tmp_path / "key")
    session = _session(tmp_path / "clean", tmp_path, **({"key": None} if own_key else {}))
    assert _record(session)["identifiers"] == {"status": "pseudonymised before", "kind": "keyed before"}
    copy = pydicom.dcmread(next((tmp_path / "clean").rglob("*.dcm")))
    assert _record(session)["dicom"]["StudyInstanceUID"] == copy.StudyInstanceUID == key.identifier(STUDY)
    done = _maps(session, palpate_inside, "--scan", tmp_path / "clean")
    assert done.code == 0, done.printed
    for image in _made(session):
        assert image.StudyInstanceUID == copy.StudyInstanceUID
        assert image.FrameOfReferenceUID == copy.FrameOfReferenceUID == key.identifier(FRAME)


def test_own_key_serves_ingest_and_maps(
    scan: Path, tmp_path: Path, palpate_inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any setting a first run makes the key, and the maps' step finds the same one."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    session = _session(scan, tmp_path, key=None)
    made = known_key(None)
    assert made is not None
    assert _record(session)["identifiers"] == {
        "status": "pseudonymised",
        "key_fingerprint": made.fingerprint,
        "kind": "keyed",
    }
    assert _record(session)["dicom"]["StudyInstanceUID"] == made.identifier(STUDY)
    assert _maps(session, palpate_inside, "--scan", scan).code == 0
    assert _made(session)[0].StudyInstanceUID == STUDY
