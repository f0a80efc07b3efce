"""Dose as a planning system exports it: DICOM RTDOSE in Gy, one plan's sum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage

from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import RAS_TO_LPS, Identity, decimals, place, save

_SERIES = 30
_LEVELS = 2**31


def write_rtdose(path: Path, identity: Identity, grid: ScanGrid, dose_gy: NDArray[np.float64]) -> None:
    """Write a dose.

    Args:
        path: file to write.
        identity: study of the fictitious patient.
        grid: grid of the dose, in the order DICOM stores it.
        dose_gy: sum of the dose over the plan, Gy, shape (i, j, k).
    """
    image: Dataset = identity.image(_SERIES, 1)
    image.SOPClassUID = RTDoseStorage
    image.Modality = "RTDOSE"
    image.SeriesDescription = "dose of a plan"
    place(image, grid, RAS_TO_LPS @ grid.affine_mm[:3, 3])
    scaling = float(dose_gy.max()) / _LEVELS
    stored = np.rint(dose_gy / scaling).astype("<u4").transpose(2, 1, 0)
    image.DoseUnits, image.DoseType, image.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    image.DoseGridScaling = f"{scaling:.9e}"
    image.FrameIncrementPointer = 0x3004000C
    image.GridFrameOffsetVector = decimals(np.arange(grid.shape[2]) * grid.voxel_mm[2])
    image.NumberOfFrames, image.Rows, image.Columns = stored.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 32
    image.HighBit, image.PixelRepresentation = 31, 0
    image.PixelData = np.ascontiguousarray(stored).tobytes()
    save(image, path)
