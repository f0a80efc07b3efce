"""Registrations as other programs write them: DICOM Spatial Registrations and transforms of ITK."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SpatialRegistrationStorage, generate_uid

type Item = tuple[str, Sequence[NDArray[np.float64]], str]
"""Frame of reference, its matrices in L P S, and their type."""

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def rigid(angles: Sequence[float], shift_mm: Sequence[float]) -> NDArray[np.float64]:
    """A rigid matrix of world RAS points, shape (4, 4), by Euler angles in radian."""
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*angles)
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = shift_mm
    return matrix


def write_sro(
    path: Path,
    registered: str,
    items: Sequence[Item],
    *,
    kind: str = SpatialRegistrationStorage,
    person: str = "4711",
) -> Path:
    """Write a Spatial Registration; matrices take points of each item's frame to the registered one, in RAS."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = kind
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.Modality, made.PatientID, made.PatientName = "REG", person, ""
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.FrameOfReferenceUID = registered
    made.RegistrationSequence = []
    for frame, matrices, of_type in items:
        item, registration = Dataset(), Dataset()
        item.FrameOfReferenceUID = frame
        registration.MatrixSequence = []
        for matrix in matrices:
            one = Dataset()
            one.FrameOfReferenceTransformationMatrixType = of_type
            one.FrameOfReferenceTransformationMatrix = [f"{v:.12g}" for v in (LPS @ matrix @ LPS).ravel()]
            registration.MatrixSequence.append(one)
        item.MatrixRegistrationSequence = [registration]
        made.RegistrationSequence.append(item)
    made.save_as(path, enforce_file_format=True)
    return path


def write_itk(path: Path, matrix_mm: NDArray[np.float64]) -> Path:
    """Write an affine transform that takes points of the fixed image to the moving one, given in RAS."""
    lps = LPS @ matrix_mm @ LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    sitk.WriteTransform(transform, str(path))
    return path
