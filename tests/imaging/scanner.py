"""A pretend Siemens scanner for tests: a known vibration, written as mosaics by other code than the library's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from scipy import ndimage

STUDY, FRAME = "1.2.3.4.1", "1.2.3.4.2"
PATIENT = "Mustermann^Erika"


@dataclass(frozen=True)
class Scan:
    """A scan to be written: what moves, how it is encoded, and where the slices lie."""

    shape: tuple[int, int, int] = (20, 16, 3)
    offsets: int = 8
    frequency_hz: float = 50.0
    menc_um_per_rad: float | None = 4.0
    amplitude_rad: float = 2.0
    rigid_rad: complex = 0.0
    noise_rad: float = 0.0
    slice_time_ms: tuple[float, ...] | None = None
    row: tuple[float, float, float] = (1.0, 0.0, 0.0)
    column: tuple[float, float, float] = (0.0, 1.0, 0.0)
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 4.0)
    corner_mm: tuple[float, float, float] = (-20.0, -30.0, 10.0)
    angles_deg: tuple[tuple[float, float], ...] = ((0, 180), (270, 90), (180, 90))
    seed: int = 0
    series: int = 45
    extra: dict[str, object] = field(default_factory=dict)

    def encoded_rad(self) -> NDArray[np.complex128]:
        """U along the three encoding axes, radians of phase, shape (3, i, j, k): smooth waves, the first one rigid."""
        generator = np.random.default_rng(self.seed)
        noise = generator.normal(size=(2, 3, *self.shape))
        smooth = ndimage.gaussian_filter(noise[0] + 1j * noise[1], (0, 5, 5, 2), mode="nearest")
        waves = self.amplitude_rad * smooth / np.abs(smooth).max(axis=(1, 2, 3), keepdims=True)
        waves[0] += self.rigid_rad
        return waves

    def phase_rad(self) -> NDArray[np.float64]:
        """Wrapped phase with a static background, shape (3, offset, i, j, k)."""
        times_ms = np.zeros(self.shape[2]) if self.slice_time_ms is None else np.asarray(self.slice_time_ms)
        turns = np.arange(self.offsets)[:, None] / self.offsets + self.frequency_hz * times_ms / 1e3
        moments = np.exp(2j * np.pi * turns)[None, :, None, None, :]
        moving = (self.encoded_rad()[:, None] * moments).real
        generator = np.random.default_rng(self.seed + 1)
        static = generator.uniform(-np.pi, np.pi, size=(3, 1, *self.shape))
        noise = self.noise_rad * generator.normal(size=moving.shape)
        return np.angle(np.exp(1j * (moving + static + noise)))

    def magnitude(self) -> NDArray[np.float64]:
        """Signal of one image, shape (i, j, k): bright, a little uneven, without air."""
        return 800.0 + 100.0 * np.random.default_rng(self.seed + 2).random(self.shape)


def write_mre(folder: Path, scan: Scan) -> None:
    """Write a magnitude and a phase series of mosaics."""
    side = int(np.ceil(np.sqrt(scan.shape[2])))
    phase = scan.phase_rad()
    for series, kind in ((scan.series, "M"), (scan.series + 1, "P")):
        (folder / f"s{series}").mkdir(parents=True)
        for number, (direction, offset) in enumerate(np.ndindex(3, scan.offsets), start=1):
            image = _image(scan, series, number)
            image.ImageType = ["ORIGINAL", "PRIMARY", kind, "ND", "MOSAIC"]
            _mosaic_place(image, scan, side)
            if kind == "P":
                stored = (np.round((phase[direction, offset] / np.pi + 1) * 2048).astype(int) % 4096).astype(np.uint16)
                image.RescaleSlope, image.RescaleIntercept = 2, -4096
                azimuth, polar = scan.angles_deg[direction]
                menc = "" if scan.menc_um_per_rad is None else f"ME[{scan.menc_um_per_rad:g}]"
                image.ImageComments = (
                    f"MRE: fI[0]dI[{direction}]az[{azimuth:g}]po[{polar:g}]tI[{offset}]"
                    f"VP[{1e6 / scan.frequency_hz:.12g}]TC[0]{menc}"
                )
            else:
                stored = scan.magnitude().astype(np.uint16)
            _pixels(image, _joined(stored, side))
            image.save_as(folder / f"s{series}" / f"{number:04d}.ima", enforce_file_format=True)


def write_t1(folder: Path, values: NDArray[np.uint16], scan: Scan, spacing_mm: tuple[float, float, float]) -> None:
    """Write a volume, shape (i, j, k), as one slice a file, in an order that is not that of the slices."""
    folder.mkdir(parents=True)
    normal = np.cross(scan.row, scan.column)
    for k in np.random.default_rng(0).permutation(values.shape[2]):
        image = _image(scan, 7, int(k) + 1)
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        image.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
        image.SliceThickness = spacing_mm[2]
        image.ImagePositionPatient = [float(x) for x in np.asarray(scan.corner_mm) + k * spacing_mm[2] * normal]
        _pixels(image, values[:, :, k].T)
        image.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)


def edit(path: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    """Change one DICOM file in place."""
    image = pydicom.dcmread(path)
    change(image)
    image.save_as(path, enforce_file_format=True)


def _image(scan: Scan, series: int, number: int) -> pydicom.Dataset:
    image = pydicom.Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = (
        MRImageStorage,
        generate_uid(entropy_srcs=[str(scan.seed), f"{series}-{number}"]),
    )
    image.StudyInstanceUID, image.FrameOfReferenceUID = STUDY, FRAME
    image.SeriesInstanceUID, image.SeriesNumber, image.InstanceNumber = f"1.2.3.4.3.{series}", series, number
    image.PatientName, image.PatientID, image.PatientBirthDate = PATIENT, "MUSTER77", "19600102"
    image.Modality, image.Manufacturer, image.PatientPosition = "MR", "SIEMENS", "HFS"
    image.InversionTime = 2900
    image.ImageOrientationPatient = [*map(float, scan.row), *map(float, scan.column)]
    for name, value in scan.extra.items():
        setattr(image, name, value)
    return image


def _mosaic_place(image: pydicom.Dataset, scan: Scan, side: int) -> None:
    """Position and private header of a mosaic: as if one slice of the mosaic's size had the first slice's centre."""
    spacing = np.asarray(scan.spacing_mm)
    grown = (side - 1) * np.asarray(scan.shape[:2]) * spacing[:2] / 2
    corner = np.asarray(scan.corner_mm) - grown[0] * np.asarray(scan.row) - grown[1] * np.asarray(scan.column)
    image.ImagePositionPatient = [float(x) for x in corner]
    image.PixelSpacing = [spacing[1], spacing[0]]
    image.SliceThickness, image.SpacingBetweenSlices = 2.0, spacing[2]
    block = image.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", scan.shape[2])
    if scan.slice_time_ms is not None:
        block.add_new(0x29, "FD", list(scan.slice_time_ms))


def _joined(volume: NDArray[np.uint16], side: int) -> NDArray[np.uint16]:
    """Tiles left to right, top to bottom."""
    blank = np.zeros_like(volume[:, :, 0].T)
    tiles = [volume[:, :, k].T if k < volume.shape[2] else blank for k in range(side * side)]
    return np.block([tiles[row * side : (row + 1) * side] for row in range(side)])


def _pixels(image: pydicom.Dataset, values: NDArray[np.uint16]) -> None:
    image.Rows, image.Columns = values.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = np.ascontiguousarray(values).tobytes()
