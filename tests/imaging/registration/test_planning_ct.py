"""Registration of a planning CT: one whose place is known, and files that are no CT of the region."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from worlds.planning_heads import ct_motion, scanned_head, t1_grid

from palpate.errors import InputError
from palpate.imaging.anatomy.foreign_frame import FixedImage, ForeignFrame, GivenRegistration, KnownFrame
from palpate.imaging.anatomy.way_between import way_between
from palpate.imaging.dicom.ct import read_ct
from palpate.imaging.files.nifti import Volume, write_nifti
from palpate.imaging.registration import planning_ct
from palpate.imaging.registration.placement import Placement, not_moved
from palpate.imaging.registration.planning_ct import WINDOWS, register_ct, windowed
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.registration.way import same_frame

FRAME = "1.2.3.3"


@pytest.mark.long
def test_a_known_motion_is_found_and_its_error_stated() -> None:
    """Another origin and a turned head: the error is below a millimetre, and of the size that is stated."""
    generator = np.random.default_rng([7, 1])
    case = scanned_head(generator, ct_motion(generator), mr_grid=t1_grid(3.0), ct_voxel_mm=(2.0, 2.0, 3.0))
    found = register_ct(case.mr, case.ct)
    assert found.status == "registered", found.warnings
    assert found.uncertainty_mm is not None
    assert case.error_mm(found.motion.matrix_mm) < min(1.0, 3.0 * found.uncertainty_mm)


def test_windows_keep_the_order_of_tissues_and_give_soft_tissue_room() -> None:
    """Grey and white matter differ by 10 of 4000 Hounsfield units: on a linear scale they share a bin of 32."""
    units = np.array([-3024.0, -1000.0, -100.0, 8.0, 29.0, 38.0, 60.0, 400.0, 1200.0, 3071.0]).reshape(10, 1, 1)
    seen = windowed(Volume(units, np.eye(4))).values.ravel()
    assert np.all(np.diff(seen) >= 0.0)
    assert seen[[0, -1]] == pytest.approx([0.0, 1.0])
    assert seen[5] - seen[4] > 1.0 / 32.0
    assert all(one < other for one, other in pairwise(WINDOWS))


def _write_ct(folder: Path, shift_hu: float = 0.0, person: str = "4711", frame: str = FRAME) -> NDArray[np.float64]:
    """Twelve slices of CT with a rescale intercept, beside a localizer; returns their Hounsfield units."""
    folder.mkdir()
    series, study = generate_uid(), generate_uid()
    units = np.linspace(-1000.0, 900.0, 12 * 10 * 9).reshape(12, 10, 9).round()
    for k in range(13):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = CTImageStorage
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = generate_uid()
        one.Modality, one.PatientID, one.PatientName = "CT", person, "Mustermann^Erika"
        one.StudyInstanceUID, one.FrameOfReferenceUID = study, frame
        localizer = k == 12
        one.SeriesInstanceUID = generate_uid() if localizer else series
        one.SeriesNumber, one.InstanceNumber = (1 if localizer else 2), k + 1
        one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER" if localizer else "AXIAL"]
        one.ImagePositionPatient, one.ImageOrientationPatient = [5.0, -7.0, 2.5 * k], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [1.2, 1.1], 2.5
        stored = (units[k % 12] + 1024.0 + shift_hu).astype(np.uint16)
        one.Rows, one.Columns = stored.shape
        one.RescaleSlope, one.RescaleIntercept = 1.0, -1024.0
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation, one.SamplesPerPixel = 15, 0, 1
        one.PhotometricInterpretation, one.PixelData = "MONOCHROME2", stored.tobytes()
        one.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)
    return units


def test_a_ct_is_read_in_hounsfield_units_and_in_place(tmp_path: Path) -> None:
    """Stored values begin at 0; L P S is converted once; localizers are no slices."""
    units = _write_ct(tmp_path / "ct")
    image = read_ct(tmp_path / "ct")
    np.testing.assert_allclose(image.volume.values, units.transpose(2, 1, 0))
    np.testing.assert_allclose(image.volume.affine_mm[:3, 3], [-5.0, 7.0, 0.0])
    assert image.frame_uid == FRAME
    assert "4711" not in repr(image)


def test_what_is_no_ct_is_refused(tmp_path: Path) -> None:
    """Relative values, missing slices, another folder: each would be registered to something."""
    _write_ct(tmp_path / "ct")
    (tmp_path / "ct" / "005.dcm").unlink()
    with pytest.raises(InputError, match="between slices"):
        read_ct(tmp_path / "ct")
    write_nifti(tmp_path / "t1.nii.gz", np.random.default_rng(1).uniform(0.0, 900.0, (9, 9, 9)), np.eye(4))
    with pytest.raises(InputError, match="expected Hounsfield units"):
        read_ct(tmp_path / "t1.nii.gz")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no DICOM image"):
        read_ct(tmp_path / "none")


def _way(folder: Path, ct: Path, foreign: ForeignFrame, monkeypatch: pytest.MonkeyPatch, placement: Placement):  # noqa: ANN202
    """The way by a registration whose outcome is given."""
    monkeypatch.setattr(planning_ct, "register_ct", lambda _fixed, _ct: placement)
    write_nifti(folder / "t1.nii.gz", np.ones((9, 9, 9)), np.eye(4))
    known = KnownFrame("the T1", "1.2.3.2", same_frame())
    given = GivenRegistration(contour_image=ct)
    return way_between([known], foreign, given, FixedImage(folder / "t1.nii.gz", known))


def test_the_ct_must_be_that_of_the_contours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CT of another day or patient registers just as well; a registration that failed is none."""
    _write_ct(tmp_path / "ct")
    motion = Rigid(np.array([0.1, 0.0, 0.0, 5.0, 6.0, 7.0]), np.zeros(3))
    found = Placement("registered", motion, np.diag([1e-4] * 3 + [0.04] * 3), 0.3)
    contours = ForeignFrame("contours", FRAME, ("4711", "", ""))
    way = _way(tmp_path, tmp_path / "ct", contours, monkeypatch, found)
    assert (way.source, way.assumed) == ("own registration", False)
    np.testing.assert_allclose(way.matrix_mm, motion.matrix_mm)
    assert way.uncertainty_mm(np.zeros((1, 3))) == pytest.approx(np.sqrt(0.12), rel=1e-3)
    assert [one.code for one in way.warnings] == ["ct-registered"]
    for foreign, said in (
        (ForeignFrame("contours", "1.2.9", ("4711", "", "")), "another frame of reference than the region's"),
        (ForeignFrame("contours", FRAME, ("9999", "", "")), "another patient"),
    ):
        with pytest.raises(InputError, match=said) as refused:
            _way(tmp_path, tmp_path / "ct", foreign, monkeypatch, found)
        assert not {"4711", "9999"} & set(str(refused.value).split())
    _write_ct(tmp_path / "other")
    with pytest.raises(InputError, match=r"could not be registered to the T1: Only 1 of 9"):
        _way(tmp_path, tmp_path / "other", contours, monkeypatch, not_moved("failed", "Only 1 of 9 starts."))
    with pytest.raises(InputError, match="no T1 or magnitude"):
        way_between([], contours, GivenRegistration(contour_image=tmp_path / "ct"))
