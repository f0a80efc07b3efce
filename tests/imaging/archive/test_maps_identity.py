"""Maps in a real archive: they join the original study or stand beside it, and never make it unreachable.

An archive indexes by patient and study: a file that names one of them and not the other breaks both.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests

from palpate.config.ingest import IngestSettings
from palpate.imaging.ingest import ingest
from tests.conftest import Outcome
from tests.imaging.archive.conftest import Ports, running_orthanc, send
from tests.imaging.scanner import STUDY, Scan, edit, write_mre, write_t1
from tests.imaging.session_files import write_maps

STEM = "sub-01_ses-01"
PERSON = {
    "SpecificCharacterSet": "ISO_IR 100",
    "PatientName": "Müller-Lüdenscheidt^Zoë",
    "IssuerOfPatientID": "Ward 7",
    "PatientSex": "F",
    "StudyDate": "20260304",
    "StudyTime": "091500",
    "StudyID": "77",
    "AccessionNumber": "A-17",
    "ReferringPhysicianName": "Ångström^Åsa",
    "StudyDescription": "Schädel",
}

type Inside = Callable[..., Outcome]


@dataclass(frozen=True)
class Filed:
    """An archive with one study, and the session that was made from it."""

    ports: Ports
    scan: Path
    session: Path

    def listed(self, level: str) -> set[str]:
        """What the archive holds of patients, studies or instances."""
        return set(self._get(f"/{level}").json())

    def files(self) -> dict[str, bytes]:
        """Every file in the archive."""
        return {one: self._get(f"/instances/{one}/file").content for one in self.listed("instances")}

    def metadata(self, study: str) -> requests.Response:
        """What DICOMweb answers of a study."""
        return requests.get(f"{self.ports.root}/dicom-web/studies/{study}/metadata", timeout=30)

    def maps(self, palpate_inside: Inside, out: str, *arguments: object) -> list[pydicom.Dataset]:
        """Write maps, send them, and return their headers."""
        folder = self.session / out
        wavefield = self.session / "wavefield"
        done = palpate_inside("maps", self.session / "mre", "--wavefield", wavefield, "--out", folder, *arguments)
        assert done.code == 0, done.printed
        send(self.ports, folder)
        return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]

    def _get(self, path: str) -> requests.Response:
        answer = requests.get(f"{self.ports.root}{path}", timeout=30)
        answer.raise_for_status()
        return answer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of a person with umlauts, MRE and T1, ingested and inverted."""
    home = tmp_path_factory.mktemp("maps in an archive")
    scan = Scan(shape=(8, 6, 3), offsets=4)
    write_mre(home / "scan" / "mre", scan)
    values = np.random.default_rng(0).integers(0, 4000, size=(8, 8, 4)).astype(np.uint16)
    write_t1(home / "scan" / "t1", values, scan, (1.0, 1.0, 1.5))
    for path in sorted(path for path in (home / "scan").rglob("*") if path.is_file()):
        edit(path, lambda image: [setattr(image, name, value) for name, value in PERSON.items()])
    session = home / "results" / "sub-01" / "ses-01"
    ingest(home / "scan" / "mre", STEM, session / "wavefield", anatomy=None, settings=IngestSettings())
    write_maps(session)
    return home


@pytest.fixture
def filed(home: Path, tmp_path: Path) -> Iterator[Filed]:
    """The scan in an archive that holds nothing else."""
    with running_orthanc(tmp_path) as ports:
        send(ports, home / "scan")
        yield Filed(ports, home / "scan" / "mre", home / "results" / "sub-01" / "ses-01")


def test_maps_join_the_original_study(filed: Filed, palpate_inside: Inside) -> None:
    """As many studies as before, one patient, the original readable and unchanged; sent again, nothing new."""
    before, studies = filed.files(), filed.listed("studies")
    described = filed.metadata(STUDY)
    assert described.status_code == 200
    maps = filed.maps(palpate_inside, "dicom", "--scan", filed.scan)
    assert (len(studies), filed.listed("studies"), len(filed.listed("patients"))) == (1, studies, 1)
    after = filed.files()
    assert {one: after[one] for one in before} == before
    assert len(after) == len(before) + len(maps) == len(before) + 4
    answer = filed.metadata(STUDY)
    assert answer.status_code == 200
    assert len(answer.json()) == len(described.json()) + 4
    names = {str(one["00100010"]["Value"][0]) for one in answer.json()}
    assert names == {str({"Alphabetic": PERSON["PatientName"]})}
    for image in maps:
        assert {name: str(image[name].value) for name in PERSON} == PERSON
    filed.maps(palpate_inside, "again", "--scan", filed.scan)
    assert filed.listed("instances") == set(after)


def test_maps_under_a_pseudonym_stand_beside_it(filed: Filed, palpate_inside: Inside) -> None:
    """A second study of a second patient, who is nobody; the original is untouched and readable."""
    before = filed.files()
    maps = filed.maps(palpate_inside, "pseudonym", "--settings", '{"identity": "pseudonym"}')
    assert (len(filed.listed("studies")), len(filed.listed("patients"))) == (2, 2)
    after = filed.files()
    assert {one: after[one] for one in before} == before
    for study in (STUDY, maps[0].StudyInstanceUID):
        assert filed.metadata(study).status_code == 200
    assert not any(value.encode("latin-1") in after[one] for one in set(after) - set(before) for value in _telling())


def _telling() -> list[str]:
    """What of the person would give her away."""
    return ["Zoë", "Müller", "MUSTER77", "Ward 7", "Ångström", "A-17", STUDY]


@pytest.mark.skipif(not Path("/usr/bin/dciodvfy").exists(), reason="needs dciodvfy (Debian: dicom3tools)")
def test_a_whole_identity_breaks_no_rule(home: Path, tmp_path: Path, palpate_inside: Inside) -> None:
    """What is copied from a scan must be at home in a Parametric Map; dciodvfy knows the standard's tables."""
    session = home / "results" / "sub-01" / "ses-01"
    given = ("--wavefield", session / "wavefield", "--scan", home / "scan" / "mre", "--out", tmp_path / "dicom")
    done = palpate_inside("maps", session / "mre", *given)
    assert done.code == 0, done.printed
    for path in sorted((tmp_path / "dicom").glob("*.dcm")):
        judged = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert not [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]
