"""DICOM Parametric Maps: a planner's viewer must show the NIfTI's values at the NIfTI's places, and no identity."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    generate_uid,
)
from scipy.spatial.transform import Rotation

from palpate.errors import InputError
from palpate.imaging.dicom_out.dicom_identity import MapIdentity, identity_of, pseudonym_of
from palpate.imaging.dicom_out.dicom_source import DicomSource, dicom_source
from palpate.imaging.dicom_out.parametric_map import QUANTITIES, Statistic, write_parametric_map
from palpate.imaging.files.maps import Map
from palpate.imaging.files.stiffness_folder import Modulus

MADE = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ORIENTATIONS = {
    "axial": np.eye(3),
    "radiological": np.diag([-1.0, 1.0, 1.0]),
    "feet first": np.diag([1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "tilted head": Rotation.from_euler("xyz", [14.0, -9.0, 18.0], degrees=True).as_matrix(),
    "oblique": Rotation.from_euler("xyz", [17.0, -23.0, 41.0], degrees=True).as_matrix(),
    "oblique, flipped": Rotation.from_euler("xyz", [-34.0, 12.0, 160.0], degrees=True).as_matrix()
    @ np.diag([1, -1, 1]),
}


def _source(body_part: str = "BRAIN") -> DicomSource:
    return DicomSource(*(str(generate_uid(entropy_srcs=[name])) for name in "abcd"), body_part=body_part)


def _map(rotation: NDArray[np.float64]) -> Map:
    affine_mm = np.eye(4)
    affine_mm[:3, :3] = rotation @ np.diag([1.9, 2.1, 4.0])
    affine_mm[:3, 3] = [-40.3, 12.25, 7.5]
    values = np.random.default_rng(11).lognormal(1.0, 0.3, size=(9, 7, 5)).astype(np.float32)
    values[:2] = np.nan
    values[:, :, 0] = np.nan
    # What is on disk has passed through NIfTI's float32 affine.
    return Map(values, affine_mm.astype(np.float32).astype(np.float64), "kPa", "posterior mean")


def _write(
    path: Path, the_map: Map, source: DicomSource, key: tuple[Statistic, Modulus] = ("mean", "storagemodulus")
) -> None:
    identity = _scans(source)
    write_parametric_map(path, the_map, QUANTITIES[key], identity, description="palpate sub-01", made=MADE)


def _scans(source: DicomSource) -> MapIdentity:
    """The identity that a scan of an invented person states."""
    header = pydicom.Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.PatientName, header.PatientID, header.IssuerOfPatientID = "Bäcker^Zoë", "7", "Ward"
    header.PatientBirthDate, header.PatientSex, header.PatientAge = "19600102", "F", "066Y"
    header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = "20260304", "090000", "9", "A-17"
    header.ReferringPhysicianName, header.TimezoneOffsetFromUTC = "Ångström^Åsa", "+0130"
    return identity_of(header, source)


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_voxel_keeps_its_value_and_its_place(tmp_path: Path, name: str) -> None:
    """A flip or a shift would put the stiff tumour on the wrong side; each voxel is checked by its world position."""
    the_map, path = _map(ORIENTATIONS[name]), tmp_path / "map.dcm"
    _write(path, the_map, _source())
    volume = hd.imread(path).get_volume(apply_real_world_transform=True)
    there = np.argwhere(np.ones(volume.shape, dtype=bool))
    lps_mm = there @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    ras_mm = lps_mm * [-1.0, -1.0, 1.0]
    inverse = np.linalg.inv(the_map.affine_mm)
    here = ras_mm @ inverse[:3, :3].T + inverse[:3, 3]
    np.testing.assert_allclose(here, np.round(here), atol=1e-4)
    expected = np.nan_to_num(the_map.values, nan=0.0)[tuple(np.round(here).astype(int).T)]
    np.testing.assert_array_equal(volume.array[tuple(there.T)].astype(np.float32), expected)
    assert len({tuple(row) for row in np.round(here).astype(int)}) == the_map.values.size


@pytest.mark.parametrize("name", ["axial", "radiological", "feet first", "tilted head"])
def test_the_image_is_not_shown_mirrored(tmp_path: Path, name: str) -> None:
    """Some viewers show rows and columns as they come: columns must run to the patient's left, rows to the back."""
    _write(tmp_path / "map.dcm", _map(ORIENTATIONS[name]), _source())
    shared = pydicom.dcmread(tmp_path / "map.dcm").SharedFunctionalGroupsSequence[0]
    columns, rows = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    assert columns[0] > 0.0
    assert rows[1] > 0.0


@pytest.mark.parametrize("key", QUANTITIES)
def test_unit_study_and_frame_of_reference(tmp_path: Path, key: tuple[Statistic, Modulus]) -> None:
    """Fusion with the planning MRI works only in the source's frame of reference; numbers mean nothing without kPa."""
    source, the_map = _source(), _map(ORIENTATIONS["oblique"])
    _write(tmp_path / "map.dcm", the_map, source, key)
    dataset = pydicom.dcmread(tmp_path / "map.dcm")
    assert dataset.StudyInstanceUID == source.study_instance_uid
    assert dataset.FrameOfReferenceUID == source.frame_of_reference_uid
    assert dataset.SeriesInstanceUID != source.series_instance_uid
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    unit = mapping.MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("kPa", "UCUM")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
    assert mapping.DoubleFloatRealWorldValueLastValueMapped >= np.nanmax(the_map.values)
    assert dataset.FloatPixelPaddingValue == 0.0


def test_a_pseudonym_names_nobody(tmp_path: Path) -> None:
    """The file leaves the hospital; every element that names a person, a date of theirs or a number must be empty."""
    identity = pseudonym_of(_source(), None, "sub-01")
    quantity = QUANTITIES["mean", "storagemodulus"]
    write_parametric_map(tmp_path / "map.dcm", _map(np.eye(3)), quantity, identity, description="", made=MADE)
    dataset = pydicom.dcmread(tmp_path / "map.dcm")
    assert dataset.StudyInstanceUID != _source().study_instance_uid
    assert str(dataset.PatientID) == "sub-01"
    assert str(dataset.PatientName).strip("^") == "sub-01"
    assert dataset.PatientIdentityRemoved == "YES"
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        assert not dataset.get(keyword)
    persons = [e for e in dataset.iterall() if e.VR == "PN" and e.value and e.keyword != "PatientName"]
    assert not persons


def test_writing_twice_gives_the_same_file(tmp_path: Path) -> None:
    """Two files of one identifier must be one file, or an archive refuses or silently replaces a result."""
    source = _source()
    for name in ("a.dcm", "b.dcm"):
        _write(tmp_path / name, _map(ORIENTATIONS["oblique"]), source)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    other = _map(ORIENTATIONS["oblique"])
    _write(tmp_path / "c.dcm", Map(other.values * 2, other.affine_mm, "kPa", ""), source)
    first, third = pydicom.dcmread(tmp_path / "a.dcm"), pydicom.dcmread(tmp_path / "c.dcm")
    assert first.SOPInstanceUID != third.SOPInstanceUID


def test_the_scans_identity_is_whole_and_readable(tmp_path: Path) -> None:
    """An archive finds one patient by every element; a name with umlauts is another name where its bytes differ."""
    identity = _scans(_source())
    _write(tmp_path / "map.dcm", _map(np.eye(3)), _source())
    dataset = pydicom.dcmread(tmp_path / "map.dcm")
    for element in identity.elements:
        assert dataset[element.tag].value == element.value, element.keyword
    assert "PatientIdentityRemoved" not in dataset
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260304", "063607")


def test_when_it_was_written_makes_no_other_result(tmp_path: Path) -> None:
    """A repeated inversion with the same values must replace its maps in an archive, not stand beside them."""
    made = []
    for name, moment in (("a.dcm", MADE), ("b.dcm", MADE.replace(year=2027))):
        quantity = QUANTITIES["mean", "storagemodulus"]
        write_parametric_map(tmp_path / name, _map(np.eye(3)), quantity, _scans(_source()), description="", made=moment)
        made.append(pydicom.dcmread(tmp_path / name))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert made[0][keyword].value == made[1][keyword].value


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")
@pytest.mark.parametrize(("body_part", "scale"), [("BRAIN", 1.0), ("", 0.05)])
@pytest.mark.parametrize("key", QUANTITIES)
def test_dciodvfy_finds_no_error(tmp_path: Path, key: tuple[Statistic, Modulus], body_part: str, scale: float) -> None:
    """An archive may refuse what breaks the standard; dciodvfy reads it against the standard's own tables.

    Soft tissue counts as well: below 1 kPa the rules for grey-scale windows are others.
    """
    the_map = _map(ORIENTATIONS["oblique"])
    soft = Map(scale * the_map.values, the_map.affine_mm, "kPa", "")
    _write(tmp_path / "map.dcm", soft, _source(body_part), key)
    done = subprocess.run(["dciodvfy", str(tmp_path / "map.dcm")], capture_output=True, text=True, check=False)
    errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
    assert not errors


@pytest.mark.parametrize("sop_class", [MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage])
def test_scans_of_one_frame_and_of_many_can_be_the_source(sop_class: str, tmp_path: Path) -> None:
    """Philips' and Siemens' enhanced scans are files of many frames; their maps must refer to them as such."""
    _write(tmp_path / "map.dcm", _map(ORIENTATIONS["oblique"]), replace(_source(), sop_class_uid=str(sop_class)))
    made = pydicom.dcmread(tmp_path / "map.dcm")
    referenced = {one.value for one in made.iterall() if one.keyword == "ReferencedSOPClassUID"}
    assert referenced == {sop_class}


def test_shear_is_refused(tmp_path: Path) -> None:
    """DICOM planes are rectangles; writing a sheared grid as one would move tissue without a word."""
    sheared = _map(np.eye(3))
    sheared.affine_mm[0, 2] = 1.5
    with pytest.raises(InputError, match="right angles"):
        _write(tmp_path / "map.dcm", sheared, _source())
    assert not list(tmp_path.iterdir())


def test_the_source_is_read_from_the_record_of_ingest(tmp_path: Path) -> None:
    """No DICOM source is a fact, not a fault; a source that cannot be referenced is a fault."""
    where = tmp_path / "sub-01_ingest.json"
    assert dicom_source({}, where) is None
    named = {
        "StudyInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.4",
        "SeriesInstanceUID": "1.2.5",
        "SOPInstanceUID": "1.2.6",
    }
    assert dicom_source({"dicom": named}, where) == DicomSource("1.2.3", "1.2.4", "1.2.5", "1.2.6")
    for wrong in ({**named, "StudyInstanceUID": "patient 7"}, {"StudyInstanceUID": "1.2.3"}):
        with pytest.raises(InputError, match="cannot be referenced"):
            dicom_source({"dicom": wrong}, where)
