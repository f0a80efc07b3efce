"""Inputs that `damaged_bytes` damages: a small sound one of every kind that palpate reads, and its reader."""

from __future__ import annotations

import copy
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
import pydicom
import scipy.io
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.config.phantom import PhantomSettings, Vendor
from palpate.config.study import read_study
from palpate.imaging.anatomy.labels import read_classes, read_regions
from palpate.imaging.anatomy.user_mask import read_user_mask
from palpate.imaging.deidentify.folder import deidentify
from palpate.imaging.dicom.anatomy import read_anatomy
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.files.displacement_arrays import read_displacement_arrays
from palpate.imaging.files.nifti import Volume
from palpate.imaging.files.wavefield_folder import read_wave_fields
from palpate.imaging.ingest import ingest
from palpate.imaging.phantom.grid import ScanGrid, block, rotation
from palpate.imaging.phantom.identity import RAS_TO_LPS, Identity, fill, place, save
from palpate.imaging.phantom.scan import Scan, acquire
from palpate.imaging.phantom.siemens import encoding_comment, stored_phase
from palpate.imaging.phantom.vendors import WRITERS, ingest_settings
from palpate.imaging.wavefield import WaveField

STEM: Final = "sub-01_ses-01"
SHAPE: Final = (6, 5, 4)
AFFINE_MM: Final = np.diag([2.0, 2.0, 2.0, 1.0])
_PERSON: Final = Identity("01", "01", "damaged bytes")
_SETTINGS: Final = PhantomSettings(lesion=None, offsets=4, noise_percent=0.0, motion_rad=0.0)
_ARRAYS: Final = IngestSettings.model_validate(
    {"arrays": {"units": "um", "components": "world", "voxel_mm": [1, 1, 1], "frequencies_hz": [50, 60], "mask": "all"}}
)


@dataclass(frozen=True, slots=True)
class SourceReading:
    """Content of an input as a reader returned it, so that two readings can be compared.

    Attributes:
        values: values of voxels.
        facts: facts of the scan: frequency, affine, encoding axes, times.
    """

    values: NDArray[np.generic]
    facts: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of input.

    Attributes:
        name: name in words.
        write: function that makes the input in an empty folder.
        pattern: pattern of the names of the files that are damaged.
        reach: number of bytes from the start that get most of the damage, where formats are fragile.
        read: function that reads the folder, with a place for output; it returns None where nothing can be compared.
        share: share of this kind in all variants.
        sealed: whether a checksum covers the content, so that a reading must be that of the sound file.
        repeated: whether many files state the same facts, so that damage to one must not change them.
        tolerance: share by which facts may differ: readers take slices for evenly spaced that are so to 2 %.
    """

    name: str
    write: Callable[[Path], object]
    pattern: str
    reach: int
    read: Callable[[Path, Path], SourceReading | None]
    share: float
    sealed: bool = False
    repeated: bool = False
    tolerance: float = 1e-3


def _grid(shape: tuple[int, int, int]) -> ScanGrid:
    axes = rotation((10.0, -20.0, 30.0)) @ np.diag([-1.0, -1.0, 1.0])
    return block(np.array([-12.0, 5.0, 20.0]), axes, shape, 2.0)


def _vendor(name: Vendor, share: float) -> Kind:
    """DICOM of one vendor."""
    settings = _SETTINGS.model_copy(update={"vendor": name})
    told = IngestSettings.model_validate(dict(ingest_settings(settings)))
    one_file = name == "philips-enhanced"
    return Kind(
        f"DICOM, {name}",
        lambda home: _write_mre(home, settings),
        "*.[di][cm][ma]",
        60_000 if one_file else 1800,
        lambda given, _: _acquired(given, told),
        share,
        repeated=not one_file,
    )


def _scan(settings: PhantomSettings) -> tuple[ScanGrid, Scan]:
    grid = _grid((6, 5, 2))
    points = grid.points_mm
    waves = np.exp(-0.2j * points[..., :1]) * [0, 6, 4j] + np.exp(-0.18j * points[..., 2:]) * [5j, 3, 0]
    return grid, acquire(settings, grid, 1e-6 * waves, np.ones(grid.shape))


def _write_mre(home: Path, settings: PhantomSettings) -> None:
    WRITERS[settings.vendor](home, _PERSON, settings, *_scan(settings))


def _siemens_frames(home: Path) -> None:
    """Enhanced files as Siemens packs them: the frames of the Philips layout, apart by kind, with Siemens' comments."""
    settings = _SETTINGS.model_copy(update={"vendor": "philips-enhanced"})
    _, scan = _scan(settings)
    _write_mre(home, settings)
    given = pydicom.dcmread(home / "mre.dcm")
    (home / "mre.dcm").unlink()
    places = [(d, n, k) for d, k, n in np.ndindex(3, 2, settings.offsets)]
    for series, (kind, scale) in enumerate((("MAGNITUDE", (1, 0)), ("PHASE", (2, -4096))), start=45):
        image = copy.deepcopy(given)
        frames = [
            own
            for own in image.PerFrameFunctionalGroupsSequence
            if own.MRImageFrameTypeSequence[0].ComplexImageComponent == kind
        ]
        pixels = []
        for own, (d, n, k) in zip(frames, places, strict=True):
            signal = scan.phase_rad[d, n, :, :, k] if kind == "PHASE" else scan.magnitude[d, n, :, :, k]
            pixels.append((stored_phase(signal) if kind == "PHASE" else np.rint(signal).astype(np.uint16)).T)
            comment = encoding_comment(settings, scan.encoding_axes[d], d, n) if kind == "PHASE" else ""
            own.FrameContentSequence[0].FrameComments = comment
            scaling = own.PixelValueTransformationSequence[0]
            scaling.RescaleSlope, scaling.RescaleIntercept = scale
            scaling.RescaleType = "US"
        image.Manufacturer, image.ComplexImageComponent, image.SeriesNumber = "SIEMENS", kind, series
        image.SeriesInstanceUID = _PERSON.uid("enhanced", series)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = _PERSON.uid("enhanced file", series)
        image.PerFrameFunctionalGroupsSequence, image.NumberOfFrames = frames, len(frames)
        image.PixelData = np.ascontiguousarray(np.stack(pixels), dtype="<u2").tobytes()
        image.save_as(home / f"{series}.dcm", enforce_file_format=True)


def _acquired(given: Path, told: IngestSettings) -> SourceReading:
    (one,), _ = read_acquisitions(given, told)
    times = np.zeros(0) if one.slice_time_s is None else one.slice_time_s
    menc = np.nan if one.menc_um_per_rad is None else one.menc_um_per_rad
    facts = [[one.frequency_hz, menc, one.encoding_gain], one.affine_mm.ravel(), one.encoding_axes.ravel(), times]
    # Phase as a turn: a value just below pi and one just above -pi are neighbours.
    turns = np.exp(1j * one.phase_rad)
    return SourceReading(np.stack([one.magnitude * turns.real, one.magnitude * turns.imag]), np.concatenate(facts))


def _zipped(home: Path) -> None:
    (home / "raw").mkdir()
    _write_mre(home / "raw", _SETTINGS)
    with zipfile.ZipFile(home / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((home / "raw").rglob("*.ima")):
            archive.write(file, file.relative_to(home / "raw"))
    shutil.rmtree(home / "raw")


def _t1(home: Path) -> None:
    grid = _grid((5, 4, 3))
    values = np.random.default_rng(0).integers(0, 4000, size=grid.shape).astype(np.uint16)
    for k in range(grid.shape[2]):
        image = _PERSON.image(12, k + 1)
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        place(image, grid, RAS_TO_LPS @ (grid.affine_mm @ [0, 0, k, 1])[:3])
        fill(image, values[:, :, k].T, bits=12)
        save(image, home / f"{k:03d}.dcm")


def _anatomy(given: Path, _: Path) -> SourceReading:
    volume = read_anatomy(given).volume
    return SourceReading(volume.values, volume.affine_mm.ravel())


def _without_identity(given: Path, out: Path) -> None:
    deidentify(given, out, out.parent / "key")


def _field(home: Path) -> None:
    """Write a wave-field folder, each file once compressed and once not."""
    rng = np.random.default_rng(0)
    for name in ("real.nii", "imag.nii.gz"):
        values = rng.normal(size=(*SHAPE, 3)).astype(np.float32)
        _save(home / f"{STEM}_acq-50Hz_part-{name[:4]}_wavefield{name[4:]}", values)
    _save(home / f"{STEM}_mask.nii.gz", np.ones(SHAPE, np.uint8))
    _save(home / f"{STEM}_magnitude.nii.gz", np.ones(SHAPE, np.float32))
    sidecar = {"MechanicalFrequency": 50.0, "Units": "um", "NoiseStd": 0.1, "Density": 1000.0, "DriftStd": 0.01}
    (home / f"{STEM}_acq-50Hz_wavefield.json").write_text(json.dumps(sidecar), encoding="utf-8")


def _fields(fields: tuple[WaveField, ...]) -> SourceReading:
    values = np.stack([np.where(one.mask[..., None], one.displacement_m, 0.0) for one in fields])
    facts = [[one.frequency_hz, one.density_kg_m3, one.noise_std_m or 0.0, *one.affine_mm.ravel()] for one in fields]
    return SourceReading(values, np.concatenate(facts))


def _bbir(home: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("re", "im"):
        _save(home / f"U01_50Hz_disp_{part}.nii.gz", rng.normal(scale=10.0, size=(*SHAPE, 3)).astype(np.float32))
    _save(home / "U01_mask.nii.gz", np.ones(SHAPE, np.uint8))


def _bioqic(home: Path) -> None:
    real, imaginary = np.random.default_rng(0).normal(scale=10.0, size=(2, *SHAPE, 3, 2))
    scipy.io.savemat(home / "box.mat", {"u_ft": real + 1j * imaginary, "note": "simulated"})


def _arrays(source: Path) -> SourceReading:
    return _fields(read_displacement_arrays(source, STEM, _ARRAYS))


def _table(home: Path) -> None:
    lines = ["subject\tsession\tmre\tanatomy\tlabels\tdate", "01\t01\tmre\tmre\t\t2024-02-29", "01\t02\tmre\t\tn/a\t"]
    (home / "sessions.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (home / "mre").mkdir()


def _study(given: Path, _: Path) -> None:
    read_study(given / "sessions.tsv")


def _labels(home: Path) -> None:
    _save(home / "labels.nii.gz", np.random.default_rng(0).integers(0, 4, size=SHAPE).astype(np.int16))
    _save(home / "t1.nii.gz", np.random.default_rng(1).normal(100.0, 30.0, size=SHAPE).astype(np.float32))
    _save(home / "mask.nii.gz", np.ones(SHAPE, np.uint8))


def _regions(given: Path, _: Path) -> SourceReading:
    mask = np.ones(SHAPE, bool)
    classes = read_classes(given / "t1.nii.gz", mask, AFFINE_MM)
    regions = read_regions(given / "labels.nii.gz", mask, AFFINE_MM)
    drawn, _ = read_user_mask(given / "mask.nii.gz", Volume(np.ones(SHAPE), AFFINE_MM))
    parts = [np.asarray(one.fractions.todense()).ravel() for one in (classes, regions)]
    return SourceReading(np.concatenate([*parts, drawn.ravel()]), np.ones(1))


def _save(path: Path, values: NDArray[np.generic]) -> None:
    image = nib.Nifti1Image(values, AFFINE_MM)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _ingested(given: Path, out: Path) -> SourceReading:
    return _fields(ingest(given, STEM, out, anatomy=None, settings=IngestSettings()))


KINDS: Final = (
    _vendor("siemens", 0.1),
    _vendor("ge", 0.08),
    _vendor("ge-brain", 0.08),
    _vendor("philips", 0.08),
    _vendor("philips-enhanced", 0.08),
    Kind(
        "DICOM, Siemens enhanced",
        _siemens_frames,
        "*.dcm",
        30_000,
        lambda given, _: _acquired(given, IngestSettings()),
        0.04,
    ),
    Kind("DICOM of an anatomy", _t1, "*.dcm", 1200, _anatomy, 0.1, repeated=True, tolerance=0.02),
    Kind("DICOM to de-identify", lambda home: _write_mre(home, _SETTINGS), "*.ima", 1800, _without_identity, 0.04),
    Kind("zip", _zipped, "*.zip", 10**6, lambda g, _: _acquired(g / "in.zip", IngestSettings()), 0.06, sealed=True),
    Kind("NIfTI", _field, "*.nii*", 400, lambda given, _: _fields(read_wave_fields(given)), 0.06),
    Kind("NIfTI through ingest", _field, "*.nii*", 400, _ingested, 0.04),
    Kind("sidecar", _field, "*.json", 10**6, lambda given, _: _fields(read_wave_fields(given)), 0.06),
    Kind("arrays, NIfTI", _bbir, "*.nii.gz", 400, lambda g, _: _arrays(g), 0.04),
    Kind("arrays, MATLAB", _bioqic, "*.mat", 400, lambda g, _: _arrays(g / "box.mat"), 0.04),
    Kind("sessions.tsv", _table, "*.tsv", 10**6, _study, 0.06),
    Kind("segmentation, T1 and mask", _labels, "*.nii.gz", 400, _regions, 0.04),
)  # fmt: skip
