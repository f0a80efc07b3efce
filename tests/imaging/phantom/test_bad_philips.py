"""Unusable Philips scans: each must end in one sentence that leads a user to the fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.dicom.registry import read_acquisitions
from tests.imaging.phantom.test_philips import PHILIPS, write
from tests.imaging.scanner import edit

SHAPE = (5, 4, 3)
N_OFFSETS = 4
PHASE_BLOCK = SHAPE[2] * N_OFFSETS
"""How many magnitude images come before the first phase image."""

type Change = Callable[[pydicom.Dataset], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound scan in both layouts, to be copied and spoilt."""
    folder = tmp_path_factory.mktemp("good")
    for vendor in PHILIPS:
        write(folder / vendor, vendor, shape=SHAPE)
    return folder


def _file(number: int, series: int = 401) -> str:
    return f"series{series:04d}_mre/{number:05d}.dcm"


def _one(change: Change, number: int = PHASE_BLOCK + 6) -> Callable[[Path], object]:
    return lambda path: edit(path / _file(number), change)


def _every(change: Change, pattern: str = "*/*.dcm") -> Callable[[Path], object]:
    return lambda path: [edit(file, change) for file in sorted(path.glob(pattern))]


def _set(**values: object) -> Change:
    def change(image: pydicom.Dataset) -> None:
        for name, value in values.items():
            setattr(image, name, value)

    return change


def _drop(*numbers: int, series: tuple[int, ...] = (401,)) -> Callable[[Path], object]:
    return lambda path: [(path / _file(number, one)).unlink() for number in numbers for one in series]


def _last_slice(path: Path) -> None:
    """The uppermost slice of every scan and kind: no gap shows it."""
    first = 2 * N_OFFSETS + 1
    numbers = [block + n for block in (0, PHASE_BLOCK) for n in range(first, first + N_OFFSETS)]
    _drop(*numbers, series=(401, 501, 601))(path)


def _last_offset(path: Path) -> None:
    numbers = [block + k * N_OFFSETS + N_OFFSETS for block in (0, PHASE_BLOCK) for k in range(SHAPE[2])]
    _drop(*numbers, series=(401, 501, 601))(path)


def _smaller(image: pydicom.Dataset) -> None:
    pixels = image.pixel_array[:-1]
    image.Rows = pixels.shape[0]
    image.PixelData = pixels.tobytes()


def _cut(name: str, share: float) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[: int(len(content) * share)])

    return spoil


def _duplicate(file: Path) -> None:
    image = pydicom.dcmread(file)
    image.SOPInstanceUID = generate_uid(entropy_srcs=["again"])
    image.PixelData = bytes(reversed(image.PixelData))  # the same image twice would be used once
    image.save_as(file.with_name("again.dcm"), enforce_file_format=True)


def _in_one_plane(path: Path) -> None:
    for number, direction in ((401, [1.0, 0.0, 0.0]), (501, [0.0, 1.0, 0.0]), (601, [0.6, 0.8, 0.0])):
        _every(_set(VelocityEncodingDirection=direction), f"series{number:04d}_mre/*.dcm")(path)


def _twice_as_long(image: pydicom.Dataset) -> None:
    image.VelocityEncodingDirection = [2.0 * float(value) for value in image.VelocityEncodingDirection]


def _shift(image: pydicom.Dataset) -> None:
    row = np.asarray(image.ImageOrientationPatient[:3], dtype=float)
    image.ImagePositionPatient = [f"{x:.8f}" for x in np.asarray(image.ImagePositionPatient, dtype=float) + 3 * row]


CLASSIC: dict[str, tuple[Callable[[Path], object], str]] = {
    "slice missing in one image": (_drop(PHASE_BLOCK + 6), "slice 2 of encoding"),
    "last slice missing everywhere": (_last_slice, r"\(2001,1018\)"),
    "last dynamic missing everywhere": (_last_offset, "3 time offsets"),
    "image twice": (lambda path: _duplicate(path / _file(PHASE_BLOCK + 6)), "offset 2 a second time"),
    "phase block absent": (
        _drop(*range(PHASE_BLOCK + 1, 2 * PHASE_BLOCK + 1), series=(401, 501, 601)),
        "no MRE phase",
    ),
    "magnitude block absent": (
        _drop(*range(1, PHASE_BLOCK + 1), series=(401, 501, 601)),
        "no magnitude images",
    ),
    "offset before the first": (_one(_set(TemporalPositionIdentifier=0)), "time offset 0"),
    "offset beyond all": (_one(_set(TemporalPositionIndex=2**31 - 1)), "no image of slice"),
    "wrong rescale type": (_one(_set(RescaleType="US")), "mrad"),
    "no rescale type": (_one(lambda image: delattr(image, "RescaleType")), "without Rescale Type"),
    "no slope": (_one(lambda image: delattr(image, "RescaleSlope")), "Rescale Slope"),
    "slope of 0": (_one(_set(RescaleSlope="0")), "Rescale Slope of 0"),
    "phase beyond pi": (_one(_set(RescaleSlope="9")), "mrad"),
    "no frequency anywhere": (_every(lambda image: delattr(image, "ImageComments")), "frequency_hz"),
    "zero period": (_every(_set(ImageComments="MRE: VP[0]ME[4]")), "period"),
    "negative motion encoding": (_every(_set(ImageComments="MRE: VP[20000]ME[-4]")), "motion encoding"),
    "two motion encodings": (_one(_set(ImageComments="MRE: VP[20000]ME[5]")), "another motion encoding"),
    "no direction anywhere": (_every(lambda image: delattr(image, "VelocityEncodingDirection")), "encoding_matrix"),
    "no direction in one image": (_one(lambda image: delattr(image, "VelocityEncodingDirection")), "direction"),
    "direction that is no unit vector": (_every(_twice_as_long, "series0401_mre/*.dcm"), "encoding of length 2"),
    "encodings in one plane": (_in_one_plane, "separated"),
    "images of two sizes": (_one(_smaller), "as in series"),
    "fewer pixels than announced": (_cut(_file(PHASE_BLOCK + 6), 0.95), "pixels that cannot be read"),
    "slice tilted": (_one(_set(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])), "orientation"),
    "slice shifted": (_one(_shift), "sideways"),
    "slice without signal": (
        _one(lambda image: setattr(image, "PixelData", bytes(len(image.PixelData))), 6),
        "no signal",
    ),
    "one image without its time": (_one(lambda image: delattr(image, "AcquisitionTime")), "acquisition time"),
    "scans without motion": (lambda _: None, "no_motion_series"),
}


@pytest.mark.parametrize("what", CLASSIC)
def test_spoilt_classic_scan_is_refused(what: str, good: Path, tmp_path: Path) -> None:
    """Each of these can be read somehow; reading it somehow is how wrong maps are made."""
    shutil.copytree(good / "philips", tmp_path / "mre")
    spoil, mentioned = CLASSIC[what]
    spoil(tmp_path / "mre")
    settings = IngestSettings(no_motion_series=(401, 501, 601) if what == "scans without motion" else ())
    with pytest.raises(InputError, match=mentioned) as refused:
        read_acquisitions(tmp_path / "mre", settings)
    assert "PHANTOM" not in str(refused.value)


def _frames(change: Callable[[pydicom.Dataset], object], *numbers: int) -> Change:
    """Change the functional groups of some frames, by default of all."""

    def spoil(image: pydicom.Dataset) -> None:
        groups = image.PerFrameFunctionalGroupsSequence
        for number in numbers or range(len(groups)):
            change(groups[number])

    return spoil


def _no_phase(image: pydicom.Dataset) -> None:
    half = image.NumberOfFrames // 2
    image.PixelData = image.PixelData[: len(image.PixelData) // 2]
    image.PerFrameFunctionalGroupsSequence = image.PerFrameFunctionalGroupsSequence[:half]
    image.NumberOfFrames = half


def _without_frame(image: pydicom.Dataset) -> None:
    keep = [n for n in range(image.NumberOfFrames) if n != 50]
    image.PixelData = image.pixel_array[keep].tobytes()
    image.PerFrameFunctionalGroupsSequence = [image.PerFrameFunctionalGroupsSequence[n] for n in keep]
    image.NumberOfFrames = len(keep)


LAST = 2 * 3 * PHASE_BLOCK - 1

ENHANCED: dict[str, tuple[Change | float, str]] = {
    "frame missing": (_without_frame, "no image of slice"),
    "more frames than descriptions": (_set(NumberOfFrames=2 * 3 * PHASE_BLOCK + 1), "descriptions"),
    "truncated pixels": (0.97, "pixels that cannot be read"),
    "phase frames absent": (_no_phase, "no phase images"),
    "frame twice": (_frames(lambda g: setattr(g.FrameContentSequence[0], "TemporalPositionIndex", 1), LAST), "second"),
    "frame in other units": (
        _frames(lambda g: setattr(g.PixelValueTransformationSequence[0], "RescaleType", "US"), LAST),
        "frame 72.*mrad",
    ),
    "frame without scale": (_frames(lambda g: delattr(g, "PixelValueTransformationSequence"), LAST), "Rescale"),
    "frame without place": (_frames(lambda g: delattr(g, "PlanePositionSequence"), LAST), "Image Position"),
    "no frequency": (_frames(lambda g: delattr(g.FrameContentSequence[0], "FrameComments")), "frequency_hz"),
    "no directions": (_frames(lambda g: delattr(g, "MRVelocityEncodingSequence")), "encoding"),
}


@pytest.mark.parametrize("what", ENHANCED)
def test_spoilt_multi_frame_file_is_refused(what: str, good: Path, tmp_path: Path) -> None:
    """A file with thousands of frames must say which of them is wrong."""
    shutil.copytree(good / "philips-enhanced", tmp_path / "mre")
    change, mentioned = ENHANCED[what]
    if callable(change):
        edit(tmp_path / "mre" / "mre.dcm", change)
    else:
        _cut("mre.dcm", change)(tmp_path / "mre")
    with pytest.raises(InputError, match=mentioned):
        read_acquisitions(tmp_path / "mre")


def test_two_of_three_scans_are_two_directions(good: Path, tmp_path: Path) -> None:
    """Headers that state each scan's direction leave no doubt: what was measured is read, and no more is claimed."""
    shutil.copytree(good / "philips", tmp_path / "mre")
    (whole,), _ = read_acquisitions(tmp_path / "mre")
    shutil.rmtree(tmp_path / "mre" / "series0501_mre")
    (found,), _ = read_acquisitions(tmp_path / "mre")
    assert len(found.encoding_axes) == 2
    assert not found.direction_assumed
    kept = [int(np.abs(whole.encoding_axes @ axis).argmax()) for axis in found.encoding_axes]
    np.testing.assert_array_equal(found.phase_rad, whole.phase_rad[kept])
