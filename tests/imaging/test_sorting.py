"""A folder as an archive exports it: the MRE of one patient is found in it, and everything else is named and left."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.dicom.files import read_instances
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.ingest import ingest
from tests.conftest import Outcome
from tests.imaging.planting import SECRETS
from tests.imaging.scanner import Scan, edit, write_mre, write_t1

STEM = "sub-01_ses-01"
SMALL = Scan(shape=(8, 6, 3), offsets=3)
SLICES = np.random.default_rng(0).integers(0, 4000, size=(8, 8, 4)).astype(np.uint16)


def _series(folder: Path, number: int, **changes: object) -> None:
    """An ordinary series beside the MRE, of the same patient and study unless told otherwise."""
    write_t1(folder, SLICES, SMALL, (1.0, 1.0, 1.5))
    uids = {"SeriesNumber": number, "SeriesInstanceUID": f"1.2.3.4.3.{number}"}
    for n, file in enumerate(sorted(folder.glob("*.dcm"))):
        given = uids | {"SOPInstanceUID": f"1.2.3.4.5.{number}.{n}"} | changes
        edit(file, lambda image, given=given: [setattr(image, name, value) for name, value in given.items()])


def _mess(folder: Path) -> None:
    """What an archive puts beside the MRE."""
    write_mre(folder / "a", SMALL)
    _series(folder / "b", 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesDescription="Erika loc")
    _series(folder / "c", 7, SeriesDescription="t1_mprage_sag Mustermann")
    _series(folder / "d", 99, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT", SeriesDescription="Mustermann")
    _series(folder / "e", 5, StudyInstanceUID="1.2.3.4.77")
    _series(folder / "f", 6, PatientID="OTHER99", PatientName="Fremd^Frieda", StudyInstanceUID="1.2.3.4.78")
    shutil.copytree(folder / "a", folder / "copy of a")
    (folder / "report.txt").write_text("Erika Mustermann")
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    directory = pydicom.Dataset()
    directory.file_meta = pydicom.dataset.FileMetaDataset()
    directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    directory.SOPClassUID, directory.SOPInstanceUID = "1.2.840.10008.1.3.10", "1.2.3.4.6"
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)


def test_mre_is_found_in_an_archives_export(tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """Nobody sorts by hand what an archive exports; the result must be that of the MRE's own folder, bit by bit."""
    _mess(tmp_path / "in")
    write_mre(tmp_path / "alone", SMALL)
    outcome = palpate_inside("ingest", tmp_path / "in", "--label", STEM, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.printed
    ingest(tmp_path / "alone", STEM, tmp_path / "expected", anatomy=None, settings=IngestSettings())
    for part in ("real", "imag"):
        name = f"{STEM}_acq-50Hz_part-{part}_wavefield.nii.gz"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    table = (tmp_path / "out" / f"{STEM}_series.tsv").read_text()
    assert not [one for one in (*SECRETS, "OTHER99", "Frieda") if one.lower() in (table + outcome.printed).lower()]
    rows = {row["series"]: row for row in csv.DictReader(table.splitlines(), delimiter="\t")}
    roles = {number: row["role"] for number, row in rows.items()}
    assert roles == {
        "45": "magnitude", "46": "phase", "1": "left out", "7": "left out", "99": "left out", "n/a": "left out",
    }  # fmt: skip
    assert [rows[number]["images"] for number in ("45", "46", "7", "n/a")] == ["9", "9", "4", "8"]
    assert rows["1"]["reason"] == "localiser"
    assert (rows["7"]["description"], rows["1"]["description"]) == ("t1 mprage sag", "loc")
    assert "9 images" in outcome.printed


@pytest.mark.parametrize(
    ("part", "changes", "told"),
    [
        ("s45", {"PatientID": "OTHER99", "PatientName": "Fremd^Frieda"}, "two persons: .*Patient ID, Patient's Name"),
        ("half of s45", {"PatientID": "OTHER99"}, "two persons: .*Patient ID"),
        ("half of s46", {"PatientID": "OTHER99"}, "2 persons .*Patient ID"),
        ("s45", {"StudyInstanceUID": "1.2.3.4.79"}, "two studies of one person: .*Study Instance UID"),
    ],
)
def test_a_pair_of_two_identities_is_called_so(part: str, changes: dict[str, str], told: str, tmp_path: Path) -> None:
    """The words "without magnitude" send people to look for images that lie there, under another name."""
    write_mre(tmp_path, SMALL)
    files = sorted((tmp_path / part[-3:]).rglob("*.ima"))
    for file in files[:: 2 if part.startswith("half") else 1]:
        edit(file, lambda image: [setattr(image, name, value) for name, value in changes.items()])
    with pytest.raises(InputError) as refused:
        read_acquisitions(tmp_path)
    said = str(refused.value)
    assert re.search(told, said), said
    assert "without magnitude" not in said
    assert not [one for one in (*SECRETS, "OTHER99", "Frieda") if one.lower() in said.lower()]


def test_anatomy_has_its_line(tmp_path: Path) -> None:
    """The table accounts for every image that was taken, wherever it came from."""
    write_mre(tmp_path / "in", SMALL)
    _series(tmp_path / "t1", 7)
    ingest(tmp_path / "in", STEM, tmp_path / "out", anatomy=tmp_path / "t1", settings=IngestSettings())
    table = (tmp_path / "out" / f"{STEM}_series.tsv").read_text().splitlines()
    assert table[-1].split("\t")[:5] == ["7", "MR", "n/a", "4", "anatomy"]
    record = json.loads((tmp_path / "out" / f"{STEM}_ingest.json").read_text())
    assert record["anatomy"]["series_number"] == 7


def test_copies_count_once(tmp_path: Path) -> None:
    """Archives hand out files twice; a copy is no second image, and no reason to refuse."""
    write_mre(tmp_path / "in", SMALL)
    shutil.copytree(tmp_path / "in" / "s45", tmp_path / "in" / "again")
    assert len(read_instances(tmp_path / "in")) == 18


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "two patients": ({"PatientID": "OTHER99"}, "2 persons"),
    "two names": ({"PatientName": "Fremd^Frieda"}, "2 persons"),
    "two birth dates": ({"PatientBirthDate": "19991231"}, "2 persons"),
    "two patients and studies": ({"PatientID": "OTHER99", "StudyInstanceUID": "1.2.3.9"}, "Study Instance UID"),
    "two studies": ({"StudyInstanceUID": "1.2.3.9"}, "2 studies of one person"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_mre_of_two_is_refused(what: str, tmp_path: Path) -> None:
    """A choice between two patients must never be made by a program, and the refusal must name neither."""
    write_mre(tmp_path / "in" / "a", SMALL)
    write_mre(tmp_path / "in" / "b", Scan(shape=(8, 6, 3), offsets=3, series=47, seed=5, extra=REFUSED[what][0]))
    with pytest.raises(InputError, match=REFUSED[what][1]) as refused:
        read_acquisitions(tmp_path / "in")
    assert not [one for one in (*SECRETS, "OTHER99", "Frieda", "19991231") if one.lower() in str(refused.value).lower()]


def test_image_twice_under_another_number_is_refused(tmp_path: Path) -> None:
    """One offset cannot be there twice; whichever were taken, the other might have been the right one."""
    write_mre(tmp_path / "in", SMALL)
    shutil.copy(tmp_path / "in" / "s46" / "0002.ima", tmp_path / "in" / "s46" / "0012.ima")
    edit(tmp_path / "in" / "s46" / "0012.ima", lambda image: setattr(image, "InstanceNumber", 12))
    with pytest.raises(InputError, match="12"):
        read_acquisitions(tmp_path / "in")
