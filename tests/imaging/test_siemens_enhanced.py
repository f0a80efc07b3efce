"""Siemens' enhanced files against the mosaics of the same scan: two packings, one measurement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.files import read_instances
from palpate.imaging.dicom.frames import with_frames
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.dicom.series import group_series
from tests.imaging.scanner import Scan, edit, write_mre

SCAN = Scan(shape=(8, 6, 3), offsets=4, slice_time_ms=(0.0, 213.0, 107.0), row=(0.0, 1.0, 0.0), column=(0.0, 0.0, 1.0))


def _one(**values: object) -> Sequence:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def write_enhanced(folder: Path, mosaics: Path, scan: Scan) -> None:
    """Pack a scan's mosaics into one multi-frame file for each series, slice by slice within each image."""
    folder.mkdir(parents=True)
    normal = np.cross(scan.row, scan.column)
    for series in (scan.series, scan.series + 1):
        files = [pydicom.dcmread(file) for file in sorted((mosaics / f"s{series}").glob("*.ima"))]
        image = files[0]
        frames, pixels = [], []
        side = int(np.ceil(np.sqrt(scan.shape[2])))
        for number, mosaic in enumerate(files):
            tiles = mosaic.pixel_array.reshape(side, scan.shape[1], side, scan.shape[0]).swapaxes(1, 2)
            for k in range(scan.shape[2]):
                seconds = 3600 + 10 * number + scan.slice_time_ms[k] / 1e3
                corner = np.asarray(scan.corner_mm) + k * scan.spacing_mm[2] * normal
                groups = Dataset()
                groups.PlanePositionSequence = _one(ImagePositionPatient=[float(x) for x in corner])
                groups.FrameContentSequence = _one(
                    FrameComments=mosaic.get("ImageComments", ""),
                    FrameAcquisitionDateTime=f"20260105{int(seconds // 3600):02d}"
                    f"{int(seconds % 3600 // 60):02d}{seconds % 60:09.6f}",
                )
                if "RescaleSlope" in mosaic:
                    groups.PixelValueTransformationSequence = _one(
                        RescaleSlope=mosaic.RescaleSlope, RescaleIntercept=mosaic.RescaleIntercept, RescaleType="US"
                    )
                frames.append(groups)
                pixels.append(tiles.reshape(-1, scan.shape[1], scan.shape[0])[k])
        shared = Dataset()
        shared.PlaneOrientationSequence = _one(ImageOrientationPatient=image.ImageOrientationPatient)
        shared.PixelMeasuresSequence = _one(PixelSpacing=image.PixelSpacing, SliceThickness=2.0)
        shared.MRImageFrameTypeSequence = _one(
            FrameType=["ORIGINAL", "PRIMARY", "MRE", "NONE"],
            ComplexImageComponent="MAGNITUDE" if series == scan.series else "PHASE",
        )
        for name in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "ImageComments"):
            if name in image:
                delattr(image, name)
        del image[0x0019, 0x100A], image[0x0019, 0x1029]
        image.SOPClassUID = EnhancedMRImageStorage
        image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
        image.ImageType = ["ORIGINAL", "PRIMARY", "MRE", "NONE"]
        image.NumberOfFrames, (image.Rows, image.Columns) = len(frames), pixels[0].shape
        image.SharedFunctionalGroupsSequence = Sequence([shared])
        image.PerFrameFunctionalGroupsSequence = Sequence(frames)
        image.PixelData = np.stack(pixels).astype(np.uint16).tobytes()
        image.save_as(folder / f"{series}.dcm", enforce_file_format=True)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """Folders with the mosaics and the enhanced files of one scan."""
    write_mre(tmp_path / "mosaics", SCAN)
    write_enhanced(tmp_path / "enhanced", tmp_path / "mosaics", SCAN)
    return tmp_path / "mosaics", tmp_path / "enhanced"


def _read(folder: Path) -> PhaseAcquisition:
    (acquisition,), _ = read_acquisitions(folder)
    return acquisition


def _same(one: PhaseAcquisition, other: PhaseAcquisition) -> None:
    np.testing.assert_array_equal(one.phase_rad, other.phase_rad)
    np.testing.assert_array_equal(one.magnitude, other.magnitude)
    np.testing.assert_allclose(one.affine_mm, other.affine_mm, atol=1e-9)
    np.testing.assert_array_equal(one.encoding_axes, other.encoding_axes)
    np.testing.assert_allclose(one.slice_time_s, other.slice_time_s, atol=2e-6)
    assert (one.frequency_hz, one.menc_um_per_rad) == (other.frequency_hz, other.menc_um_per_rad)


def test_packing_changes_nothing(both: tuple[Path, Path]) -> None:
    """The software versions that write mosaics and those that write frames must give one wave field."""
    mosaics, enhanced = both
    _same(_read(enhanced), _read(mosaics))


def test_order_of_frames_does_not_matter(both: tuple[Path, Path]) -> None:
    """Slices may come in any order, and so may images where magnitude and phase come in the same."""
    _, enhanced = both
    before = _read(enhanced)

    def shuffle(image: pydicom.Dataset) -> None:
        order = np.random.default_rng(0).permutation(image.NumberOfFrames)
        frames = list(image.PerFrameFunctionalGroupsSequence)
        image.PixelData = image.pixel_array[order].tobytes()
        image.PerFrameFunctionalGroupsSequence = Sequence([frames[n] for n in order])

    for file in enhanced.iterdir():
        edit(file, shuffle)
    _same(_read(enhanced), before)


def test_frames_without_times_are_counted_by_their_dimensions(both: tuple[Path, Path]) -> None:
    """Where a file counts its frames, the order in which they lie means nothing, and magnitude must find its phase."""
    _, enhanced = both
    before = _read(enhanced)

    def shuffle(image: pydicom.Dataset) -> None:
        frames = list(image.PerFrameFunctionalGroupsSequence)
        for number, frame in enumerate(frames):
            content = frame.FrameContentSequence[0]
            content.DimensionIndexValues = [1 + number % SCAN.shape[2], 1 + number // SCAN.shape[2]]
            del content.FrameAcquisitionDateTime
        order = np.random.default_rng(image.SeriesNumber).permutation(image.NumberOfFrames)
        image.PixelData = image.pixel_array[order].tobytes()
        image.PerFrameFunctionalGroupsSequence = Sequence([frames[n] for n in order])

    for file in enhanced.iterdir():
        edit(file, shuffle)
    after = _read(enhanced)
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.magnitude, before.magnitude)


def _frame(number: int, old: str, new: str) -> Callable[[pydicom.Dataset], None]:
    def change(image: pydicom.Dataset) -> None:
        content = image.PerFrameFunctionalGroupsSequence[number].FrameContentSequence[0]
        content.FrameComments = content.FrameComments.replace(old, new)

    return change


def _trimmed(image: pydicom.Dataset) -> None:
    image.PixelData = image.pixel_array[:-3].tobytes()
    image.NumberOfFrames -= 3
    image.PerFrameFunctionalGroupsSequence = image.PerFrameFunctionalGroupsSequence[:-3]


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no magnitude": (lambda path: (path / "45.dcm").unlink(), "without a series of as many magnitude"),
    "fewer magnitude frames": (lambda path: edit(path / "45.dcm", _trimmed), "without a series of as many magnitude"),
    "offset twice": (lambda path: edit(path / "46.dcm", _frame(3, "tI[1]", "tI[0]")), "second time"),
    "axis changes": (lambda path: edit(path / "46.dcm", _frame(3, "az[0]", "az[9]")), "frame 4"),
    "frequency changes": (lambda path: edit(path / "46.dcm", _frame(3, "VP[20000]", "VP[25000]")), "frame 4"),
    "frame without comment": (lambda path: edit(path / "46.dcm", _frame(3, "MRE:", "")), "frame 4"),
    "direction unlike others": (lambda path: edit(path / "46.dcm", _frame(3, "dI[0]", "dI[7]")), "4 encoding"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_spoilt_frames_are_refused(what: str, both: tuple[Path, Path]) -> None:
    """One wrong frame among hundreds bends the wave of a whole slice; the error must say which."""
    _, enhanced = both
    spoil, mentioned = SPOILT[what]
    spoil(enhanced)
    with pytest.raises(InputError, match=mentioned):
        read_acquisitions(enhanced)


def test_frames_keep_numbers_and_kinds_of_their_own(both: tuple[Path, Path]) -> None:
    """What is set for one frame must not change another's, nor the file's: they share all else of the header."""
    _, enhanced = both

    def typed(image: pydicom.Dataset) -> None:
        for number, own in enumerate(image.PerFrameFunctionalGroupsSequence):
            own.MRImageFrameTypeSequence = _one(FrameType=["ORIGINAL", "PRIMARY", f"KIND{number}", "NONE"])

    edit(enhanced / "46.dcm", typed)
    (series,) = (one for one in group_series(read_instances(enhanced)) if one.number == 46)
    frames = with_frames(series).instances
    assert [one.header.InstanceNumber for one in frames] == list(range(1, len(frames) + 1))
    assert [one.header.ImageType[2] for one in frames] == [f"KIND{number}" for number in range(len(frames))]
    assert series.image_type[2] == "MRE"


def test_classic_images_of_one_slice_are_the_same_scan(both: tuple[Path, Path]) -> None:
    """Software XA may write the research sequence as classic images: the comment says all that mosaics say."""
    mosaics, enhanced = both
    before = _read(mosaics)
    for series in (45, 46):
        path = enhanced / f"{series}.dcm"
        (whole,) = (one for one in group_series(read_instances(enhanced)) if one.number == series)
        for frame in with_frames(whole).instances:
            image = pydicom.dcmread(path)
            for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "NumberOfFrames"):
                delattr(image, name)
            image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MRImageStorage
            image.SOPInstanceUID = f"1.2.3.4.9.{series}.{frame.header.InstanceNumber}"
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
            image.ImageType = ["ORIGINAL", "PRIMARY", "M" if series == 45 else "P", "ND"]
            image.AcquisitionTime = frame.header.FrameAcquisitionDateTime[8:]
            for name in (
                "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "InstanceNumber",
                "ImageComments", "RescaleSlope", "RescaleIntercept",
            ):  # fmt: skip
                if name in frame.header:
                    setattr(image, name, frame.header[name].value)
            image.PixelData = frame.pixels().astype(np.uint16).tobytes()
            image.save_as(enhanced / f"{series}_{frame.header.InstanceNumber:04d}.dcm", enforce_file_format=True)
        path.unlink()
    _same(_read(enhanced), before)
