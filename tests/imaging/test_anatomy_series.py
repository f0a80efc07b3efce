"""DICOM series of anatomy: enhanced files against classic ones, and stacks that are no rectangular volume."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, generate_uid

from palpate.errors import InputError
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.files.nifti import Volume
from tests.imaging.scanner import Scan, edit, write_t1

OBLIQUE = Scan(row=(0.0, 0.6, 0.8), column=(1.0, 0.0, 0.0))
VALUES = np.random.default_rng(0).integers(0, 4000, size=(9, 7, 6)).astype(np.uint16)
EDGES_MM = (1.0, 1.25, 1.5)
NORMAL = np.cross(OBLIQUE.row, OBLIQUE.column)


@pytest.fixture
def classic(tmp_path: Path) -> Path:
    """A series of six oblique slices, one a file."""
    write_t1(tmp_path / "t1", VALUES, OBLIQUE, EDGES_MM)
    return tmp_path / "t1"


def _one(**values: object) -> Items:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Items([item])


def enhanced(
    classic: Path, out: Path, order: Sequence[int], *, kind: str = EnhancedMRImageStorage, own_geometry: bool = False
) -> Path:
    """Pack a classic series into one multi-frame file.

    Args:
        classic: its folder.
        out: the file.
        order: which slice each frame shows.
        kind: the SOP class.
        own_geometry: whether each frame states orientation and spacing itself, as legacy converters write.
    """
    files = [pydicom.dcmread(path) for path in sorted(classic.iterdir())]
    image = files[0]
    shared, frames, pixels = Dataset(), [], []
    geometry = {
        "PlaneOrientationSequence": _one(ImageOrientationPatient=image.ImageOrientationPatient),
        "PixelMeasuresSequence": _one(PixelSpacing=image.PixelSpacing, SliceThickness=image.SliceThickness),
    }
    for name, items in ({} if own_geometry else geometry).items():
        setattr(shared, name, items)
    for number in order:
        frame = Dataset()
        frame.PlanePositionSequence = _one(ImagePositionPatient=files[number].ImagePositionPatient)
        frame.FrameContentSequence = _one(StackID="1", InStackPositionNumber=number + 1)
        # Each frame has a scale of its own, as Philips writes them.
        slope, intercept = 0.5 + number, -float(number)
        frame.PixelValueTransformationSequence = _one(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
        for name, items in (geometry if own_geometry else {}).items():
            setattr(frame, name, items)
        frames.append(frame)
        pixels.append(files[number].pixel_array)
    del image.ImageOrientationPatient, image.ImagePositionPatient, image.PixelSpacing, image.SliceThickness
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = kind
    image.NumberOfFrames = len(frames)
    image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = Items([shared]), Items(frames)
    image.PixelData = np.stack(pixels).astype("<u2").tobytes()
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(out, enforce_file_format=True)
    return out.parent


def _scaled(folder: Path) -> Volume:
    """The classic volume with the scales that `enhanced` gives its frames: by the position of files in the folder."""
    for number, path in enumerate(sorted(folder.iterdir())):
        edit(path, lambda image, n=number: _rescale(image, 0.5 + n, -float(n)))
    return read_anatomy(folder).volume


def _rescale(image: pydicom.Dataset, slope: float, intercept: float) -> None:
    image.RescaleSlope, image.RescaleIntercept = slope, intercept


@pytest.mark.parametrize("kind", [EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage])
@pytest.mark.parametrize("own_geometry", [False, True])
def test_enhanced_anatomy_is_the_classic_one(
    own_geometry: bool,  # noqa: FBT001 - a parameter of the test
    kind: str,
    classic: Path,
    tmp_path: Path,
) -> None:
    """One file of frames, in any order, each with its scale, is the same volume bit for bit: two vendors' default."""
    packed = enhanced(classic, tmp_path / "e" / "1.dcm", (3, 0, 5, 1, 4, 2), kind=kind, own_geometry=own_geometry)
    before = _scaled(classic)
    after = read_anatomy(packed).volume
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.affine_mm, before.affine_mm)


def test_names_of_files_move_no_slice(classic: Path) -> None:
    """Archives name files as they like; numbers may all be the same, positions are not."""
    before = read_anatomy(classic).volume
    for number, path in enumerate(sorted(classic.iterdir())):
        edit(path, lambda image: setattr(image, "InstanceNumber", 1))
        path.rename(path.with_name(f"{(number * 5 + 3) % 7}.dcm"))
    after = read_anatomy(classic).volume
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.affine_mm, before.affine_mm)


def _moved(folder: Path, shift: Callable[[float], np.ndarray]) -> None:
    """Move each slice sideways by a function of its height."""
    for path in sorted(folder.iterdir()):
        image = pydicom.dcmread(path)
        corner = np.array(image.ImagePositionPatient, float)
        height = float((corner - OBLIQUE.corner_mm) @ NORMAL)
        image.ImagePositionPatient = [f"{value:.8f}" for value in corner + shift(height)]
        image.save_as(path, enforce_file_format=True)


COLUMN = np.asarray(OBLIQUE.column)
SHIFTS: dict[str, tuple[Callable[[float], np.ndarray], str]] = {
    "tilted gantry": (lambda height: 0.25 * height * COLUMN, r"in proportion to their height, 1\.88 mm"),
    "tilted back": (lambda height: -0.1 * height * np.asarray(OBLIQUE.row), "tilted gantry"),
    "one slice aside": (lambda height: 2.0 * COLUMN * (4 < height < 5), "against the others by 2 mm"),
    "a gap": (lambda height: 1.5 * NORMAL * (height > 4), r"gaps of 1\.5 to 3 mm"),
}


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("packed", [False, True])
def test_stacks_that_are_no_box_are_refused(name: str, packed: bool, classic: Path, tmp_path: Path) -> None:  # noqa: FBT001
    """A sheared stack on a rectangular grid lies centimetres off at its end: it is refused with its cause."""
    shift, expected = SHIFTS[name]
    _moved(classic, shift)
    folder = enhanced(classic, tmp_path / "e" / "1.dcm", range(6)) if packed else classic
    with pytest.raises(InputError, match=expected):
        read_anatomy(folder)


def test_rounded_headers_are_no_shear(classic: Path) -> None:
    """Some exports write orientations with four decimals: over a head that is a hundredth of a voxel."""
    rounded = [round(float(value) + 4e-5 * (n == 1), 4) for n, value in enumerate((*OBLIQUE.row, *OBLIQUE.column))]
    for path in classic.iterdir():
        edit(path, lambda image: setattr(image, "ImageOrientationPatient", rounded))
    assert read_anatomy(classic).volume.values.shape == VALUES.shape


def _second_echo(folder: Path, **values: object) -> None:
    """Every slice once more, with another value of some attributes."""
    for path in sorted(folder.iterdir()):
        copy = path.with_name(f"b{path.name}")
        shutil.copy(path, copy)
        edit(copy, lambda image: _changed(image, values))


def _changed(image: pydicom.Dataset, values: dict[str, object]) -> None:
    image.SOPInstanceUID = generate_uid()
    for name, value in values.items():
        # The same image twice would be used once.
        setattr(image, name, bytes(reversed(image.PixelData)) if name == "PixelData" else value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"EchoTime": 9.0}, "several volumes in one series: images that differ in Echo Time"),
        ({"TemporalPositionIdentifier": 2}, "differ in Temporal Position Identifier"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "differ in Image Type"),
        ({"PixelData": None}, "2 images of one slice, at one place"),
    ],
)
def test_several_volumes_in_one_series(values: dict[str, object], expected: str, classic: Path) -> None:
    """The sentence says by what they differ, so that a user knows which to export."""
    _second_echo(classic, **values)
    with pytest.raises(InputError) as caught:
        read_anatomy(classic)
    assert re.search(expected, str(caught.value))
