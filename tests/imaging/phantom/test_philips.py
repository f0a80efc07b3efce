"""Philips' two layouts of one measurement: what is written is read back, and nothing depends on how it was packed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.grid import ScanGrid, block, rotation
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import Scan, acquire
from palpate.imaging.phantom.vendors import WRITERS
from palpate.imaging.wavefield import WaveField
from tests.imaging.scanner import edit

LEVEL_RAD = 1.5346e-3
FEW = (5, 4, 2)
"""Voxels for laws that need many files."""
PHILIPS = ("philips", "philips-enhanced")
QUIET = PhantomSettings(lesion=None, noise_percent=0.0, motion_rad=0.0, background_rad=0.5, offsets=4)


def write(
    folder: Path, vendor: str, settings: PhantomSettings = QUIET, shape: tuple[int, int, int] = (8, 6, 3)
) -> tuple[Scan, ScanGrid, NDArray[np.complex128]]:
    """Write a scan of crossing waves in a small block; also its grid and U in metres."""
    axes = rotation(settings.tilt_deg) @ np.diag([-1.0, -1.0, 1.0])
    grid = block(np.array([-12.0, 5.0, 20.0]), axes, shape, 2.0)
    points = grid.points_mm
    moved_m = 1e-6 * (np.exp(-0.2j * points[..., :1]) * [0, 6, 4j] + np.exp(-0.18j * points[..., 2:]) * [5j, 3, 0])
    scan = acquire(settings, grid, moved_m, np.ones(shape))
    save(folder, vendor, settings, grid, scan)
    return scan, grid, moved_m


def save(folder: Path, vendor: str, settings: PhantomSettings, grid: ScanGrid, scan: Scan) -> None:
    """Write a scan as one vendor stores it."""
    folder.mkdir(parents=True)
    WRITERS[vendor](folder, Identity("01", "01", "a test"), settings, grid, scan)


def read(folder: Path, **settings: object) -> PhaseAcquisition:
    """The one acquisition of a folder."""
    (acquisition,), _ = read_acquisitions(folder, IngestSettings(**settings))
    return acquisition


def field(folder: Path, out: Path, **settings: object) -> WaveField:
    """The one wave field of a folder."""
    (found,) = ingest(folder, "sub-01", out, anatomy=None, settings=IngestSettings(**settings))
    return found


@pytest.mark.parametrize("vendor", PHILIPS)
@pytest.mark.parametrize("tilt_deg", [(0.0, 0.0, 0.0), (35.0, -20.0, 50.0)])
def test_phase_comes_back_to_half_a_level(vendor: str, tilt_deg: tuple[float, ...], tmp_path: Path) -> None:
    """The reader must give what was measured, where it was measured: scale, slices, time and axes, however oblique."""
    settings = QUIET.model_copy(update={"tilt_deg": tilt_deg})
    scan, grid, _ = write(tmp_path / "mre", vendor, settings)
    found = read(tmp_path / "mre")
    np.testing.assert_allclose(found.affine_mm, grid.affine_mm, atol=1e-5)
    assert (found.frequency_hz, found.menc_um_per_rad, found.encoding_gain) == (50.0, 4.0, 1.0)
    np.testing.assert_allclose(
        found.slice_time_s, scan.slice_times_ms / 1e3 - scan.slice_times_ms.min() / 1e3, atol=2e-6
    )
    order = np.abs(scan.encoding_axes @ found.encoding_axes.T).argmax(axis=1)
    # An axis may point the other way if its phase is negative too.
    signs = np.sign(np.sum(found.encoding_axes[order] * scan.encoding_axes, axis=1))
    np.testing.assert_allclose(found.encoding_axes[order], signs[:, None] * scan.encoding_axes, atol=1e-12)
    turned = signs[:, None, None, None, None] * found.phase_rad[order]
    difference = np.angle(np.exp(1j * (turned - scan.phase_rad)))
    assert np.abs(difference).max() < 0.5 * LEVEL_RAD + 1e-9
    # Magnitude has 12 bits of each image's largest value.
    np.testing.assert_allclose(found.magnitude[order], scan.magnitude, rtol=0.6 / 4095)


def test_both_layouts_are_one_measurement(tmp_path: Path) -> None:
    """With noise and motion: packing must not change a bit of what is read."""
    settings = QUIET.model_copy(update={"noise_percent": 2.0, "motion_rad": 0.02})
    for vendor in PHILIPS:
        write(tmp_path / vendor, vendor, settings, FEW)
    one, other = (read(tmp_path / vendor) for vendor in PHILIPS)
    np.testing.assert_array_equal(one.phase_rad, other.phase_rad)
    np.testing.assert_array_equal(one.magnitude, other.magnitude)
    np.testing.assert_array_equal(one.encoding_axes, other.encoding_axes)


def _shuffle_files(folder: Path) -> None:
    """Other names and other InstanceNumbers: no order but that which headers state."""
    generator = np.random.default_rng(0)
    for scan in sorted(folder.iterdir()):
        files = sorted(scan.glob("*.dcm"))
        for file, number in zip(files, generator.permutation(len(files)), strict=True):
            edit(file, lambda image, n=number: setattr(image, "InstanceNumber", int(n) + 1))
            file.rename(scan / f"x{number:04d}.dcm")


def _shuffle_frames(folder: Path) -> None:
    def change(image: pydicom.Dataset) -> None:
        order = np.random.default_rng(0).permutation(image.NumberOfFrames)
        frames = list(image.PerFrameFunctionalGroupsSequence)
        image.PixelData = image.pixel_array[order].tobytes()
        image.PerFrameFunctionalGroupsSequence = Sequence([frames[n] for n in order])

    edit(folder / "mre.dcm", change)


@pytest.mark.parametrize(("vendor", "shuffle"), list(zip(PHILIPS, (_shuffle_files, _shuffle_frames), strict=True)))
def test_order_of_files_and_frames_does_not_matter(
    vendor: str, shuffle: Callable[[Path], None], tmp_path: Path
) -> None:
    """Archives give images back in any order."""
    write(tmp_path / "mre", vendor, shape=FEW)
    before = read(tmp_path / "mre")
    shuffle(tmp_path / "mre")
    after = read(tmp_path / "mre")
    np.testing.assert_array_equal(after.phase_rad, before.phase_rad)
    np.testing.assert_array_equal(after.magnitude, before.magnitude)


def test_a_damaged_direction_is_no_exam_of_two(tmp_path: Path) -> None:
    """An image of the third direction's series lost its number: what is left must not be read as two directions."""
    write(tmp_path / "mre", "philips", shape=FEW)
    *_, last = sorted((tmp_path / "mre").rglob("*.dcm"))
    edit(last, lambda image: delattr(image, "InstanceNumber"))
    with pytest.raises(InputError, match=r"no Instance Number"):
        read(tmp_path / "mre")


@pytest.mark.parametrize("vendor", PHILIPS)
def test_every_image_has_its_own_scale(vendor: str, tmp_path: Path) -> None:
    """Philips chooses slope and intercept image by image; one image's scale for all is a silent error."""
    write(tmp_path / "mre", vendor, shape=FEW)
    before = read(tmp_path / "mre")
    generator = np.random.default_rng(1)
    for file in sorted((tmp_path / "mre").rglob("*.dcm")):
        edit(file, lambda image: _other_scales(image, generator))
    np.testing.assert_allclose(read(tmp_path / "mre").phase_rad, before.phase_rad, atol=1e-9)


def _other_scales(image: pydicom.Dataset, generator: np.random.Generator) -> None:
    """The same values by another slope and intercept: stored values are multiplied and shifted."""
    frames = image.get("PerFrameFunctionalGroupsSequence")
    scales = [image] if frames is None else [one.PixelValueTransformationSequence[0] for one in frames]
    pixels = image.pixel_array.reshape(len(scales), image.Rows, image.Columns)
    changed = np.empty_like(pixels)
    for n, scale in enumerate(scales):
        factor, shift = 2 ** int(generator.integers(0, 4)), int(generator.integers(0, 500))
        changed[n] = pixels[n] * factor + shift
        slope = float(scale.RescaleSlope) / factor
        scale.RescaleIntercept = f"{float(scale.RescaleIntercept) - slope * shift:.12g}"
        scale.RescaleSlope = f"{slope:.12g}"
    image.BitsStored, image.HighBit = 16, 15
    image.PixelData = changed.tobytes()


def _silence(image: pydicom.Dataset) -> None:
    """Take out what real Philips headers do not hold: comment and direction of the encoding."""
    if "PerFrameFunctionalGroupsSequence" in image:
        for groups in image.PerFrameFunctionalGroupsSequence:
            del groups.MRVelocityEncodingSequence
            del groups.FrameContentSequence[0].FrameComments
    else:
        del image.VelocityEncodingDirection, image.ImageComments


def test_settings_say_what_headers_do_not(tmp_path: Path) -> None:
    """Separate scans with silent headers, as from the scanner, are read by three settings, and the errors name them."""
    _, _, moved_m = write(tmp_path / "mre", "philips")
    for file in (tmp_path / "mre").rglob("*.dcm"):
        edit(file, _silence)
    stated: dict[str, object] = {
        "frequency_hz": 50.0,
        "menc_um_per_rad": 4.0,
        # Normal, down the rows, against the columns: the order in which the phantom scans.
        "encoding_matrix": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    }
    for name in ("frequency_hz", "encoding_matrix"):
        with pytest.raises(Exception, match=name):
            read(tmp_path / "mre", **{key: value for key, value in stated.items() if key != name})
    found = field(tmp_path / "mre", tmp_path / "out", **stated)
    assert np.abs(found.displacement_m - moved_m).max() < 1e-3 * np.abs(moved_m).max()


TETRAHEDRAL = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
SCHEMES = {
    "three and a reference": np.vstack([np.eye(3), np.zeros((1, 3))]),
    "six-point": np.vstack([np.eye(3), -np.eye(3)]),
    "tetrahedral": TETRAHEDRAL,
}


@pytest.mark.parametrize(
    ("scheme", "vendor"),
    [("three and a reference", "philips"), ("six-point", "philips-enhanced"), ("tetrahedral", "philips-enhanced")],
)
def test_other_schemes_of_encoding(scheme: str, vendor: str, tmp_path: Path) -> None:
    """Differences of encodings, with a static phase that no smooth function describes, give the same motion."""
    _, grid, moved_m = write(tmp_path / "unused", "philips-enhanced")
    axes = SCHEMES[scheme] @ grid.axes.T
    settings = QUIET.model_copy(update={"menc_um_per_rad": 30.0, "slice_interval_ms": 0.0})
    moments = np.exp(2j * np.pi * np.arange(settings.offsets) / settings.offsets)
    along_rad = np.einsum("ed,ijkd->eijk", axes, 1e6 * moved_m / settings.menc_um_per_rad)
    static = np.random.default_rng(2).uniform(-np.pi, np.pi, grid.shape)
    phase = (along_rad[:, None] * moments[None, :, None, None, None]).real + static
    scan = Scan(
        phase_rad=np.angle(np.exp(1j * phase)),
        magnitude=np.full(phase.shape, 900.0),
        encoding_axes=axes,
        slice_times_ms=np.zeros(grid.shape[2]),
        noise_std_um=0.0,
        wrapped_share=0.0,
    )
    save(tmp_path / "mre", vendor, settings, grid, scan)
    found = field(tmp_path / "mre", tmp_path / "out")
    # Half a level in each image; N offsets and a sum over encodings only average it; 30 um/rad make it 0.03 um.
    assert np.abs(found.displacement_m - moved_m).max() < 1e-6 * settings.menc_um_per_rad * LEVEL_RAD * np.sqrt(3)


@pytest.mark.long
def test_several_frequencies_in_one_series(tmp_path: Path) -> None:
    """A multi-frequency scan is one series; frequencies must come apart, ordered, none mixed into another."""
    _, _, moved_m = write(tmp_path / "mre", "philips", QUIET.model_copy(update={"frequency_hz": 80.0}))
    write(tmp_path / "more", "philips", QUIET)
    for file in sorted((tmp_path / "more").rglob("*.dcm")):
        edit(file, _as_later_image)
        file.rename(tmp_path / "mre" / file.parent.name / f"later{file.name}")
    fields = ingest(tmp_path / "mre", "sub-01", tmp_path / "out", anatomy=None, settings=IngestSettings())
    assert [one.frequency_hz for one in fields] == [50.0, 80.0]
    for one in fields:
        assert np.abs(one.displacement_m - moved_m).max() < 1e-3 * np.abs(moved_m).max()


def _as_later_image(image: pydicom.Dataset) -> None:
    image.SOPInstanceUID = generate_uid(entropy_srcs=[image.SOPInstanceUID])
    image.InstanceNumber += 1000


def test_real_and_imaginary_images_serve_as_well(tmp_path: Path) -> None:
    """Some exports hold complex images instead of phase and magnitude."""
    scan, _, _ = write(tmp_path / "mre", "philips", shape=FEW)
    before = read(tmp_path / "mre")
    for file in sorted((tmp_path / "mre").rglob("*.dcm")):
        edit(file, lambda image: _complex_part(image, scan))
    after = read(tmp_path / "mre")
    difference = np.angle(np.exp(1j * (after.phase_rad - before.phase_rad)))
    assert np.abs(difference).max() < LEVEL_RAD


def _complex_part(image: pydicom.Dataset, scan: Scan) -> None:
    """Turn a magnitude image into the real part of the signal, and a phase image into the imaginary part."""
    direction = (int(image.SeriesNumber) - 401) // 100
    offset = int(image.TemporalPositionIdentifier) - 1
    within = (int(image.InstanceNumber) - 1) % (FEW[2] * scan.phase_rad.shape[1])
    index = (direction, offset, slice(None), slice(None), within // scan.phase_rad.shape[1])
    signal = scan.magnitude[index] * np.exp(1j * scan.phase_rad[index])
    kind, values = ("R", signal.real) if image.ImageType[3] == "M" else ("I", signal.imag)
    image.ImageType = [*image.ImageType[:3], kind, "FFE"]
    image.private_block(0x2005, "Philips MR Imaging DD 001")[0x11].value = kind
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = "0.05", "-1638.4", "normalized"
    image.BitsStored, image.HighBit = 16, 15
    image.PixelData = np.ascontiguousarray(np.rint((values.T + 1638.4) / 0.05).astype(np.uint16)).tobytes()


SCALES = {"R": (0.05, 2.0), "I": (0.2, 7.0)}
"""Rescale slope and scale slope of each part: what is shown has another scale in both."""
ZERO = 30000.0


def test_parts_of_unequal_slopes_have_one_scale(tmp_path: Path) -> None:
    """Shown values over slope times scale slope are on one scale; shown as they are, another phase comes out."""
    scan, _, _ = write(tmp_path / "mre", "philips", shape=FEW)
    before = read(tmp_path / "mre")
    files = sorted((tmp_path / "mre").rglob("*.dcm"))
    for file in files:
        edit(file, lambda image: _scaled_part(image, scan))
    after = read(tmp_path / "mre")
    error_rad = np.angle(np.exp(1j * (after.phase_rad - before.phase_rad)))
    assert np.abs(error_rad).max() < LEVEL_RAD
    for file in files:
        edit(file, lambda image: image.private_block(0x2005, "Philips MR Imaging DD 001").__delitem__(0x0E))
    shown = read(tmp_path / "mre")
    assert np.abs(np.angle(np.exp(1j * (shown.phase_rad - before.phase_rad)))).max() > 0.5


def _scaled_part(image: pydicom.Dataset, scan: Scan) -> None:
    """Real and imaginary part as _complex_part, each stored with slopes of its own."""
    _complex_part(image, scan)
    slope, scale = SCALES[image.ImageType[3]]
    values = image.pixel_array * 0.05 - 1638.4
    image.RescaleSlope, image.RescaleIntercept = f"{slope:g}", f"{-slope * ZERO:g}"
    image.private_block(0x2005, "Philips MR Imaging DD 001").add_new(0x0E, "FL", scale)
    image.PixelData = np.rint(values * scale + ZERO).astype(np.uint16).tobytes()


def test_a_scale_slope_in_some_images_only_is_refused(tmp_path: Path) -> None:
    """Their values have no common scale."""
    write(tmp_path / "mre", "philips", shape=FEW)
    file = sorted((tmp_path / "mre").rglob("*.dcm"))[0]
    edit(file, lambda image: image.private_block(0x2005, "Philips MR Imaging DD 001").add_new(0x0E, "FL", 2.0))
    with pytest.raises(InputError, match=r"scale slope, .2005,100E., in some images only"):
        read(tmp_path / "mre")


def test_two_runs_of_three_scans(tmp_path: Path) -> None:
    """Six series of one encoding each are two acquisitions, in the order of their numbers."""
    scan, grid, _ = write(tmp_path / "mre" / "first", "philips", shape=FEW)
    save(tmp_path / "mre" / "second", "philips", QUIET, grid, replace(scan, phase_rad=-scan.phase_rad))
    for file in sorted((tmp_path / "mre" / "second").rglob("*.dcm")):
        edit(file, _as_later_series)
    acquisitions, _ = read_acquisitions(tmp_path / "mre")
    assert [one.run for one in acquisitions] == [0, 1]
    turned = np.angle(np.exp(1j * (acquisitions[0].phase_rad + acquisitions[1].phase_rad)))
    assert np.abs(turned).max() < LEVEL_RAD


def _as_later_series(image: pydicom.Dataset) -> None:
    image.SOPInstanceUID = generate_uid(entropy_srcs=[image.SOPInstanceUID])
    image.SeriesInstanceUID = generate_uid(entropy_srcs=[image.SeriesInstanceUID])
    image.SeriesNumber += 1000
