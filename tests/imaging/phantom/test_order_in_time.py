"""The order of offsets: told by headers of every vendor, by whichever of them do, never by the names of files."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings, Vendor
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.phantom.grid import block, rotation
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import acquire
from palpate.imaging.phantom.vendors import WRITERS, ingest_settings
from tests.imaging.scanner import edit

VENDORS: tuple[Vendor, ...] = get_args(Vendor.__value__)
SHAPE = (4, 3, 2)
QUIET = PhantomSettings(lesion=None, noise_percent=0.0, motion_rad=0.0, background_rad=0.5, offsets=4)

type Change = Callable[[pydicom.Dataset], object]


def _write(folder: Path, vendor: Vendor) -> IngestSettings:
    """A scan of crossing waves on few voxels; what to tell its reader."""
    settings = QUIET.model_copy(update={"vendor": vendor})
    grid = block(np.array([-12.0, 5.0, 20.0]), rotation((10.0, -20.0, 30.0)) @ np.diag([-1.0, -1.0, 1.0]), SHAPE, 2.0)
    points = grid.points_mm
    moved_m = 1e-6 * (np.exp(-0.2j * points[..., :1]) * [0, 6, 4j] + np.exp(-0.18j * points[..., 2:]) * [5j, 3, 0])
    folder.mkdir()
    WRITERS[vendor](
        folder, Identity("01", "01", "a test"), settings, grid, acquire(settings, grid, moved_m, np.ones(SHAPE))
    )
    return IngestSettings.model_validate(ingest_settings(settings))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _shuffle(folder: Path, seed: int = 0) -> None:
    """Rename every file at random, and put the frames of a multi-frame file into another order."""
    generator = random.Random(seed)
    for path in _files(folder):
        edit(path, lambda image: _shuffle_frames(image, generator))
        path.rename(path.with_name(f"{generator.getrandbits(64):016x}{path.suffix}"))


def _shuffle_frames(image: pydicom.Dataset, generator: random.Random) -> None:
    if "PerFrameFunctionalGroupsSequence" not in image:
        return
    order = list(range(int(image.NumberOfFrames)))
    generator.shuffle(order)
    frames, pixels = image.PerFrameFunctionalGroupsSequence, image.pixel_array
    image.PixelData = pixels[order].tobytes()
    image.PerFrameFunctionalGroupsSequence = Sequence([frames[n] for n in order])


def _read(folder: Path, told: IngestSettings) -> PhaseAcquisition:
    (found,), _ = read_acquisitions(folder, told)
    return found


def _demand_same(one: PhaseAcquisition, other: PhaseAcquisition) -> None:
    """Bit for bit: order either is told or it is not."""
    np.testing.assert_array_equal(one.phase_rad, other.phase_rad)
    np.testing.assert_array_equal(one.magnitude, other.magnitude)
    np.testing.assert_array_equal(one.affine_mm, other.affine_mm)
    np.testing.assert_array_equal(one.encoding_axes, other.encoding_axes)
    np.testing.assert_array_equal(one.slice_time_s, other.slice_time_s)
    assert one.frequency_hz == other.frequency_hz


@pytest.mark.parametrize("vendor", VENDORS)
def test_names_and_order_of_files_change_nothing(vendor: Vendor, tmp_path: Path) -> None:
    """Archives rename files, and tools repack frames; a wave field must not know."""
    told = _write(tmp_path / "mre", vendor)
    before = _read(tmp_path / "mre", told)
    for seed in (0, 1):
        _shuffle(tmp_path / "mre", seed)
        _demand_same(_read(tmp_path / "mre", told), before)


def _offset(image: pydicom.Dataset, vendor: Vendor) -> int:
    """Which offset an image of the phantom shows, by how its vendor's writer counts."""
    if vendor == "philips":
        return int(image.TemporalPositionIdentifier) - 1
    number = int(image.InstanceNumber) - 1
    return number % QUIET.offsets if vendor == "ge" else number // (2 * 6 * SHAPE[2])


def _forget(image: pydicom.Dataset) -> None:
    """Take away whatever orders images in a classic header."""
    image.InstanceNumber = 1
    for name in ("TemporalPositionIdentifier", "TemporalPositionIndex", "AcquisitionTime", "AcquisitionDate"):
        if name in image:
            delattr(image, name)


def _state(image: pydicom.Dataset, vendor: Vendor, name: str) -> None:
    """Leave one statement of the order in time, and take away all others."""
    offset = _offset(image, vendor)
    slice_ms = float(image.get("TriggerTime", 0) or 0)
    _forget(image)
    # Later than midnight from the second offset on; each slice at its own time.
    seconds = (86399.0 + 30.0 * offset) % 86400.0 + slice_ms / 1e3
    values = {
        "TemporalPositionIdentifier": offset + 1,
        "TriggerTime": f"{7.0 * offset + slice_ms:g}",
        "AcquisitionTime": f"{seconds // 3600:02.0f}{seconds % 3600 // 60:02.0f}{seconds % 60:09.6f}",
    }
    setattr(image, name, values[name])


@pytest.mark.parametrize("name", ["TemporalPositionIdentifier", "TriggerTime", "AcquisitionTime"])
@pytest.mark.parametrize("vendor", ["ge", "philips"])
def test_any_statement_of_the_order_will_do(vendor: Vendor, name: str, tmp_path: Path) -> None:
    """Where an archive gave all images one number, another statement orders them, across midnight as well."""
    told = _write(tmp_path / "mre", vendor)
    before = _read(tmp_path / "mre", told)
    for path in _files(tmp_path / "mre"):
        edit(path, lambda image: _state(image, vendor, name))
    _shuffle(tmp_path / "mre")
    after = _read(tmp_path / "mre", told)
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.magnitude, before.magnitude)


def _with_air(image: pydicom.Dataset) -> None:
    """Give a wave image a negative corner: in scans noise in air has every phase, here there are twelve voxels."""
    if image[0x0043, 0x102F].value == 1:
        pixels = image.pixel_array.copy()
        pixels[0, 0] = -3000
        image.PixelData = pixels.tobytes()


def test_waves_are_told_from_magnitudes_by_their_sign(tmp_path: Path) -> None:
    """Real exams state kind 0 for all images of a series; without numbers only signed values are waves."""
    told = _write(tmp_path / "mre", "ge")
    for path in _files(tmp_path / "mre"):
        edit(path, _with_air)
    before = _read(tmp_path / "mre", told)

    def alike(image: pydicom.Dataset) -> None:
        _state(image, "ge", "AcquisitionTime")
        image[0x0043, 0x102F].value = 0

    for path in _files(tmp_path / "mre"):
        edit(path, alike)
    _shuffle(tmp_path / "mre")
    after = _read(tmp_path / "mre", told)
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.magnitude, before.magnitude)


def test_one_kind_for_all_images_says_nothing(tmp_path: Path) -> None:
    """Then the order of instances decides: waves come first."""
    told = _write(tmp_path / "mre", "ge")
    before = _read(tmp_path / "mre", told)
    for path in _files(tmp_path / "mre"):
        edit(path, lambda image: setattr(image[0x0043, 0x102F], "value", 0))
    _demand_same(_read(tmp_path / "mre", told), before)


@pytest.mark.parametrize("vendor", ["ge", "ge-brain", "philips"])
def test_an_order_that_nothing_tells_is_refused(vendor: Vendor, tmp_path: Path) -> None:
    """The order of file names would give a wave of any other shape, without a word."""
    told = _write(tmp_path / "mre", vendor)
    for path in _files(tmp_path / "mre"):
        edit(path, _forget)
    _shuffle(tmp_path / "mre")
    with pytest.raises(InputError, match=r"order"):
        _read(tmp_path / "mre", told)


def test_a_trigger_time_that_contradicts_is_refused(tmp_path: Path) -> None:
    """Trigger times and temporal positions both count the vibration's offsets: one of them is wrong."""
    told = _write(tmp_path / "mre", "philips")
    for path in _files(tmp_path / "mre"):
        edit(
            path,
            lambda image: setattr(image, "TriggerTime", (0, 20, 10, 30)[int(image.TemporalPositionIdentifier) - 1]),
        )
    with pytest.raises(InputError, match="trigger times in another order than the temporal positions"):
        _read(tmp_path / "mre", told)


def test_a_missing_or_doubled_offset_is_found(tmp_path: Path) -> None:
    """A gap in the counted offsets is a lost image, not a shorter vibration."""
    told = _write(tmp_path / "mre", "philips")

    def as_first(image: pydicom.Dataset) -> None:
        if image.TemporalPositionIdentifier == 2 and image.InstanceNumber == 2:
            image.TemporalPositionIdentifier = 1
            image.SOPInstanceUID = generate_uid()

    for path in _files(tmp_path / "mre"):
        edit(path, as_first)
    with pytest.raises(InputError, match="a second time"):
        _read(tmp_path / "mre", told)


def _by_dimension(image: pydicom.Dataset) -> None:
    for frame in image.PerFrameFunctionalGroupsSequence:
        del frame.FrameContentSequence[0].TemporalPositionIndex


def _by_moment(image: pydicom.Dataset) -> None:
    _by_dimension(image)
    del image.DimensionIndexSequence


def _by_delay(image: pydicom.Dataset) -> None:
    for frame in image.PerFrameFunctionalGroupsSequence:
        content, delay = frame.FrameContentSequence[0], pydicom.Dataset()
        delay.NominalCardiacTriggerDelayTime = 7.0 * content.TemporalPositionIndex
        frame.CardiacSynchronizationSequence = Sequence([delay])
        del content.FrameAcquisitionDateTime
    _by_moment(image)


FRAMES: Mapping[str, Change] = {"dimension index": _by_dimension, "moment": _by_moment, "trigger delay": _by_delay}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_ordered_by_what_they_state(name: str, tmp_path: Path) -> None:
    """Frames without a temporal position: their index of dimensions, their trigger delay or their time tells."""
    told = _write(tmp_path / "mre", "philips-enhanced")
    before = _read(tmp_path / "mre", told)
    for path in _files(tmp_path / "mre"):
        edit(path, FRAMES[name])
    _shuffle(tmp_path / "mre")
    after = _read(tmp_path / "mre", told)
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.magnitude, before.magnitude)
