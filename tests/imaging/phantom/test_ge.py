"""GE's two layouts, written and read back: what the scan measured must come out, whatever order the files have."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from palpate.config.ingest import IngestSettings
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.ge import stored_phase, write_complex_images, write_waves
from palpate.imaging.phantom.grid import block, rotation
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import Scan, acquire
from tests.imaging.phantom.conftest import Vibration

IDENTITY = Identity("01", "01", "test")
ALONG_IMAGE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
QUIET = {"noise_percent": 0.0, "motion_rad": 0.0, "offsets": 4}
VENDORS = ["ge", "ge-brain"]
# Half a stored step: of a milliradian; of two images of 16000 with an error of up to 0.71 each.
STEP_RAD = {"ge": 0.5e-3 * np.pi / 3.1415, "ge-brain": 2 * 0.71 / 16000}


def few_voxels(vibration: Vibration, degrees: tuple[float, float, float]) -> Vibration:
    """The same patient on few voxels, the slices turned by so much about R, A and S."""
    axes = rotation(degrees) @ np.diag([-1.0, -1.0, 1.0])
    grid = block(np.array([3.0, -7.0, 11.0]), axes, (4, 3, 2), 2.5)
    wave = 1e-6 * np.exp(-0.2j * grid.points_mm) @ np.array([[3, 1j, 0], [0, 4, 2], [1, 0, 5j]])
    return replace(vibration, grid=grid, displacement_m=wave)


@pytest.fixture
def small(vibration: Vibration) -> Vibration:
    """An oblique scan of few voxels, for what needs no wave field."""
    return few_voxels(vibration, (10.0, -20.0, 30.0))


def told(vendor: str, vibration: Vibration) -> IngestSettings:
    """What GE's headers do not say. Two opposite brain images make the phase: MENC of one is twice the scan's."""
    if vendor == "ge":
        return IngestSettings(encoding_matrix=ALONG_IMAGE, menc_um_per_rad=vibration.settings.menc_um_per_rad)
    return IngestSettings(menc_um_per_rad=2 * vibration.settings.menc_um_per_rad)


def measure(vibration: Vibration, **changes: object) -> Scan:
    """A scan with other settings."""
    settings = vibration.settings.model_copy(update=QUIET | changes)
    return acquire(settings, vibration.grid, vibration.displacement_m, np.ones(vibration.grid.shape))


def write(folder: Path, vendor: str, vibration: Vibration, scan: Scan) -> Path:
    """Write a scan's MRE only."""
    folder.mkdir(exist_ok=True)
    writer = {"ge": write_waves, "ge-brain": write_complex_images}[vendor]
    writer(folder, IDENTITY, vibration.settings, vibration.grid, scan)
    return folder


def edit_all(folder: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change every DICOM file below a folder."""
    for path in sorted(folder.rglob("*.dcm")):
        image = pydicom.dcmread(path)
        change(image)
        image.save_as(path, enforce_file_format=True)


def assert_phase(found: PhaseAcquisition, scan: Scan, step_rad: float) -> None:
    """Every direction is one of the scan's, maybe with the other sign, to the storage's step and modulo a turn."""
    cosines = found.encoding_axes @ scan.encoding_axes.T
    assert np.abs(cosines).max(axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    for direction, row in enumerate(cosines):
        of_scan = int(np.abs(row).argmax())
        expected = np.sign(row[of_scan]) * scan.phase_rad[of_scan]
        difference = np.angle(np.exp(1j * (found.phase_rad[direction] - expected)))
        assert np.abs(difference).max() <= step_rad + 1e-9


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_reader_finds_what_was_measured(vendor: str, small: Vibration, tmp_path: Path) -> None:
    """Phase, magnitude, axes, times and places survive the files, to half a step of what they store."""
    scan = measure(small, menc_um_per_rad=0.5)
    assert scan.wrapped_share > 0.2
    folder = write(tmp_path / "mre", vendor, small, scan)
    (found,), _ = read_acquisitions(folder, told(vendor, small))
    assert_phase(found, scan, STEP_RAD[vendor])
    assert found.affine_mm == pytest.approx(small.grid.affine_mm, abs=1e-5)
    assert found.frequency_hz == small.settings.frequency_hz
    assert found.menc_um_per_rad is None
    assert found.encoding_gain == {"ge": 1.0, "ge-brain": 2.0}[vendor]
    assert found.slice_time_s == pytest.approx(scan.slice_times_ms / 1e3)
    assert found.magnitude / found.magnitude.mean() == pytest.approx(np.ones_like(found.magnitude), abs=2e-3)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_order_of_files_does_not_matter(vendor: str, small: Vibration, tmp_path: Path) -> None:
    """Archives rename and reorder files at will."""
    folder = write(tmp_path / "mre", vendor, small, measure(small))
    (before,), _ = read_acquisitions(folder, told(vendor, small))
    files = sorted(folder.rglob("*.dcm"))
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for number, place in enumerate(np.random.default_rng(0).permutation(len(files))):
        files[place].rename(mixed / f"{number:05d}")
    (after,), _ = read_acquisitions(mixed, told(vendor, small))
    assert np.array_equal(after.phase_rad, before.phase_rad)
    assert np.array_equal(after.affine_mm, before.affine_mm)


@pytest.mark.parametrize("vendor", VENDORS)
def test_headers_that_do_not_tell_images_apart(vendor: str, small: Vibration, tmp_path: Path) -> None:
    """Where an archive dropped (0043,102F) and the private creators, numbering alone must lead to the same images."""
    folder = write(tmp_path / "mre", vendor, small, measure(small))
    (before,), _ = read_acquisitions(folder, told(vendor, small))

    def drop(image: pydicom.Dataset) -> None:
        for element in ((0x0043, 0x102F), (0x0043, 0x0010), (0x0019, 0x0010)):
            del image[element]

    edit_all(folder, drop)
    (after,), _ = read_acquisitions(folder, told(vendor, small))
    assert np.array_equal(after.phase_rad, before.phase_rad)


@pytest.mark.parametrize("degrees", [(0.0, 0.0, 0.0), (35.0, -20.0, 50.0), (90.0, 0.0, 0.0), (0.0, 180.0, 30.0)])
@pytest.mark.parametrize("vendor", VENDORS)
def test_oblique_slices(vendor: str, degrees: tuple[float, float, float], vibration: Vibration, tmp_path: Path) -> None:
    """Slices may be turned any way, even upside down; slice order and encoding axes must follow them."""
    turned = few_voxels(vibration, degrees)
    scan = measure(turned)
    (found,), _ = read_acquisitions(write(tmp_path / "mre", vendor, turned, scan), told(vendor, turned))
    assert found.affine_mm == pytest.approx(turned.grid.affine_mm, abs=1e-5)
    assert_phase(found, scan, STEP_RAD[vendor])


def test_encodings_along_world_axes(small: Vibration, tmp_path: Path) -> None:
    """Some sequences encode along the magnet's axes whatever the slices do: then the frame is the world."""
    folder = write(tmp_path / "mre", "ge", small, measure(small))
    chosen = IngestSettings(encoding_matrix=ALONG_IMAGE, encoding_frame="world")
    (found,), _ = read_acquisitions(folder, chosen)
    assert found.encoding_axes == pytest.approx(np.eye(3))


def test_milliradians() -> None:
    """A stored value of 1000 is 1000 pi / 3141.5: the scale that every phase and hence every displacement hangs on."""
    assert stored_phase(np.array([1000 * np.pi / 3141.5, -np.pi, 0.0])).tolist() == [1000, -3142, 0]


MAINS = {(0x0043, 0x1082): ["SRMode=100", "lineFreq=60"]}
FREQUENCIES = {
    "MEG data": (MAINS | {(0x0043, 0x10A2): ["62.5", "8"], (0x0019, 0x10BC): "0", (0x0019, 0x10B4): "0"}, 62.5),
    "newer variable": (MAINS | {(0x0019, 0x10BC): "40", (0x0019, 0x10B4): "30"}, 40.0),
    "older variable": (MAINS | {(0x0019, 0x10BC): "-1", (0x0019, 0x10B4): "30"}, 30.0),
    "settings": (MAINS, 70.0),
}


@pytest.mark.parametrize("name", FREQUENCIES)
def test_where_the_frequency_is_stated(name: str, small: Vibration, tmp_path: Path) -> None:
    """Releases differ in where they state it, none as the mains of the site; stiffness grows with its square."""
    elements, expected = FREQUENCIES[name]
    folder = write(tmp_path / "mre", "ge", small, measure(small, offsets=8))

    def state(image: pydicom.Dataset) -> None:
        for tag in ((0x0043, 0x1082), (0x0043, 0x10A2), (0x0019, 0x10BC)):
            del image[tag]
        for tag, value in elements.items():
            image.add_new(tag, "LO" if tag == (0x0043, 0x1082) else "DS", value)

    edit_all(folder, state)
    (found,), _ = read_acquisitions(folder, told("ge", small).model_copy(update={"frequency_hz": 70.0}))
    assert found.frequency_hz == expected


def test_screen_saves_and_derived_maps_are_passed_over(small: Vibration, tmp_path: Path) -> None:
    """An export of the whole examination holds them all; only raw series are measurements."""
    scan = measure(small)
    folder = write(tmp_path / "mre", "ge", small, scan)
    for number in (701, 705, 707, 720):
        copied = folder / f"derived{number}"
        shutil.copytree(folder / "series007_mre", copied)

        def derive(image: pydicom.Dataset, number: int = number) -> None:
            image.SeriesNumber, image.SeriesInstanceUID = number, f"1.2.3.{number}"
            image.SOPInstanceUID = f"1.2.3.{number}.{image.InstanceNumber}"
            if number == 720:
                image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"

        edit_all(copied, derive)
    (found,), _ = read_acquisitions(folder, told("ge", small))
    assert_phase(found, scan, STEP_RAD["ge"])


def test_two_frequencies_are_one_run_and_a_repetition_another(small: Vibration, tmp_path: Path) -> None:
    """Frequencies on the same voxels are inverted together; a repeated scan is kept apart from what it repeats."""
    scan = measure(small)
    for number, frequency in ((5, 50.0), (6, 60.0), (7, 50.0)):
        settings = small.settings.model_copy(update={"frequency_hz": frequency})
        (tmp_path / "mre").mkdir(exist_ok=True)
        write_complex_images(tmp_path / "mre", IDENTITY, settings, small.grid, scan, series=number)
    found, _ = read_acquisitions(tmp_path / "mre", told("ge-brain", small))
    assert [(one.frequency_hz, one.run) for one in found] == [(50.0, 0), (60.0, 0), (50.0, 1)]


@pytest.mark.long
def test_noise_comes_from_the_scan_without_motion(vibration: Vibration, tmp_path: Path) -> None:
    """With four offsets only the second harmonic is left to measure noise from, and real motion gets into it.

    Here it holds 0.2 rad of motion, ten times the noise: the scan with the actuator off must not care.
    """
    scan, generator = measure(vibration, slice_interval_ms=0.0), np.random.default_rng(0)
    noise_rad = 0.03
    nonlinear = 0.2 * np.array([1, -1, 1, -1])[None, :, None, None, None]
    tilt = np.linspace(-1, 1, vibration.grid.shape[0])[:, None, None] ** 2
    noise = noise_rad * generator.normal(size=(2, *scan.phase_rad.shape))
    moving = replace(scan, phase_rad=np.angle(np.exp(1j * (scan.phase_rad + nonlinear * tilt + noise[0]))))
    still = replace(scan, phase_rad=noise[1])
    folder = tmp_path / "mre"
    write(folder, "ge-brain", vibration, moving)
    write_complex_images(folder, IDENTITY, vibration.settings, vibration.grid, still, series=6)
    chosen = told("ge-brain", vibration).model_copy(update={"no_motion_series": (6,)})
    (found,) = ingest(folder, "sub-01_ses-01", tmp_path / "out", anatomy=None, settings=chosen)
    expected_m = 1e-6 * vibration.settings.menc_um_per_rad * noise_rad * np.sqrt(2 / 4)
    assert found.noise_std_m == pytest.approx(expected_m, rel=0.05)
    record = json.loads((tmp_path / "out" / "sub-01_ses-01_ingest.json").read_text())
    assert record["series_number_without_motion"] == 6
