"""The way in without `palpate deidentify`: what a scan's headers say of a person must not get through ingest either."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from palpate.config.ingest import IngestSettings
from palpate.config.report import ReportSettings
from palpate.imaging.deidentify.facts import clean_facts
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.deidentify.key_file import open_key
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.vocabulary import is_known, known_words
from palpate.imaging.ingest import ingest
from palpate.service.report.page import write_report
from tests.conftest import Outcome
from tests.imaging.planting import MARK, SECRETS, identifiers_in, leaks, not_in_maps, plant, without_place
from tests.imaging.scanner import FRAME, PATIENT, STUDY, Scan, edit, write_mre, write_t1
from tests.imaging.session_files import write_maps

STEM = "sub-01_ses-01"
SMALL = Scan(shape=(8, 6, 3), offsets=4)
NAMED = f"{MARK}_Erika"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MRE and T1 with identifying text everywhere, in files and folders named after the patient."""
    folder = tmp_path_factory.mktemp("planted")
    write_mre(folder / f"mre {NAMED}", SMALL)
    values = np.random.default_rng(0).integers(0, 4000, size=(8, 8, 4)).astype(np.uint16)
    write_t1(folder / f"t1 {NAMED}", values, SMALL, (1.0, 1.0, 1.5))
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for number, file in enumerate(files):
        edit(file, lambda image, number=number: plant(image, everywhere=number in (0, 12, 24)))
        file.rename(file.with_name(f"{NAMED}_{file.name}"))
    return folder


@pytest.mark.parametrize("as_zip", [False, pytest.param(True, marks=pytest.mark.long)])
def test_nothing_planted_passes_the_chain(
    as_zip: bool,  # noqa: FBT001 - a parameter of the test
    planted: Path,
    tmp_path: Path,
    palpate_inside: Callable[..., Outcome],
) -> None:
    """From a full header to wave field and page: files, names and terminal hold nothing of the person.

    DICOM maps carry the scan's patient and study, as an archive needs them, and nothing else of its header.
    """
    given, anatomy = planted / f"mre {NAMED}", planted / f"t1 {NAMED}"
    if as_zip:
        with zipfile.ZipFile(tmp_path / f"{NAMED}.zip", "w") as archive:
            for file in sorted(given.rglob("*.ima")):
                archive.write(file, file.relative_to(planted))
        given = tmp_path / f"{NAMED}.zip"
    session = tmp_path / "results" / "sub-01" / "ses-01"
    done = palpate_inside("ingest", given, "--anatomy", anatomy, "--label", STEM, "--out", session / "wavefield")
    assert done.code == 0, done.printed
    write_maps(session)
    mapped = palpate_inside(
        "maps", session / "mre", "--wavefield", session / "wavefield", "--scan", given, "--out", session / "dicom"
    )
    assert mapped.code == 0, mapped.printed
    write_report(session, session / "report.html", truth=None, settings=ReportSettings(viewer=False))
    assert not_in_maps(leaks(tmp_path / "results")) == []
    own = identifiers_in(planted)
    without_place(session / "dicom", tmp_path / "maps without their place")
    assert leaks(tmp_path / "maps without their place", (*SECRETS, *own)) == []
    for folder in ("wavefield", "mre"):
        assert leaks(session / folder, own) == []
    for page in ("report.html", "report.json"):
        assert not [one for one in own if one in (session / page).read_text()]
    printed = (done.printed + mapped.printed).lower()
    assert not [secret for secret in (*SECRETS, *own) if secret.lower() in printed]
    made = pydicom.dcmread(next((session / "dicom").glob("*.dcm")))
    assert (made.StudyInstanceUID, made.FrameOfReferenceUID, made.PatientName) == (STUDY, FRAME, PATIENT)
    pseudonym = ("--out", session / "pseudonym", "--settings", '{"identity": "pseudonym"}')
    mapped = palpate_inside("maps", session / "mre", "--wavefield", session / "wavefield", *pseudonym)
    assert mapped.code == 0, mapped.printed
    assert leaks(session / "pseudonym", (*SECRETS, *own)) == []


def _spoil(folder: Path, **changes: object) -> None:
    for file in sorted(folder.rglob("*.ima")):
        edit(file, lambda image: [setattr(image, name, value) for name, value in changes.items()])


ERRORS: dict[str, dict[str, object]] = {
    "no phase": {"ImageType": ["ORIGINAL", f"{MARK}P", "MOSAIC"]},
    "unknown position": {"PatientPosition": f"{MARK}POS"},
    "comment that is none": {"ImageComments": f"MRE: {MARK}"},
    "period in words": {"ImageComments": f"MRE: fI[0]dI[0]az[0]po[0]tI[0]VP[{MARK}]"},
    "no orientation": {"ImageOrientationPatient": None},
    "no instance numbers": {"InstanceNumber": None},
    "no spacing": {"PixelSpacing": None},
    "other vendor": {"Manufacturer": f"{MARK} Scanners"},
    "no pixels of that size": {"BitsStored": 99},
}


@pytest.mark.parametrize("what", ERRORS)
def test_refusals_name_nobody(what: str, planted: Path, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """An error is where a program shows what it read; it must show the place and the kind, never the text."""
    given = tmp_path / f"mre {NAMED}"
    shutil.copytree(planted / f"mre {NAMED}", given)
    _spoil(given, **ERRORS[what])
    outcome = palpate_inside("ingest", given, "--label", STEM, "--out", tmp_path / "out")
    assert outcome.code == 2, outcome.printed
    assert not [secret for secret in SECRETS if secret.lower() in outcome.printed.lower()]
    assert not (tmp_path / "out").exists()


def test_text_in_place_of_a_number_is_not_shown() -> None:
    """A header may say that its number is a text; what names the place of an error must not repeat it."""
    header = pydicom.Dataset()
    for tag in (0x00200011, 0x00200013):
        header.add_new(tag, "LO", MARK)
    assert Instance(header, Path("given"), f"{NAMED}.dcm").place == "series ?, instance ?"


def test_damaged_file_with_a_name_is_found_by_its_position(
    tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """Where even the header is unreadable, only the order of the files is left to point at it."""
    write_mre(tmp_path / "in", SMALL)
    file = tmp_path / "in" / "s45" / "0005.ima"
    file.write_bytes(file.read_bytes()[:400])
    file.rename(file.with_name(f"0005{NAMED}.ima"))
    outcome = palpate_inside("ingest", tmp_path / "in", "--label", STEM, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "file 5 in the order of names" in outcome.printed
    assert MARK not in outcome.printed


def test_keyed_identifiers_join_the_deidentified_study(tmp_path: Path) -> None:
    """Maps with keyed identifiers must belong to what `palpate deidentify` wrote with the same key, and to no other."""
    write_mre(tmp_path / "in", SMALL)
    key = open_key(tmp_path / "key", away_from=tmp_path / "out")
    settings = IngestSettings(key=tmp_path / "key")
    ingest(tmp_path / "in", STEM, tmp_path / "out", anatomy=None, settings=settings)
    deidentify(tmp_path / "in", tmp_path / "clean", tmp_path / "key")
    record = json.loads((tmp_path / "out" / f"{STEM}_ingest.json").read_text())
    image = pydicom.dcmread(next((tmp_path / "clean").rglob("*.dcm")))
    assert record["dicom"]["StudyInstanceUID"] == image.StudyInstanceUID == key.identifier(STUDY)
    assert record["dicom"]["FrameOfReferenceUID"] == image.FrameOfReferenceUID
    everything = {str(one.value) for path in (tmp_path / "clean").rglob("*.dcm") for one in pydicom.dcmread(path)}
    assert {record["dicom"][name] for name in ("SeriesInstanceUID", "SOPInstanceUID")} <= everything
    assert leaks(tmp_path / "out", (*identifiers_in(tmp_path / "in"), str(tmp_path))) == []


@pytest.mark.parametrize("settings", ['{"identifiers": "none"}', '{"identifiers": "pseudonymised", "key": "."}'])
def test_choice_that_is_none_is_refused(settings: str, tmp_path: Path, palpate_inside: Callable[..., Outcome]) -> None:
    """A word or a key that cannot be used must not silently become the default."""
    write_mre(tmp_path / "in", SMALL)
    given = ("--label", STEM, "--out", tmp_path / "out", "--settings", settings)
    assert palpate_inside("ingest", tmp_path / "in", *given).code == 2
    assert not (tmp_path / "out").exists()


def test_another_laboratorys_header_is_not_copied(tmp_path: Path) -> None:
    """NIfTI headers have room for text as well."""
    write_mre(tmp_path / "in", SMALL)
    ingest(tmp_path / "in", STEM, tmp_path / "field", anatomy=None, settings=IngestSettings())
    path = tmp_path / "field" / f"{STEM}_magnitude.nii.gz"
    image = nib.load(path)
    image.header["descrip"] = MARK.encode()
    nib.save(nib.Nifti1Image(image.get_fdata(), image.affine, image.header), path)
    ingest(tmp_path / "field", STEM, tmp_path / "out", anatomy=None, settings=IngestSettings())
    assert leaks(tmp_path / "out") == []


def test_facts_of_any_reader_are_filtered() -> None:
    """A new vendor's reader may hand on what it likes; what is not known does not reach a record."""
    facts = {
        "reader": "a new one",
        "acquisition": {
            "Manufacturer": "SIEMENS",
            "ManufacturerModelName": MARK,
            "EchoTime": 65.0,
            "StationName": MARK,
        },
        "dicom": {"StudyInstanceUID": f"1.2.{MARK}", "SOPClassUID": MARK, "BodyPartExamined": "BRAIN"},
    }
    assert clean_facts(facts, None) == {
        "reader": "a new one",
        "acquisition": {"Manufacturer": "SIEMENS", "EchoTime": 65.0},
        "dicom": {"StudyInstanceUID": "", "SOPClassUID": "", "BodyPartExamined": "BRAIN"},
    }


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ManufacturerModelName", "Prisma_fit"),
        ("ManufacturerModelName", "DISCOVERY MR750"),
        ("ManufacturerModelName", "Ingenia Elition X"),
        ("SoftwareVersions", "syngo MR E11"),
        ("SoftwareVersions", "MR Software release:DV25.1_R01_1617.b"),
        ("SoftwareVersions", "5.7.1"),
        ("SequenceName", "*epse2d1_108"),
        ("ImageComments", "MRE: fI[0]dI[0]az[189]po[178]tI[6]VP[50000]TC[0;39940;29980;19920]"),
    ],
)
def test_real_headers_pass(keyword: str, value: str) -> None:
    """A vocabulary that knows too little costs the record its scanner; one that knows too much passes names."""
    assert is_known(keyword, value)
    assert not is_known(keyword, f"{value} Erika")
    assert known_words("mre_noInv Mustermann 19600102") == "mre noinv"
