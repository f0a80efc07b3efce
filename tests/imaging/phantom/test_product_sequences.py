"""Product sequences of Siemens and Philips, whose headers state neither frequency nor directions: settings do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.dicom.vocabulary import frequencies_in, known_words
from palpate.imaging.files.nifti import read_nifti
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import RAS_TO_LPS, Identity, fill, place, save
from palpate.imaging.phantom.philips import write_classic
from palpate.imaging.phantom.scan import Scan, acquire
from palpate.imaging.phantom.siemens import stored_phase
from palpate.imaging.wavefield import WaveField
from tests.imaging.phantom.conftest import Vibration, crossing_waves
from tests.imaging.phantom.test_vendors import tilted
from tests.imaging.scanner import edit

OFFSETS = 4
QUIET = PhantomSettings(
    lesion=None, noise_percent=0.0, motion_rad=0.0, background_rad=1.6, offsets=OFFSETS, frequency_hz=60.0
)
PERSON = Identity("01", "01", "product")
TOLD = {"frequency_hz": 60.0, "encoding_frame": "world"}
SEQUENCE = "*epseM2d1"


@dataclass(frozen=True)
class Measured:
    """A scan, where it lies, and the settings that state what its headers do not.

    Attributes:
        vibration: the truth.
        scan: the images.
        told: ingest settings.
    """

    vibration: Vibration
    scan: Scan
    told: Mapping[str, object]

    @property
    def grid(self) -> ScanGrid:
        """Where the slices lie."""
        return self.vibration.grid


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Crossing waves in oblique slices, as in tests.imaging.phantom.test_vendors."""
    vibration = tilted(crossing_waves(), (12, 11, 3), (35.0, -20.0, 50.0))
    scan = acquire(QUIET, vibration.grid, vibration.displacement_m, np.ones(vibration.grid.shape))
    matrix = scan.encoding_axes.tolist()
    return Measured(vibration, scan, TOLD | {"encoding_matrix": matrix, "menc_um_per_rad": QUIET.menc_um_per_rad})


def write_siemens(folder: Path, measured: Measured, directions: Sequence[Sequence[int]] = ((0,), (1,), (2,))) -> None:
    """Write classic images of a slice each: for each group of directions a magnitude and a phase series, and waves."""
    for position, group in enumerate(directions):
        # Derived waves are other images, so that taking them would be seen.
        kinds = (["M", "ND"], ["P", "ND"], ["P", "WV"])[: 3 if position == 0 else 2]
        for kind, words in enumerate(kinds):
            series = 10 + 10 * position + kind
            (folder / f"s{series}").mkdir(parents=True)
            indices = [(d, n, k) for d in group for n in range(OFFSETS) for k in range(measured.grid.shape[2])]
            for number, (d, n, k) in enumerate(indices, start=1):
                image = _siemens_image(measured, series, number, (d, n, k))
                image.ImageType = ["DERIVED" if "WV" in words else "ORIGINAL", "PRIMARY", *words]
                if "P" in words:
                    shown = measured.scan.phase_rad[d, n if kind == 1 else 0, :, :, k]
                    fill(image, stored_phase(shown).T, bits=12)
                    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = -4096, 2, "US"
                else:
                    fill(image, np.rint(measured.scan.magnitude[d, n, :, :, k]).astype(np.uint16).T, bits=12)
                save(image, folder / f"s{series}" / f"{number:04d}.dcm")


def _siemens_image(measured: Measured, series: int, number: int, index: tuple[int, int, int]) -> Dataset:
    direction, offset, k = index
    image = PERSON.image(series, number)
    place(image, measured.grid, RAS_TO_LPS @ (measured.grid.affine_mm @ [0, 0, k, 1])[:3])
    image.Manufacturer, image.SequenceName = "Siemens Healthineers", SEQUENCE
    image.SeriesDescription = image.ProtocolName = "brain waves"
    image.ScanningSequence, image.SequenceVariant, image.ScanOptions, image.MRAcquisitionType = "EP", "SK", "", "2D"
    seconds = 36000 + 10 * (direction * OFFSETS + offset) + measured.scan.slice_times_ms[k] / 1e3
    image.AcquisitionTime = f"{int(seconds // 3600):02d}{int(seconds % 3600 // 60):02d}{seconds % 60:09.6f}"
    return image


def write_philips(folder: Path, measured: Measured, description: str) -> None:
    """Write the classic Philips layout with the words of the product sequence, and magnitude as series of their own."""
    folder.mkdir()
    write_classic(folder, PERSON, QUIET, measured.grid, measured.scan)

    def as_product(image: Dataset) -> None:
        is_phase = image.ImageType[3] == "P"
        image.ImageType = ["ORIGINAL", "PRIMARY", "MRE", "OTHER", "P"] if is_phase else ["ORIGINAL", "PRIMARY", "M_SE"]
        image.SeriesDescription = image.ProtocolName = description
        del image.ImageComments, image.VelocityEncodingDirection
        image.remove_private_tags()
        if not is_phase:
            image.SeriesNumber += 1
            image.SeriesInstanceUID = PERSON.uid("magnitude", int(image.SeriesNumber))

    every(folder, as_product)


def every(folder: Path, change: Callable[[Dataset], object], pattern: str = "*/*") -> None:
    """Change every file that matches."""
    for path in sorted(folder.glob(pattern)):
        edit(path, change)


def _item(**values: object) -> Items:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Items([item])


def as_enhanced(folder: Path) -> None:
    """Pack each series of classic images into one multi-frame file, as software XA writes it."""
    for series in sorted(folder.iterdir()):
        files = [pydicom.dcmread(path) for path in sorted(series.iterdir())]
        image, is_phase, is_wave = files[0], "P" in files[0].ImageType, "WV" in files[0].ImageType
        frames = []
        for one in files:
            own = Dataset()
            own.PlanePositionSequence = _item(ImagePositionPatient=one.ImagePositionPatient)
            own.FrameContentSequence = _item(FrameAcquisitionDateTime=f"20260105{one.AcquisitionTime}")
            if is_phase:
                own.PixelValueTransformationSequence = _item(RescaleSlope=2, RescaleIntercept=-4096, RescaleType="US")
            frames.append(own)
        kind = ["ORIGINAL", "PRIMARY", "ELASTO", "WAVE" if is_wave else "NONE"]
        shared = Dataset()
        shared.PlaneOrientationSequence = _item(ImageOrientationPatient=image.ImageOrientationPatient)
        shared.PixelMeasuresSequence = _item(PixelSpacing=image.PixelSpacing, SliceThickness=2.0)
        shared.MRImageFrameTypeSequence = _item(
            FrameType=kind, ComplexImageComponent="PHASE" if is_phase else "MAGNITUDE"
        )
        pixels = np.stack([one.pixel_array for one in files])
        for name in (
            "ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
            "RescaleType", "AcquisitionTime", "SequenceName",
        ):  # fmt: skip
            if name in image:
                delattr(image, name)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
        image.ImageType, image.NumberOfFrames = kind, len(frames)
        image.SharedFunctionalGroupsSequence, image.PerFrameFunctionalGroupsSequence = Items([shared]), Items(frames)
        image.PixelData = pixels.tobytes()
        for path in series.iterdir():
            path.unlink()
        image.save_as(series / "all.dcm", enforce_file_format=True)


def as_mosaics(folder: Path) -> None:
    """Join the images of a direction and offset into a mosaic, with its number of slices."""
    for series in sorted(folder.iterdir()):
        files = [pydicom.dcmread(path) for path in sorted(series.iterdir())]
        n_slices = len({tuple(one.ImagePositionPatient) for one in files})
        for path in series.iterdir():
            path.unlink()
        for number in range(len(files) // n_slices):
            slices = files[number * n_slices : (number + 1) * n_slices]
            image, side = slices[0], int(np.ceil(np.sqrt(n_slices)))
            rows, columns = image.Rows, image.Columns
            tiled = np.zeros((side * rows, side * columns), np.uint16)
            for k, one in enumerate(slices):
                top, left = k // side * rows, k % side * columns
                tiled[top : top + rows, left : left + columns] = one.pixel_array
            between = np.linalg.norm(np.subtract(slices[1].ImagePositionPatient, slices[0].ImagePositionPatient))
            axes = np.asarray(image.ImageOrientationPatient, float).reshape(2, 3)
            extent = (side - 1) / 2 * np.array([columns, rows]) * np.asarray(image.PixelSpacing, float)[::-1]
            corner = np.asarray(image.ImagePositionPatient, float) - extent @ axes
            image.ImagePositionPatient = [round(float(value), 8) for value in corner]
            image.SpacingBetweenSlices = round(float(between), 8)
            image.ImageType = [*image.ImageType, "MOSAIC"]
            block = image.private_block(0x0019, "SIEMENS MR HEADER", create=True)
            block.add_new(0x0A, "US", n_slices)
            seconds = [float(str(one.AcquisitionTime)[4:]) for one in slices]
            block.add_new(0x29, "FD", [1e3 * (one - min(seconds)) for one in seconds])
            image.InstanceNumber, (image.Rows, image.Columns) = number + 1, tiled.shape
            image.PixelData = tiled.tobytes()
            image.save_as(series / f"{number + 1:04d}.dcm", enforce_file_format=True)


def field_of(folder: Path, out: Path, told: Mapping[str, object]) -> WaveField:
    """Return the one wave field of a folder."""
    settings = IngestSettings.model_validate(dict(told))
    (field,) = ingest(folder, "sub-01_ses-01", out, anatomy=None, settings=settings)
    return field


def demand_truth(field: WaveField, measured: Measured) -> None:
    """Assert that a wave field is the vibration, to the tolerance of tests.imaging.phantom.test_vendors."""
    truth = measured.vibration.displacement_m
    assert field.affine_mm == pytest.approx(measured.grid.affine_mm, abs=1e-4)
    assert field.frequency_hz == 60.0
    error = np.abs(field.displacement_m - truth)[field.mask].max() / np.abs(truth).max()
    assert field.mask.mean() > 0.5
    assert error < 1e-3


PACKINGS: dict[str, Callable[[Path], object]] = {
    "classic": lambda _: None,
    "mosaics": as_mosaics,
    "enhanced": as_enhanced,
}


@pytest.fixture(scope="module")
def siemens(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classic images of three directions, to be copied and changed."""
    folder = tmp_path_factory.mktemp("siemens") / "in"
    write_siemens(folder, measured)
    return folder


@pytest.fixture(scope="module")
def acquisition(siemens: Path, measured: Measured) -> PhaseAcquisition:
    """What is read of them."""
    return read(siemens, measured.told)


def read(folder: Path, told: Mapping[str, object]) -> PhaseAcquisition:
    """Return the one acquisition of a folder."""
    (found,), _ = read_acquisitions(folder, IngestSettings.model_validate(dict(told)))
    return found


def demand_same(one: PhaseAcquisition, other: PhaseAcquisition) -> None:
    """Assert that two acquisitions are one measurement."""
    np.testing.assert_array_equal(one.phase_rad, other.phase_rad)
    np.testing.assert_array_equal(one.magnitude, other.magnitude)
    np.testing.assert_allclose(one.affine_mm, other.affine_mm, atol=1e-5)
    np.testing.assert_allclose(one.encoding_axes, other.encoding_axes, atol=1e-6)
    np.testing.assert_allclose(one.slice_time_s, other.slice_time_s, atol=2e-6)
    assert one.frequency_hz == other.frequency_hz


def test_siemens_by_settings_is_the_truth(siemens: Path, measured: Measured, tmp_path: Path) -> None:
    """Derived waves beside the images are no measurement; they are kept as the scanner's own."""
    demand_truth(field_of(siemens, tmp_path / "out", measured.told), measured)
    rows = (tmp_path / "out" / "sub-01_ses-01_series.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in rows if "scanner's waves" in row] == ["12"]
    waves = read_nifti(tmp_path / "out" / "sub-01_ses-01_acq-60Hz_desc-scanner_waves.nii.gz").values
    assert waves.shape == (*measured.grid.shape, OFFSETS)


@pytest.mark.parametrize("packing", PACKINGS)
def test_packing_changes_nothing(
    packing: str, siemens: Path, acquisition: PhaseAcquisition, measured: Measured, tmp_path: Path
) -> None:
    """Classic images, mosaics and enhanced files of one scan are one measurement, de-identified or not."""
    shutil.copytree(siemens, tmp_path / "in")
    PACKINGS[packing](tmp_path / "in")
    if packing != "classic":
        demand_same(read(tmp_path / "in", measured.told), acquisition)
    deidentify(tmp_path / "in", tmp_path / "clean", tmp_path / "key", subject="01")
    demand_same(read(tmp_path / "clean", measured.told), acquisition)


@pytest.mark.parametrize("counted", [True, False], ids=["offsets counted", "in order of time"])
def test_all_directions_in_one_series(
    *, counted: bool, acquisition: PhaseAcquisition, measured: Measured, tmp_path: Path
) -> None:
    """One series of 12 images a slice is three encodings of four offsets, if the matrix has three rows."""
    write_siemens(tmp_path / "in", measured, [(0, 1, 2)])
    slices = measured.grid.shape[2]
    if counted:
        every(
            tmp_path / "in",
            lambda one: setattr(one, "TemporalPositionIdentifier", (one.InstanceNumber - 1) // slices % OFFSETS + 1),
        )
    demand_same(read(tmp_path / "in", measured.told), acquisition)


def test_philips_takes_the_frequency_from_its_description(
    measured: Measured, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The product sequence names it nowhere else; also after de-identification, which keeps no more than the number."""
    write_philips(tmp_path / "in", measured, "MRE_60 Hz of Mustermann")
    told = {name: value for name, value in measured.told.items() if name != "frequency_hz"}
    demand_truth(field_of(tmp_path / "in", tmp_path / "out", told), measured)
    assert "60 Hz, as its description says" in capsys.readouterr().err
    deidentify(tmp_path / "in", tmp_path / "clean", tmp_path / "key", subject="01")
    assert read(tmp_path / "clean", told).frequency_hz == 60.0
    # A setting goes before a description.
    assert read(tmp_path / "in", {**told, "frequency_hz": 61.0}).frequency_hz == 61.0


@pytest.mark.parametrize(
    ("text", "found", "kept"),
    [
        ("MRE_60Hz", (60.0,), "mre 60hz"),
        ("liverMRE60Hz_v2", (60.0,), "60hz"),
        ("brain 62.5 Hz", (62.5,), "brain 62.5hz"),
        ("mre 40/60Hz", (60.0,), "mre 40 60hz"),
        ("mre 30Hz 50hz", (30.0, 50.0), "mre 30hz 50hz"),
        ("mre 1628 Hz/Px", (), "mre"),
        ("mre 60", (), "mre 60"),
    ],
)
def test_frequencies_in_descriptions(text: str, found: tuple[float, ...], kept: str) -> None:
    """A number with its unit, wherever it stands; never a bandwidth, and never another word."""
    assert frequencies_in(text) == found
    assert known_words(text) == kept


def _described(*texts: str) -> Callable[[Path], object]:
    """Give the phase series these descriptions, in their order."""

    def change(folder: Path) -> None:
        for series, text in zip((11, 21, 31), texts, strict=True):
            every(folder, lambda one, text=text: setattr(one, "SeriesDescription", text), f"s{series}/*")

    return change


def _without(*numbers: int) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        for number in numbers:
            for path in (folder / f"s{number}").iterdir():
                path.unlink()

    return change


NO_HZ, NO_MATRIX = ("frequency_hz",), ("encoding_matrix",)
REFUSED: dict[str, tuple[Callable[[Path], object], tuple[str, ...], str]] = {
    "no frequency": (lambda _: None, NO_HZ, r"no frequency.*frequency_hz: 60"),
    "no matrix": (lambda _: None, NO_MATRIX, r"60 Hz, 4 offsets, 3 slices.*encoding_matrix, such as"),
    "neither": (lambda _: None, NO_HZ + NO_MATRIX, "no frequency .* and no direction .*expected both"),
    "several frequencies in a description": (_described(*3 * ["40 Hz 60 Hz"]), NO_HZ, "no frequency"),
    "bandwidth in a description": (_described(*3 * ["1600 Hz/Px"]), NO_HZ, "no frequency"),
    "one setting for two frequencies": (_described("60Hz", "80Hz", "60Hz"), (), "60 and 80 Hz"),
    "one direction": (_without(20, 21, 30, 31), (), "1 motion-encoding direction .60 Hz, 4 offsets, 3 slices"),
    "one direction, nothing set": (
        _without(20, 21, 30, 31),
        NO_HZ + NO_MATRIX,
        "1 motion-encoding direction .frequency not stated, 4 offsets, 3 slices",
    ),
    "two directions": (_without(30, 31), (), "2 motion-encoding directions"),
    "a phase series too many": (_without(30, 31, 21), (), "1 motion-encoding direction"),
    "magnitude lacking": (_without(20), (), "as many magnitude images"),
    "waves only": (_without(11, 20, 21, 30, 31), (), "Siemens product: .* raw phase"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_name_the_cause(what: str, siemens: Path, measured: Measured, tmp_path: Path) -> None:
    """Each sentence leads to the one thing that is missing: a setting by its name, or a series."""
    spoil, unset, mentioned = REFUSED[what]
    shutil.copytree(siemens, tmp_path / "in")
    spoil(tmp_path / "in")
    told = {name: value for name, value in measured.told.items() if name not in unset}
    with pytest.raises(InputError, match=mentioned):
        read_acquisitions(tmp_path / "in", IngestSettings.model_validate(told))


def test_two_described_frequencies_are_two_acquisitions(siemens: Path, measured: Measured, tmp_path: Path) -> None:
    """Without a setting, each series has the frequency that its own description names."""
    shutil.copytree(siemens, tmp_path / "in")

    def again(one: Dataset) -> None:
        one.SeriesNumber += 100
        one.SeriesInstanceUID = PERSON.uid("again", int(one.SeriesNumber))
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[one.SOPInstanceUID])
        one.SeriesDescription = "waves 80 Hz"

    shutil.copytree(siemens, tmp_path / "more")
    every(tmp_path / "more", again)
    every(tmp_path / "in", lambda one: setattr(one, "SeriesDescription", "waves 60 Hz"))
    (tmp_path / "more").rename(tmp_path / "in" / "more")
    told = {name: value for name, value in measured.told.items() if name != "frequency_hz"}
    found, _ = read_acquisitions(tmp_path / "in", IngestSettings.model_validate(told))
    assert [one.frequency_hz for one in found] == [60.0, 80.0]


def test_one_direction_of_philips(measured: Measured, tmp_path: Path) -> None:
    """A single scan without a stated direction is through the slices; the frequency comes from its description."""
    write_philips(tmp_path / "in", measured, "mre 60Hz")
    for number in (501, 601):
        for path in (tmp_path / "in" / f"series0{number}_mre").iterdir():
            path.unlink()
    found = read(tmp_path / "in", {})
    assert found.frequency_hz == 60.0
    assert found.direction_assumed
    np.testing.assert_allclose(found.encoding_axes, measured.grid.axes.T[2:], atol=1e-6)


@pytest.mark.parametrize("directions", [(0,), (0, 2)], ids=["one", "two"])
def test_fewer_directions_of_siemens(directions: tuple[int, ...], measured: Measured, tmp_path: Path) -> None:
    """What was measured along each stated direction is the vibration's part along it, whatever the others did."""
    write_siemens(tmp_path / "in", measured, [(d,) for d in directions])
    axes = measured.scan.encoding_axes[list(directions)]
    told = {**measured.told, "encoding_matrix": axes.tolist(), "mask_by": "magnitude"}
    ingest(tmp_path / "in", "sub-01", tmp_path / "out", anatomy=None, settings=IngestSettings.model_validate(told))
    (field,) = read_wave_fields(tmp_path / "out")
    assert field.directions == pytest.approx(axes, abs=1e-6)
    truth = measured.vibration.displacement_m @ axes.T
    assert np.abs(field.displacement_m - truth)[field.mask].max() / np.abs(truth).max() < 1e-3


def test_one_direction_of_siemens_that_nobody_states(measured: Measured, tmp_path: Path) -> None:
    """A single series is through the slices, if its frequency is told; several are not guessed."""
    write_siemens(tmp_path / "in", measured, [(2,)])
    told = {name: value for name, value in measured.told.items() if name != "encoding_matrix"}
    found = read(tmp_path / "in", told)
    assert found.direction_assumed
    np.testing.assert_allclose(found.encoding_axes, measured.grid.axes.T[2:], atol=1e-6)
