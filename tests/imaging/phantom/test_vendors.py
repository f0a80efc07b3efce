"""What holds for every vendor's layout of a patient: the same wave field, valid DICOM, found anywhere, nobody named."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings, Vendor
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.grid import block, rotation
from palpate.imaging.phantom.study import write_study
from palpate.imaging.phantom.tissue import Head
from palpate.imaging.phantom.vendors import WRITERS
from palpate.imaging.wavefield import WaveField
from tests.conftest import Outcome
from tests.imaging.phantom.conftest import Vibration, crossing_waves
from tests.imaging.planting import MARK, SECRETS, identifiers_in, leaks, plant
from tests.imaging.scanner import edit

VENDORS: tuple[Vendor, ...] = get_args(Vendor.__value__)
MANY_FILES = ("ge", "ge-brain", "philips")
"""Layouts with the most files: what changes every file of these runs with the long tests."""
FEW_FILES_FIRST = [
    pytest.param(vendor, marks=pytest.mark.long) if vendor in MANY_FILES else vendor for vendor in VENDORS
]
SIEMENS_FIRST = [vendor if vendor == "siemens" else pytest.param(vendor, marks=pytest.mark.long) for vendor in VENDORS]
"""The same for what plants text into every file: the long tests do it for the other vendors."""
STEM = "sub-01_ses-01"
TILTED, OBLIQUE = (4.0, -3.0, 6.0), (35.0, -20.0, 50.0)
"""Turns of the slices about R, A and S, degrees."""
QUIET: Mapping[str, object] = {"noise_percent": 0.0, "motion_rad": 0.0, "background_rad": 1.6}
NAMED = f"{MARK}_Erika"
PERSON = {"PatientName": "Mustermann^Erika", "PatientID": "MUSTER77", "PatientBirthDate": "19600102"}


def tilted(vibration: Vibration, shape: tuple[int, int, int], degrees: tuple[float, float, float]) -> Vibration:
    """The same crossing waves on a block of another size, its slices turned about R, A and S."""
    axes = rotation(degrees) @ np.diag([-1.0, -1.0, 1.0])
    grid = block(np.array([-12.0, 5.0, 20.0]), axes, shape, 2.0)
    points = grid.points_mm
    waves = np.exp(-0.2j * points[..., :1]) * [0, 6, 4j] + np.exp(-0.18j * points[..., 2:]) * [5j, 3, 0]
    return replace(vibration, grid=grid, displacement_m=1e-6 * waves)


def few_voxels() -> Vibration:
    """Few oblique voxels and a small head, for laws that need many files changed."""
    vibration = crossing_waves()
    head: Head = replace(vibration.head, **{name: _core(vibration, name) for name in ("t1", "brain", "magnitude")})
    return replace(tilted(vibration, (6, 5, 2), (10.0, -20.0, 30.0)), head=head)


def _core(vibration: Vibration, name: str) -> np.ndarray:
    """A property of the head, zero outside of the imaged block and its surroundings."""
    values = getattr(vibration.head, name)
    kept = np.zeros_like(values)
    kept[18:42, 18:42, 12:28] = values[18:42, 18:42, 12:28]
    return kept


@pytest.fixture
def small() -> Vibration:
    """An oblique scan of few voxels."""
    return few_voxels()


def write(root: Path, vendor: Vendor, vibration: Vibration, **changes: object) -> tuple[Path, IngestSettings]:
    """Write the study of one vendor; its session, and what to tell a reader."""
    root.mkdir(parents=True)
    settings: PhantomSettings = vibration.settings.model_copy(update={**QUIET, **changes, "vendor": vendor})
    write_study(root, settings, vibration.head, vibration.grid, vibration.displacement_m)
    session = root / "sub-01" / "ses-01"
    record = json.loads((session / "truth" / "truth.json").read_text())
    return session, IngestSettings.model_validate(record["ingest"])


def read(given: Path, out: Path, settings: IngestSettings) -> WaveField:
    """The one wave field of a folder."""
    (field,) = ingest(given, STEM, out, anatomy=None, settings=settings)
    return field


def test_every_vendor_that_can_be_chosen_has_a_writer() -> None:
    """The laws below run over the names that the settings accept."""
    assert set(VENDORS) == set(WRITERS)


@pytest.mark.parametrize(
    ("degrees", "offsets"),
    [
        pytest.param(TILTED, 4, marks=pytest.mark.long),
        pytest.param(TILTED, 8, marks=pytest.mark.long),
        pytest.param(OBLIQUE, 4),
        pytest.param(OBLIQUE, 8, marks=pytest.mark.long),
    ],
    ids=["tilted-4", "tilted-8", "oblique-4", "oblique-8"],
)
@pytest.mark.parametrize("vendor", VENDORS)
def test_the_wave_field_is_the_truth(
    vendor: Vendor, degrees: tuple[float, float, float], offsets: int, vibration: Vibration, tmp_path: Path
) -> None:
    """The whole way to metres, before noise: wraps, free-running slices, the MENC of a difference, to 1e-3 of max |U|.

    A study over several hospitals must not see in its wave fields which scanner they came from.
    """
    turned = tilted(vibration, (12, 11, 5), degrees)
    session, told = write(tmp_path / "study", vendor, turned, offsets=offsets)
    assert json.loads((session / "truth" / "truth.json").read_text())["wrapped_share"] > 0.01
    found = read(session / "dicom" / "mre", tmp_path / "out", told)
    (truth,) = read_wave_fields(session / "truth" / "wavefield")
    assert np.array_equal(found.mask, truth.mask)
    assert found.affine_mm == pytest.approx(truth.affine_mm, abs=1e-5)
    assert found.frequency_hz == truth.frequency_hz
    error = np.abs(found.displacement_m - truth.displacement_m).max() / np.abs(truth.displacement_m).max()
    assert error < 1e-3


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("vendor", VENDORS)
def test_every_file_is_valid_dicom(vendor: Vendor, small: Vibration, tmp_path: Path) -> None:
    """Viewers and archives must accept the patient, whichever scanner it pretends to come from: every single file."""
    session, _ = write(tmp_path / "study", vendor, small, offsets=4)
    files = [path for path in sorted((session / "dicom").rglob("*")) if path.is_file()]
    assert {path.parent.name for path in files} >= {"t1"}
    for path in files:
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        said = done.stderr + done.stdout
        assert "MRImage" in said.replace(" ", ""), said
        assert "Error" not in said, said


def _beside(source: Path, folder: Path, **changes: object) -> None:
    """The images of a series once more, as another series: identifiers of their own, and changes."""
    folder.mkdir(parents=True)
    for number, path in enumerate(sorted(source.iterdir()), start=1):
        image = pydicom.dcmread(path)
        series = f"1.2.3.4.{len(folder.name)}.{sum(folder.name.encode())}"
        image.SeriesInstanceUID, image.SOPInstanceUID = series, f"{series}.{number}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        for name, value in changes.items():
            setattr(image, name, value)
        image.save_as(folder / path.name, enforce_file_format=True)


def _mess(session: Path, home: Path) -> None:
    """An archive's export: the MRE and its copy, a T1, a localiser, screen saves, another study, another patient."""
    mre, t1 = session / "dicom" / "mre", session / "dicom" / "t1"
    shutil.copytree(mre, home / "a")
    shutil.copytree(mre, home / "copy of a")
    shutil.copytree(t1, home / "t1")
    maker = pydicom.dcmread(next(path for path in sorted(mre.rglob("*")) if path.is_file())).Manufacturer
    _beside(t1, home / "localiser", SeriesNumber=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], Manufacturer=maker)
    # A map of the main field: magnitude and phase of one moment, which is no elastography.
    for kind, number in (("M", 14), ("P", 15)):
        _beside(
            t1, home / f"field map {kind}", SeriesNumber=number, Manufacturer=maker,
            ImageType=["ORIGINAL", "PRIMARY", f"{kind}_FFE", kind, "FFE"], RescaleSlope=1, RescaleIntercept=-400,
            RescaleType="mrad", SeriesDescription="b0 map",
        )  # fmt: skip
    _beside(t1, home / "saves", SeriesNumber=99, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT")
    _beside(t1, home / "marked", SeriesNumber=98, BurnedInAnnotation="YES")
    _beside(
        t1, home / "earlier", SeriesNumber=12, StudyInstanceUID="1.2.3.4.77", FrameOfReferenceUID="1.2.3.4.79",
        StudyDate="20200102", AcquisitionDate="20200102",
    )  # fmt: skip
    _beside(t1, home / "other", SeriesNumber=12, StudyInstanceUID="1.2.3.4.78", PatientID="OTHER99")
    (home / "report.txt").write_text("Erika Mustermann")


@pytest.mark.parametrize("vendor", FEW_FILES_FIRST)
def test_mre_is_found_in_an_archives_export(vendor: Vendor, small: Vibration, tmp_path: Path) -> None:
    """Whatever lies beside the MRE, the result is that of the MRE's own folder, and a table accounts for the rest."""
    session, told = write(tmp_path / "study", vendor, small, offsets=4)
    alone = read(session / "dicom" / "mre", tmp_path / "alone", told)
    _mess(session, tmp_path / "export")
    found = read(tmp_path / "export", tmp_path / "out", told)
    np.testing.assert_array_equal(found.displacement_m, alone.displacement_m)
    lines = (tmp_path / "out" / f"{STEM}_series.tsv").read_text().splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    slices = len(list((session / "dicom" / "t1").iterdir()))
    images = sum(path.is_file() for path in (session / "dicom" / "mre").rglob("*"))
    taken = [row for row in rows if row["reason"].startswith("MRE, read as ")]
    assert sum(int(row["images"]) for row in taken) == images
    left = {row["series"]: (int(row["images"]), row["reason"]) for row in rows if row["role"] == "left out"}
    assert left == {
        "1": (slices, "localiser"),
        "12": (slices, "no part of the MRE"),
        "14": (slices, "no part of the MRE"),
        "15": (slices, "no part of the MRE"),
        "98": (slices, "burned-in text"),
        "99": (slices, "no MR image, such as a screen save or a report"),
        "n/a": (2 * slices, "another patient or study, without MRE"),
    }


@dataclass(frozen=True)
class Planted:
    """A vendor's study with identifying text in every place of its headers, and in the names of files and folders.

    Attributes:
        mre: folder.
        t1: folder.
        told: what a reader must be told.
    """

    mre: Path
    t1: Path
    told: IngestSettings


@pytest.fixture(scope="module", params=SIEMENS_FIRST)
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Such a study of each vendor."""
    session, told = write(tmp_path_factory.mktemp("planted") / "study", request.param, few_voxels(), offsets=4)
    folders = []
    for folder in (session / "dicom" / "mre", session / "dicom" / "t1"):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for file in files:
            everywhere = file in (files[0], files[-1])
            edit(file, lambda image, everywhere=everywhere: _plant(image, everywhere=everywhere))
            file.rename(file.with_name(f"{NAMED}_{file.name}"))
        for inner in [path for path in folder.iterdir() if path.is_dir()]:
            inner.rename(inner.with_name(f"{inner.name} {NAMED}"))
        folders.append(folder.rename(folder.with_name(f"{folder.name} {NAMED}")))
    return Planted(*folders, told)


def _plant(image: pydicom.Dataset, *, everywhere: bool) -> None:
    for name, value in PERSON.items():
        setattr(image, name, value)
    # What the phantom says of itself is no secret, and would keep the place from which a person's text could come.
    del image.PatientComments, image.StudyDescription
    plant(image, everywhere=everywhere)


def test_nothing_planted_passes_any_vendors_reader(
    planted: Planted, tmp_path: Path, palpate_inside: Callable[..., Outcome]
) -> None:
    """Each reader gathers facts of its own; none of them may carry a person into files, names or the terminal."""
    outcome = palpate_inside(
        "ingest", planted.mre, "--anatomy", planted.t1, "--label", STEM,
        "--settings", planted.told.model_dump_json(), "--out", tmp_path / "out",
    )  # fmt: skip
    assert outcome.code == 0, outcome.printed
    secrets = (*SECRETS, *identifiers_in(planted.mre), *identifiers_in(planted.t1))
    assert leaks(tmp_path / "out", secrets) == []
    assert not [secret for secret in secrets if secret.lower() in outcome.printed.lower()]


def test_deidentified_scans_give_the_same_wave_field(planted: Planted, tmp_path: Path) -> None:
    """The allow-list must hold what each vendor's reader needs, to the last bit of the wave field, and no more."""
    deidentify(planted.mre, tmp_path / "clean", tmp_path / "key", subject="01")
    assert leaks(tmp_path / "clean") == []
    before = read(planted.mre, tmp_path / "before", planted.told)
    after = read(tmp_path / "clean", tmp_path / "after", planted.told)
    np.testing.assert_array_equal(after.displacement_m, before.displacement_m)
    np.testing.assert_array_equal(after.mask, before.mask)
    np.testing.assert_array_equal(after.affine_mm, before.affine_mm)
    assert after.frequency_hz == before.frequency_hz


def _cut(files: list[Path]) -> None:
    files[-1].write_bytes(files[-1].read_bytes()[:-100])


def _no_bits(files: list[Path]) -> None:
    for file in files:
        edit(file, lambda image: setattr(image, "BitsStored", 99))


def _no_maker(files: list[Path]) -> None:
    for file in files:
        edit(file, lambda image: setattr(image, "Manufacturer", f"{MARK} Scanners"))


@pytest.mark.parametrize("spoil", [_cut, _no_bits, _no_maker])
def test_no_vendors_reader_names_a_person_in_a_refusal(
    spoil: Callable[[list[Path]], None],
    planted: Planted,
    tmp_path: Path,
    palpate_inside: Callable[..., Outcome],
) -> None:
    """An error is where a program shows what it read, and each reader has its own."""
    given = tmp_path / planted.mre.name
    shutil.copytree(planted.mre, given)
    spoil(sorted(path for path in given.rglob("*") if path.is_file()))
    told = ("--settings", planted.told.model_dump_json())
    outcome = palpate_inside("ingest", given, "--label", STEM, "--out", tmp_path / "out", *told)
    assert outcome.code == 2, outcome.printed
    assert not [secret for secret in SECRETS if secret.lower() in outcome.printed.lower()]
    assert not (tmp_path / "out").exists()
