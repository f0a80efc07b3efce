"""What scans may be in any layout: several frequencies in a series, a twin without motion, alternating polarity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings, Vendor
from palpate.errors import InputError
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import Scan, acquire
from palpate.imaging.phantom.vendors import WRITERS, ingest_settings
from tests.imaging.phantom.test_vendors import FEW_FILES_FIRST, VENDORS, few_voxels
from tests.imaging.scanner import edit

QUIET = PhantomSettings(lesion=None, noise_percent=0.0, motion_rad=0.0, background_rad=0.0, offsets=4)
CLASSIC: tuple[Vendor, ...] = tuple(vendor for vendor in VENDORS if vendor != "philips-enhanced")
SMALL = few_voxels()


def told(vendor: Vendor, **settings: object) -> IngestSettings:
    """What the vendor's headers do not say, and more."""
    known = dict(ingest_settings(QUIET.model_copy(update={"vendor": vendor})))
    return IngestSettings.model_validate(known | settings)


def measure(settings: PhantomSettings = QUIET, share: float = 1.0) -> Scan:
    """A scan of so much of the motion."""
    return acquire(settings, SMALL.grid, share * SMALL.displacement_m, np.ones(SMALL.grid.shape))


def write(folder: Path, vendor: Vendor, scan: Scan, settings: PhantomSettings = QUIET, name: str = "one") -> None:
    """Write a scan."""
    folder.mkdir(parents=True)
    WRITERS[vendor](folder, Identity("01", "01", name), settings, SMALL.grid, scan)


def change_all(folder: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change every file of a folder."""
    for path in [path for path in sorted(folder.rglob("*")) if path.is_file()]:
        edit(path, change)


def _join(image: pydicom.Dataset, first: pydicom.Dataset) -> None:
    """Make an image of another scan one of the first's study and series of that number, further behind."""
    image.SOPInstanceUID = generate_uid(entropy_srcs=[image.SOPInstanceUID, "joined"])
    for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
        setattr(image, name, first[name].value)
    image.InstanceNumber += 1000
    if "ImageComments" in image:
        image.ImageComments = image.ImageComments.replace("fI[0]", "fI[1]")


@pytest.mark.parametrize("vendor", CLASSIC)
def test_several_frequencies_in_one_series(vendor: Vendor, tmp_path: Path) -> None:
    """A multi-frequency scan is one series; each frequency must come out as if it had been scanned alone."""
    scans = {}
    for hz, share in ((80.0, 1.0), (50.0, 0.5)):
        settings = QUIET.model_copy(update={"frequency_hz": hz})
        scans[hz] = measure(settings, share)
        write(tmp_path / f"{hz:g}", vendor, scans[hz], settings)
        write(tmp_path / f"alone {hz:g}", vendor, scans[hz], settings)
    _merge(tmp_path / "50", tmp_path / "80")
    found, _ = read_acquisitions(tmp_path / "80", told(vendor))
    assert sorted(one.frequency_hz for one in found) == [50.0, 80.0]
    assert len({one.run for one in found}) == 1
    for one in found:
        (alone,), _ = read_acquisitions(tmp_path / f"alone {one.frequency_hz:g}", told(vendor))
        np.testing.assert_array_equal(one.phase_rad, alone.phase_rad)
        np.testing.assert_array_equal(one.magnitude, alone.magnitude)
        np.testing.assert_array_equal(one.encoding_axes, alone.encoding_axes)


def _merge(source: Path, target: Path) -> None:
    """Put the images of one scan into the series of another's."""
    for folder in sorted(source.iterdir()):
        first = pydicom.dcmread(min((target / folder.name).iterdir()))
        for path in sorted(folder.iterdir()):

            def change(image: pydicom.Dataset, first: pydicom.Dataset = first) -> None:
                _join(image, first)
                image.SeriesInstanceUID = first.SeriesInstanceUID

            edit(path, change)
            path.rename(target / folder.name / f"later{path.name}")


@pytest.mark.parametrize("vendor", FEW_FILES_FIRST)
def test_noise_is_that_of_the_scan_without_motion(vendor: Vendor, tmp_path: Path) -> None:
    """With four offsets one harmonic is left for the noise, and 0.2 rad of motion in it must not pass for noise."""
    moving, still = measure(), measure(share=0.0)
    noise_rad, generator = 0.03, np.random.default_rng(0)
    tilt = np.linspace(-1, 1, SMALL.grid.shape[0])[:, None, None]
    second = 0.2 * np.array([1, -1, 1, -1])[None, :, None, None, None] * tilt
    noise = noise_rad * generator.normal(size=moving.phase_rad.shape)
    write(tmp_path / "mre", vendor, _with_phase(moving, moving.phase_rad + second))
    write(tmp_path / "mre" / "still", vendor, _with_phase(still, still.phase_rad + noise), name="still")
    numbers: set[int] = set()

    def joined(image: pydicom.Dataset) -> None:
        _join(image, first)
        # As the scanner would count on: GE leaves hundreds to what it derives.
        image.SeriesNumber += 1000 if vendor == "philips" else 10
        numbers.add(int(image.SeriesNumber))

    first = pydicom.dcmread(next(path for path in sorted((tmp_path / "mre").rglob("*")) if path.is_file()))
    change_all(tmp_path / "mre" / "still", joined)
    without = told(vendor, no_motion_series=sorted(numbers))
    ((one,), _), (two, _) = (
        read_acquisitions(tmp_path / "mre", without),
        read_acquisitions(tmp_path / "mre", told(vendor)),
    )
    assert len(two) == 2
    assert one.still_phase_rad is not None
    (field,) = ingest(tmp_path / "mre", "sub-01", tmp_path / "out", anatomy=None, settings=without)
    expected_m = 1e-6 * QUIET.menc_um_per_rad * noise_rad * np.sqrt(2 / QUIET.offsets)
    # 60 voxels of three directions, three noise samples each.
    assert field.noise_std_m == pytest.approx(expected_m, rel=4 / np.sqrt(2 * 60 * 3 * 3))


def _with_phase(scan: Scan, phase_rad: np.ndarray) -> Scan:
    return replace(scan, phase_rad=np.angle(np.exp(1j * phase_rad)))


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_scan_without_motion_that_is_not_there(vendor: Vendor, tmp_path: Path) -> None:
    """A mistyped number would leave the scan that was meant among those with motion: a wave field of noise."""
    write(tmp_path / "mre", vendor, measure())
    with pytest.raises(InputError, match="series 4711, which"):
        read_acquisitions(tmp_path / "mre", told(vendor, no_motion_series=[4711]))


def test_a_scan_without_motion_on_other_voxels(tmp_path: Path) -> None:
    """Noise depends on the voxels; that of others says nothing."""
    write(tmp_path / "mre", "siemens", measure())
    write(tmp_path / "mre" / "still", "siemens", measure(share=0.0), name="still")
    first = pydicom.dcmread(next((tmp_path / "mre" / "series045_mre_M").iterdir()))

    def elsewhere(image: pydicom.Dataset) -> None:
        _join(image, first)
        image.SeriesNumber += 10
        image.SpacingBetweenSlices = 5

    change_all(tmp_path / "mre" / "still", elsewhere)
    with pytest.raises(InputError, match="no scan without motion on the voxels"):
        read_acquisitions(tmp_path / "mre", told("siemens", no_motion_series=[55]))


ALTERNATING = np.array([1, -1, 1, -1])[None, :, None, None, None]
TETRAHEDRAL = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
SCHEMES = {
    "reference and three": np.vstack([np.zeros((1, 3)), np.eye(3)]),
    "six-point": np.vstack([np.eye(3), -np.eye(3)]),
    "tetrahedral": TETRAHEDRAL,
}


def test_brain_images_whose_polarity_alternates(tmp_path: Path) -> None:
    """Interleaved polarity: every other offset plays the opposite encodings, and the motion stays what it was."""
    scan = measure()
    write(tmp_path / "plain", "ge-brain", scan)
    write(tmp_path / "mre", "ge-brain", replace(scan, phase_rad=scan.phase_rad * ALTERNATING))
    (plain,), _ = read_acquisitions(tmp_path / "plain", told("ge-brain"))
    (found,), _ = read_acquisitions(tmp_path / "mre", told("ge-brain", encoding_polarity="alternating"))
    # Real and imaginary parts are whole numbers of up to 16000, and a pair is subtracted.
    np.testing.assert_allclose(found.phase_rad, plain.phase_rad, atol=4 * 0.71 / 16000)
    np.testing.assert_array_equal(found.encoding_axes, plain.encoding_axes)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_separate_scans_whose_polarity_alternates(scheme: str, tmp_path: Path) -> None:
    """Four and six scans with a common static phase and no word on directions: the settings alone make the motion."""
    settings = QUIET.model_copy(update={"menc_um_per_rad": 30.0, "slice_interval_ms": 0.0})
    rows = SCHEMES[scheme]
    write(tmp_path / "mre", "philips", _encoded(rows, SMALL.grid, settings, ALTERNATING), settings)
    change_all(tmp_path / "mre", lambda image: delattr(image, "VelocityEncodingDirection"))
    chosen = told("philips", encoding_matrix=rows.tolist(), encoding_polarity="alternating")
    (found,) = ingest(tmp_path / "mre", "sub-01", tmp_path / "out", anatomy=None, settings=chosen)
    # Half a level of 1.5346 mrad in each image; N offsets and a sum over encodings only average it.
    error_um = 1e6 * np.abs(found.displacement_m - SMALL.displacement_m).max()
    assert error_um < settings.menc_um_per_rad * 1.5346e-3 * np.sqrt(3)


def _encoded(rows: np.ndarray, grid: ScanGrid, settings: PhantomSettings, signs: np.ndarray) -> Scan:
    """A scan of these encodings along the image's axes, with a static phase that no smooth function describes."""
    axes = rows @ grid.axes.T
    moments = np.exp(2j * np.pi * np.arange(settings.offsets) / settings.offsets)
    along_rad = np.einsum("ed,ijkd->eijk", axes, 1e6 * SMALL.displacement_m / settings.menc_um_per_rad)
    moving = (along_rad[:, None] * moments[None, :, None, None, None]).real
    static = np.random.default_rng(2).uniform(-np.pi, np.pi, grid.shape)
    phase = np.angle(np.exp(1j * (signs * moving + static)))
    unit = axes + np.where(np.linalg.norm(axes, axis=1, keepdims=True) == 0, 1.0, 0.0)
    return Scan(phase, np.full(phase.shape, 900.0), unit, np.zeros(grid.shape[2]), 0.0, 0.0)


def test_alternating_polarity_without_anything_to_subtract(tmp_path: Path) -> None:
    """Three encodings alone cannot tell the static phase from a sign: refused, with the setting's name."""
    write(tmp_path / "mre", "ge", measure())
    with pytest.raises(InputError, match=r"no reference to subtract.*encoding_polarity"):
        read_acquisitions(tmp_path / "mre", told("ge", encoding_polarity="alternating"))
