"""Readers that nearly knew a scan: the refusal names what is missing and what to do, for every vendor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from worlds.damaged_sources import KINDS

from palpate.errors import InputError
from palpate.imaging.dicom.files import read_contents
from palpate.imaging.dicom.recognition import CRITERIA, near, recognitions
from palpate.imaging.dicom.registry import READERS, read_acquisitions
from palpate.imaging.dicom.series import group_series
from tests.imaging.scanner import Scan, edit, write_mre, write_t1

SMALL = Scan(shape=(8, 6, 3), offsets=3)
_BY_NAME = {kind.name: kind for kind in KINDS}
SOUND = {
    "DICOM, siemens": "Siemens mosaic",
    "DICOM, ge": "GE",
    "DICOM, ge-brain": "GE",
    "DICOM, philips": "Philips",
    "DICOM, philips-enhanced": "Philips",
}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_criteria_are_of_the_readers_there_are() -> None:
    """A reader that is added must say what it asks, or no refusal would name it."""
    assert [name for name, _ in CRITERIA] == [reader.name for reader in READERS]


@pytest.mark.parametrize("what", SOUND)
def test_sound_scans_meet_all_criteria_of_their_reader(what: str, tmp_path: Path) -> None:
    """Criteria that a sound scan does not meet would send users after something that is not missing."""
    _BY_NAME[what].write(tmp_path)
    series = group_series(read_contents(tmp_path).instances)
    found = {one.reader: one for one in recognitions(series)}
    assert not found[SOUND[what]].failed
    assert {reader.name for reader in READERS if reader.recognises(series)} == {SOUND[what]}


# What an archive or a de-identification takes away, and what the refusal must name.
TAKEN: dict[str, tuple[str, Callable[[pydicom.Dataset], object], tuple[str, ...]]] = {
    "comments": (
        "DICOM, siemens",
        lambda one: one.pop("ImageComments", None),
        ("no frequency of the vibration in image comments", "frequency_hz", "encoding_matrix"),
    ),
    "comments and description": (
        "DICOM, siemens",
        lambda one: [one.pop(name, None) for name in ("ImageComments", "SeriesDescription", "ProtocolName")],
        ("Siemens mosaic", "Image Comments"),
    ),
    "maker": ("DICOM, siemens", lambda one: setattr(one, "Manufacturer", ""), ("Siemens mosaic", "Manufacturer")),
    "MOSAIC": (
        "DICOM, siemens",
        lambda one: setattr(one, "ImageType", [word for word in one.ImageType if word != "MOSAIC"]),
        ("Siemens mosaic", "MOSAIC"),
    ),
    "GE's private groups": (
        "DICOM, ge",
        lambda one: one.remove_private_tags(),
        ("GE", "(0019,109C)", "private groups"),
    ),
    "GE's name": ("DICOM, ge", lambda one: setattr(one, "Manufacturer", ""), ("GE", "Manufacturer")),
    "Philips' name": ("DICOM, philips", lambda one: setattr(one, "Manufacturer", ""), ("Philips", "Manufacturer")),
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_stopped_the_nearest_reader_is_named(what: str, tmp_path: Path) -> None:
    """Users who only read that no reader knows a scan look for a series that is there: one thing is missing in it."""
    kind, take, mentioned = TAKEN[what]
    _BY_NAME[kind].write(tmp_path)
    for file in _files(tmp_path):
        edit(file, take)
    with pytest.raises(InputError) as refused:
        read_acquisitions(tmp_path)
    assert all(one in str(refused.value) for one in mentioned), str(refused.value)


def test_an_anatomy_alone_is_near_to_nobody(tmp_path: Path) -> None:
    """A T1 lacks all that makes an elastogram; to name one thing that it lacks would mislead."""
    write_t1(tmp_path / "t1", np.ones((8, 8, 4), np.uint16), SMALL, (1.0, 1.0, 1.5))
    series = group_series(read_contents(tmp_path / "t1").instances)
    assert near(series) == ()
    with pytest.raises(InputError, match="Include the phase series"):
        read_acquisitions(tmp_path / "t1")


def test_magnitude_alone_asks_for_the_phase(tmp_path: Path) -> None:
    """The magnitude of a pair was exported without its phase: that is what is missing."""
    write_mre(tmp_path / "in", SMALL)
    for file in _files(tmp_path / "in" / "s46"):
        file.unlink()
    with pytest.raises(InputError, match="no MRE phase"):
        read_acquisitions(tmp_path / "in")
