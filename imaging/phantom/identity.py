"""Common header of all DICOM images of the in-silico patient: fictitious person, study, frame of reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from palpate import __version__
from palpate.imaging.phantom.grid import ScanGrid

STUDY_DATE = "20260105"
"""Study date of all in-silico scans."""
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
"""Conversion of vectors from NIfTI's axes (right, anterior, superior) to DICOM's, shape (3, 3)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Study of a fictitious patient; all unique identifiers follow from its first three fields.

    Attributes:
        subject: BIDS label of the patient.
        session: BIDS label of the session.
        fingerprint: text that differs whenever the images do, such as the settings as JSON.
        date: date of the study, as DICOM writes it.
    """

    subject: str
    session: str
    fingerprint: str
    date: str = STUDY_DATE

    def uid(self, *names: object) -> UID:
        """Return the unique identifier of a named thing of this study."""
        parts = ["palpate phantom", self.subject, self.session, self.fingerprint, *map(str, names)]
        return generate_uid(entropy_srcs=parts)

    def image(self, series: int, instance: int) -> Dataset:
        """Return a new MR image of this study, without geometry, pixels or description."""
        image = Dataset()
        image.SOPClassUID = MRImageStorage
        image.SOPInstanceUID = self.uid("image", series, instance)
        image.StudyInstanceUID = self.uid("study")
        image.SeriesInstanceUID = self.uid("series", series)
        image.FrameOfReferenceUID = self.uid("frame of reference")
        image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = self.date
        image.StudyTime = image.SeriesTime = "090000"
        image.AcquisitionTime = image.ContentTime = _moment(instance)
        image.AccessionNumber = image.ReferringPhysicianName = image.StudyID = ""
        image.PatientName = "PHANTOM^PALPATE"
        image.PatientID = f"PHANTOM-{self.subject}"
        image.PatientBirthDate = image.PatientSex = ""
        image.PatientComments = "In-silico patient. Not a person."
        image.StudyDescription = "palpate in-silico patient"
        image.Modality = "MR"
        image.Manufacturer = "SIEMENS"
        image.ManufacturerModelName = "palpate phantom"
        image.SoftwareVersions = f"palpate {__version__}"
        image.BodyPartExamined = "BRAIN"
        image.PatientPosition = "HFS"
        image.PositionReferenceIndicator = ""
        image.MagneticFieldStrength = 3
        image.SeriesNumber = series
        image.AcquisitionNumber = 1
        image.InstanceNumber = instance
        return image


def _moment(instance: int) -> str:
    """Return a time of day that rises with the number of an image, one second each: readers may order images by it."""
    seconds = 9 * 3600 + 60 + instance
    return f"{seconds // 3600 % 24:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def place(image: Dataset, grid: ScanGrid, corner_lps_mm: NDArray[np.float64]) -> None:
    """State the place of the pixels: orientation of rows and columns, spacing, and the first pixel's position."""
    axes = RAS_TO_LPS @ grid.axes
    image.ImageOrientationPatient = decimals(np.concatenate([axes[:, 0], axes[:, 1]]))
    image.ImagePositionPatient = decimals(corner_lps_mm)
    image.PixelSpacing = decimals(grid.voxel_mm[[1, 0]])
    image.SliceThickness = image.SpacingBetweenSlices = decimals(grid.voxel_mm[2:])[0]


def fill(image: Dataset, pixels: NDArray[np.uint16], *, bits: int) -> None:
    """Set the pixels, shape (rows, columns), of which `bits` bits are used, and the display window."""
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, bits, bits - 1
    image.PixelRepresentation = 0
    image.WindowCenter, image.WindowWidth = 2 ** (bits - 1), 2**bits
    image.PixelData = np.ascontiguousarray(pixels, dtype="<u2").tobytes()


def save(image: Dataset, path: Path) -> None:
    """Write the image as a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    FileDataset(path, image, file_meta=meta, preamble=bytes(128)).save_as(path, enforce_file_format=True)


def decimals(values: NDArray[np.float64]) -> list[str]:
    """Return numbers as DICOM decimal strings (at most 16 characters)."""
    return [f"{value:.10f}"[:16] for value in values]
