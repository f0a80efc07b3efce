"""Identifiers that archives rewrote: the images are sorted by what the physics needs, and never two series into one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.grouping import COPIES, SAME_IDENTIFIER, SPLIT_SERIES, SPLIT_STUDY
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.dicom_out.dicom_source import dicom_source
from palpate.imaging.ingest import ingest
from tests.imaging.scanner import Scan, edit, write_mre, write_t1
from tests.imaging.transfer import recompress

SMALL = Scan(shape=(8, 6, 3), offsets=4)
VALUES = np.random.default_rng(0).integers(0, 4000, size=(8, 8, 6)).astype(np.uint16)

type Change = Callable[[pydicom.Dataset], object]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _set(**values: Callable[[pydicom.Dataset], object]) -> Change:
    return lambda image: [setattr(image, name, value(image)) for name, value in values.items()]


def _uid(image: pydicom.Dataset) -> str:
    return f"1.2.9.{image.SeriesNumber}.{image.InstanceNumber}"


# How archives rewrite identifiers and names, and how that is told.
REWRITTEN: dict[str, tuple[Change, str]] = {
    "a series over two identifiers": (
        _set(SeriesInstanceUID=lambda image: f"1.2.9.{image.SeriesNumber}.{int(image.InstanceNumber > 5)}"),
        SPLIT_SERIES,
    ),
    "a series identifier for each image": (_set(SeriesInstanceUID=_uid), SPLIT_SERIES),
    "no series identifier": (_set(SeriesInstanceUID=lambda _: ""), ""),
    "a study identifier for each volume": (
        _set(StudyInstanceUID=lambda image: f"1.2.9.{image.InstanceNumber}"),
        SPLIT_STUDY,
    ),
    "a study identifier for each image": (_set(StudyInstanceUID=_uid), SPLIT_STUDY),
    "a study identifier for each magnitude image": (
        _set(StudyInstanceUID=lambda image: _uid(image) if image.SeriesNumber == 45 else image.StudyInstanceUID),
        SPLIT_STUDY,
    ),
    "phase and magnitude as one series": (_set(SeriesNumber=lambda _: 45, SeriesInstanceUID=lambda _: "1.2.9.45"), ""),
    "study and series identifiers for each image": (_set(StudyInstanceUID=_uid, SeriesInstanceUID=_uid), SPLIT_STUDY),
    "one identifier for all images": (_set(SOPInstanceUID=lambda _: "1.2.9.1"), SAME_IDENTIFIER),
    "carets in names": (
        _set(
            PatientName=lambda image: ("Mustermann^Erika", "MUSTERMANN^ERIKA^^^", "Mustermann Erika")[
                image.InstanceNumber % 3
            ]
        ),
        "",
    ),
    "names on some images only": (
        _set(PatientName=lambda image: "" if image.InstanceNumber % 2 else "Mustermann^Erika"),
        "",
    ),
}


@pytest.fixture(scope="module")
def mre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scan, not to be changed."""
    folder = tmp_path_factory.mktemp("scan") / "mre"
    write_mre(folder, SMALL)
    return folder


@pytest.fixture(scope="module")
def expected(mre: Path) -> PhaseAcquisition:
    """What the scan gives with the scanner's identifiers."""
    return read_acquisitions(mre)[0][0]


@pytest.mark.parametrize("what", REWRITTEN)
def test_rewritten_identifiers_change_nothing(what: str, tmp_path: Path, mre: Path, expected: PhaseAcquisition) -> None:
    """Identifiers carry no physics: the phase must be that of the scanner's own files, to the last bit."""
    shutil.copytree(mre, tmp_path / "in")
    change, told = REWRITTEN[what]
    for file in _files(tmp_path / "in"):
        edit(file, change)
    (read,), export = read_acquisitions(tmp_path / "in")
    np.testing.assert_array_equal(read.phase_rad, expected.phase_rad)
    np.testing.assert_array_equal(read.magnitude, expected.magnitude)
    reasons = {row.reason for row in export.rows([read]) if row.role == "joined"}
    assert told in reasons if told else not reasons


@pytest.mark.parametrize("what", ["a series over two identifiers", "study and series identifiers for each image"])
def test_rewritten_anatomy_is_whole(what: str, tmp_path: Path) -> None:
    """A planner sees the stiffness on all slices of the T1, whatever they were called."""
    write_t1(tmp_path / "t1", VALUES, SMALL, (1.0, 1.0, 1.5))
    for file in _files(tmp_path / "t1"):
        edit(file, REWRITTEN[what][0])
    np.testing.assert_array_equal(read_anatomy(tmp_path / "t1").volume.values, VALUES)


def test_copies_with_another_wrapping_are_used_once(tmp_path: Path, mre: Path, expected: PhaseAcquisition) -> None:
    """An archive hands out one image twice, compressed and plain or under two identifiers: it is one measurement."""
    shutil.copytree(mre, tmp_path / "in")
    shutil.copytree(mre / "s46", tmp_path / "in" / "compressed")
    shutil.copytree(mre / "s45", tmp_path / "in" / "renamed")
    for file in _files(tmp_path / "in" / "compressed"):
        recompress(file, "JPEG Lossless")
    for file in _files(tmp_path / "in" / "renamed"):
        edit(file, _set(SOPInstanceUID=_uid, SeriesInstanceUID=lambda _: "1.2.9.77"))
    (read,), export = read_acquisitions(tmp_path / "in")
    np.testing.assert_array_equal(read.phase_rad, expected.phase_rad)
    assert [row.images for row in export.rows([read]) if row.reason == COPIES] == [24]


def test_runs_of_one_protocol_stay_apart(tmp_path: Path) -> None:
    """Two runs differ in nothing but number and noise; as one series they would have every offset twice."""
    write_mre(tmp_path / "in" / "a", SMALL)
    write_mre(tmp_path / "in" / "b", Scan(shape=(8, 6, 3), offsets=4, series=47, seed=3))
    for file in _files(tmp_path / "in"):
        edit(file, _set(SeriesInstanceUID=_uid))
    acquisitions, _ = read_acquisitions(tmp_path / "in")
    assert [one.run for one in acquisitions] == [0, 1]
    assert not np.array_equal(acquisitions[0].phase_rad, acquisitions[1].phase_rad)


def test_visits_of_one_person_stay_apart(tmp_path: Path) -> None:
    """Two visits have the same protocol and numbers, even where an archive rewrote the studies of both."""
    for visit, frame in enumerate(("1.2.3.4.2", "1.2.3.4.22")):
        write_mre(tmp_path / "in" / str(visit), Scan(shape=(8, 6, 3), offsets=4, seed=7 * visit))
        for file in _files(tmp_path / "in" / str(visit)):
            change = _set(
                StudyInstanceUID=lambda image, visit=visit: f"1.2.{visit}.{image.InstanceNumber}",
                SeriesInstanceUID=lambda image, visit=visit: f"1.3.{visit}.{image.SeriesNumber}",
                FrameOfReferenceUID=lambda _, frame=frame: frame,
            )
            edit(file, change)
    with pytest.raises(InputError, match="2 studies of one person"):
        read_acquisitions(tmp_path / "in")


def test_missing_frame_of_reference_is_told_at_once(tmp_path: Path, mre: Path) -> None:
    """Without a frame of reference there are no DICOM maps: said when it is read, and no later step fails of it."""
    shutil.copytree(mre, tmp_path / "in")
    for file in _files(tmp_path / "in"):
        edit(file, lambda image: image.pop("FrameOfReferenceUID"))
    write_t1(tmp_path / "t1", VALUES, SMALL, (2.0, 2.0, 2.0))
    ingest(tmp_path / "in", "x", tmp_path / "out", anatomy=tmp_path / "t1", settings=IngestSettings())
    record = json.loads((tmp_path / "out" / "x_ingest.json").read_text())
    assert "no-frame-of-reference" in [one["code"] for one in record["warnings"]]
    assert dicom_source(record, tmp_path / "out" / "x_ingest.json") is None
    assert record["anatomy"]["same_frame_of_reference"] is None


def test_promised_images_are_counted(tmp_path: Path) -> None:
    """A stack that ends early has no gap; what the headers promise shows it, and a true promise says nothing."""
    write_t1(tmp_path / "t1", VALUES, SMALL, (1.0, 1.0, 1.5))
    for file in _files(tmp_path / "t1"):
        edit(file, _set(ImagesInAcquisition=lambda _: 6))
    assert read_anatomy(tmp_path / "t1").warnings == ()
    _files(tmp_path / "t1")[-1].unlink()
    (warning,) = read_anatomy(tmp_path / "t1").warnings
    assert warning.code == "fewer-images-than-promised"
    assert "5 of the 6 images" in warning.sentence
