"""Unusable GE exports: each must end with one sentence that says where and what, names no patient, and helps."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings
from palpate.errors import InputError
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.phantom.ge import write_complex_images, write_waves
from palpate.imaging.phantom.grid import block
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import Scan

ALONG_IMAGE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
LIVER, BRAIN = IngestSettings(encoding_matrix=ALONG_IMAGE), IngestSettings()
OFFSETS, SLICES = 3, 3
WAVES = OFFSETS * SLICES

type Spoiler = Callable[[Path], object]
type Change = Callable[[pydicom.Dataset], object]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both layouts of a tiny scan: ge/series007_mre ... 009, brain/series005_mre."""
    folder = tmp_path_factory.mktemp("sound")
    grid = block(np.zeros(3), np.diag([-1.0, -1.0, 1.0]), (4, 3, SLICES), 2.0)
    shape = (3, OFFSETS, *grid.shape)
    phase = np.random.default_rng(0).uniform(-3, 3, size=shape)
    axes = np.stack([grid.axes[:, 2], grid.axes[:, 1], -grid.axes[:, 0]])
    scan = Scan(phase, np.full(shape, 500.0), axes, np.zeros(SLICES), 0.0, 0.0)
    for name, writer in (("ge", write_waves), ("brain", write_complex_images)):
        (folder / name).mkdir()
        writer(folder / name, Identity("01", "01", name), PhantomSettings(), grid, scan)
    return folder


def _file(path: Path, number: int) -> Path:
    """A file of the first series."""
    return sorted(path.rglob(f"i{number:05d}.dcm"))[0]


def _edit(file: Path, change: Change) -> None:
    image = pydicom.dcmread(file)
    change(image)
    image.save_as(file, enforce_file_format=True)


def _one(change: Change, number: int = 2) -> Spoiler:
    return lambda path: _edit(_file(path, number), change)


def _every(change: Change) -> Spoiler:
    def spoil(path: Path) -> None:
        for file in sorted(path.rglob("*.dcm")):
            _edit(file, change)

    return spoil


def _series(series: str, change: Change) -> Spoiler:
    return lambda path: _every(change)(path / series)


def _without(*numbers: int) -> Spoiler:
    def spoil(path: Path) -> None:
        for number in numbers:
            _file(path, number).unlink()

    return spoil


def _set(**values: object) -> Change:
    def change(image: pydicom.Dataset) -> None:
        for name, value in values.items():
            setattr(image, name, value)

    return change


def _private(group: int, element: int, value: object) -> Change:
    return lambda image: image[group, element].__setattr__("value", value)


def _pixels(value: int) -> Change:
    def change(image: pydicom.Dataset) -> None:
        image.PixelData = np.full((image.Rows, image.Columns), value, dtype=np.int16).tobytes()

    return change


def _slice(height_mm: float, change: Change | None) -> Spoiler:
    """Change all images of one slice, or remove them."""

    def spoil(path: Path) -> None:
        for file in sorted(path.rglob("*.dcm")):
            if abs(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient[2] - height_mm) > 0.1:
                continue
            if change is None:
                file.unlink()
            else:
                _edit(file, change)

    return spoil


def _again(path: Path) -> None:
    """An image a second time, with other pixels: which of the two is right, nobody knows."""
    file = _file(path, 2)
    shutil.copyfile(file, file.with_name("again.dcm"))
    _edit(file.with_name("again.dcm"), _otherwise)


def _otherwise(image: pydicom.Dataset) -> None:
    image.SOPInstanceUID = "1.2.3.4"
    image.PixelData = bytes(reversed(image.PixelData))


def _shifted(image: pydicom.Dataset) -> None:
    x, y, z = image.ImagePositionPatient
    image.ImagePositionPatient = [x + 1, y, z]


def _truncated(path: Path) -> None:
    file = _file(path, 2)
    file.write_bytes(file.read_bytes()[:-10])


def _no_frequency(image: pydicom.Dataset) -> None:
    """Only the site's mains is left, which is no frequency of the vibration."""
    del image[0x0043, 0x10A2]


def _no_offsets(image: pydicom.Dataset) -> None:
    del image.NumberOfTemporalPositions
    image[0x0043, 0x10A2].value = "50"


def _two_offsets(image: pydicom.Dataset) -> None:
    image.NumberOfTemporalPositions = 2
    image[0x0043, 0x10A2].value = ["50", "2"]


def _only(kind: int) -> Spoiler:
    """Only the images of one kind, as (0043,102F) numbers them."""

    def spoil(path: Path) -> None:
        for file in sorted(path.rglob("*.dcm")):
            if pydicom.dcmread(file, stop_before_pixels=True)[0x0043, 0x102F].value != kind:
                file.unlink()

    return spoil


def _renumbered(image: pydicom.Dataset) -> None:
    image.SeriesNumber = {7: 701, 8: 805, 9: 907}[int(image.SeriesNumber)]


def _only_stiffness(path: Path) -> None:
    """What is left is one image a slice, numbered as the stiffness of series 7."""
    shutil.rmtree(path / "series008_mre")
    shutil.rmtree(path / "series009_mre")
    seen = set()
    for file in sorted(path.rglob("*.dcm")):
        place = str(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient)
        if place in seen:
            file.unlink()
        else:
            seen.add(place)
            _edit(file, _set(SeriesNumber=700))


def _swapped_halves(image: pydicom.Dataset) -> None:
    """Magnitudes first, and no kinds in the header."""
    del image[0x0043, 0x102F]
    image.InstanceNumber = (int(image.InstanceNumber) + WAVES - 1) % (2 * WAVES) + 1


# What is spoilt, how, and what the sentence must mention so that a user finds it.
LIVERS: dict[str, tuple[Spoiler, str]] = {
    "inner slice missing": (_slice(0.0, None), "slices"),
    "outer slice missing": (_slice(2.0, None), "2 slices.*expected 3"),
    "slice twice as far": (_slice(2.0, lambda one: setattr(one, "ImagePositionPatient", [-3, -2, 4.0])), "series 7"),
    "slice shifted": (_slice(2.0, _shifted), "in-plane position"),
    "offset missing": (_without(1, 1 + OFFSETS, 1 + 2 * OFFSETS), "series 7"),
    "one wave missing": (_without(2), "5 images of slice 1 of 3"),
    "magnitudes missing": (_only(1), "3 images of every slice"),
    "waves missing": (_only(0), "3 images of every slice"),
    "image a second time": (_again, "a second time"),
    "frequencies differ within a series": (_one(_private(0x0043, 0x10A2, ["60", str(OFFSETS)])), "another frequency"),
    "frequencies differ between series": (
        _series("series009_mre", _private(0x0043, 0x10A2, ["60", str(OFFSETS)])),
        "2 series at 50 Hz",
    ),
    "no frequency anywhere": (_every(_no_frequency), "no vibration frequency.*frequency_hz"),
    "frequencies that contradict": (_every(_private(0x0019, 0x10BC, "60")), "contradict.*50 Hz.*60 Hz"),
    "only derived maps": (_every(_renumbered), "701, 805, 907.*raw"),
    "only stiffness": (_only_stiffness, "700.*stiffness.*raw"),
    "only screen saves": (_every(_set(SamplesPerPixel=3, PhotometricInterpretation="RGB")), "left out: colour image"),
    "pixels truncated": (_truncated, "i00002.dcm"),
    "not milliradians": (_one(_pixels(4000)), "4000.*milliradians"),
    "rescaled": (_every(_set(RescaleSlope=2, RescaleIntercept=0)), "rescale slope"),
    "negative magnitudes": (_one(_pixels(-5), 2 * WAVES), "negative"),
    "magnitudes before waves": (_every(_swapped_halves), "negative|milliradians"),
    "no number of offsets": (_every(_no_offsets), "Temporal Positions"),
    "offsets that contradict": (_every(_set(NumberOfTemporalPositions=8)), "8 temporal positions and 3 offsets"),
    "numbers of offsets differ": (_one(_set(NumberOfTemporalPositions=8)), "another Number of Temporal Positions"),
    "slice without its time": (_one(lambda one: delattr(one, "TriggerTime"), 1), "acquisition time"),
    "two offsets": (_every(_two_offsets), "2 time offsets"),
    "one direction": (
        lambda path: [shutil.rmtree(path / f"series00{n}_mre") for n in (8, 9)],
        "1 motion-encoding direction .50 Hz, 3 offsets, 3 slices.*three independent",
    ),
    "two directions": (lambda path: shutil.rmtree(path / "series009_mre"), "2 motion-encoding directions"),
    "directions on other voxels": (_series("series008_mre", _shifted), "series 8.*another grid"),
}
BRAINS: dict[str, tuple[Spoiler, str]] = {
    "only real parts": (_only(2), "18 images of every slice"),
    "an imaginary part missing": (_without(2), "35 images of slice 1"),
    "a pair missing in every slice": (_without(1, 2, 13, 14, 25, 26), "34 images of every slice"),
    "two imaginary parts": (_one(_private(0x0043, 0x102F, 3), 1), "17 real and 19 imaginary"),
    "a negative encoding on another grid": (_one(_shifted, 3), "in-plane position"),
    "another pixel spacing": (_one(_set(PixelSpacing=[1, 1]), 3), "pixel spacing"),
    "frequency zero": (_every(_private(0x0019, 0x10BC, "0")), "no vibration frequency"),
}


def _refused(source: Path, spoil: Spoiler, settings: IngestSettings, tmp_path: Path) -> str:
    """The sentence with which a spoilt copy is refused."""
    shutil.copytree(source, tmp_path / "mre")
    spoil(tmp_path / "mre")
    with pytest.raises(InputError) as caught:
        read_acquisitions(tmp_path / "mre", settings)
    assert "PALPATE" not in str(caught.value)
    assert "PHANTOM-01" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", LIVERS)
def test_liver_series_are_refused(name: str, sound: Path, tmp_path: Path) -> None:
    """A wrong image taken for a right one would become stiffness that nobody can tell from the truth."""
    spoil, expected = LIVERS[name]
    assert re.search(expected, _refused(sound / "ge", spoil, LIVER, tmp_path))


@pytest.mark.parametrize("name", BRAINS)
def test_brain_series_are_refused(name: str, sound: Path, tmp_path: Path) -> None:
    """A pair that is not a pair still has a phase difference, only one that means nothing."""
    spoil, expected = BRAINS[name]
    assert re.search(expected, _refused(sound / "brain", spoil, BRAIN, tmp_path))


SETTINGS: dict[str, tuple[str, IngestSettings, str]] = {
    "no matrix": ("ge", IngestSettings(), "3 series of waves.*encoding_matrix"),
    "more rows than series": ("ge", IngestSettings(encoding_matrix=(*ALONG_IMAGE, (0, 0, 0))), "3 series of waves"),
    "rows in a plane": ("ge", IngestSettings(encoding_matrix=((1, 0, 0), (0, 1, 0), (1, 1, 0))), "encoding_matrix"),
    "other encodings than images": (
        "brain",
        IngestSettings(encoding_matrix=((0, 0, 0), *ALONG_IMAGE)),
        "36 images.*expected 24|4 encodings",
    ),
    "everything without motion": ("brain", IngestSettings(no_motion_series=(5,)), "no_motion_series"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_do_not_fit_are_refused(name: str, sound: Path, tmp_path: Path) -> None:
    """The encoding is the one thing no header states: a scheme that cannot be right must not be used."""
    source, settings, expected = SETTINGS[name]
    assert re.search(expected, _refused(sound / source, lambda _: None, settings, tmp_path))
