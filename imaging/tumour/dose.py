"""Radiation dose in space: DICOM RTDOSE (Gy, a plan's, a fraction's or a beam's sum) or NIfTI in Gy."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import RTDoseStorage

from palpate.errors import InputError
from palpate.imaging.dicom.files import UNREADABLE, shown, silence
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.parsing import parse
from palpate.imaging.dicom.pixels import decoded
from palpate.imaging.input_limits import Budget
from palpate.imaging.nifti import Volume, is_volume_file, read_volume

_COPY: Final = "Export the dose again from the planning system, as one RTDOSE file in Gy."
_EVEN_MM: Final = 0.01


@dataclass(frozen=True, slots=True)
class DoseFile:
    """A dose on its own grid.

    Attributes:
        volume: Gy, shape (i, j, k), and its place.
        frame_uid: frame of reference; empty where the file is NIfTI.
        patient: PatientID of the file, only ever compared and never written; empty where the file is NIfTI.
    """

    volume: Volume
    frame_uid: str = ""
    patient: str = ""


def read_dose(path: Path) -> DoseFile:
    """Read a dose.

    Args:
        path: RTDOSE, or NIfTI of Gy.

    Raises:
        InputError: unreadable, truncated, another kind of DICOM, not in Gy, negative, zero everywhere or not finite.
    """
    nifti = is_volume_file(path)
    dose = DoseFile(read_volume(path)) if nifti else _read_rtdose(path)
    values, where = dose.volume.values, path if nifti else shown(path)
    found = ""
    if values.ndim != 3 or min(values.shape) < 2:
        found = f"an array of shape {values.shape}"
    elif not np.all(np.isfinite(values)):
        found = f"{int(np.sum(~np.isfinite(values)))} values that are not finite"
    elif float(values.min()) < 0.0:
        found = f"negative dose, down to {float(values.min()):g} Gy"
    elif float(values.max()) == 0.0:
        found = "no dose anywhere"
    if found:
        raise InputError(where, found=found, expected="one dose in Gy a voxel, shape (i, j, k)", advice=_COPY)
    return dose


def _read_rtdose(path: Path) -> DoseFile:
    where = shown(path)
    if path.is_dir():
        files = [one for one in sorted(path.iterdir()) if one.is_file() and not one.name.startswith(".")]
        if len(files) != 1:
            raise InputError(where, found=f"{len(files)} files", expected="one RTDOSE file", advice=_COPY)
        path = files[0]
    try:
        with silence():
            content = path.read_bytes()
            dataset = parse(io.BytesIO(content), len(content), Budget(where), pixels=True)
            if dataset.get("SOPClassUID") != RTDoseStorage:
                expected = "RT Dose, or NIfTI with the ending .nii.gz"
                raise InputError(where, found="a DICOM file of another kind", expected=expected, advice=_COPY)
            _demand_gy(dataset, where)
            values = np.asarray(decoded(dataset, len(content), where), dtype=np.float64) * float(
                dataset.DoseGridScaling
            )
            affine_mm = _affine(dataset, where, len(values))
            frame, patient = str(dataset.get("FrameOfReferenceUID", "")), str(dataset.get("PatientID", ""))
    except UNREADABLE as error:
        raise InputError(
            where, found="a file that cannot be read to its end as RTDOSE", expected="a complete RTDOSE", advice=_COPY
        ) from error
    if not frame:
        raise InputError(where, found="no Frame of Reference UID", expected="the one of the images", advice=_COPY)
    return DoseFile(Volume(values.transpose(2, 1, 0), affine_mm), frame, patient)


def _demand_gy(dataset: pydicom.Dataset, where: str) -> None:
    units = str(dataset.get("DoseUnits", ""))
    if units != "GY":
        found = f"dose units {units[:20]!r}"
        advice = "Export absolute dose. " + _COPY
        raise InputError(where, found=found, expected="GY", advice=advice)
    if str(dataset.get("DoseType", "PHYSICAL")) == "ERROR":
        raise InputError(where, found="dose type ERROR", expected="PHYSICAL or EFFECTIVE dose", advice=_COPY)


def _affine(dataset: pydicom.Dataset, where: str, count: int) -> NDArray[np.float64]:
    """Voxel indices (i along a row, j down the rows, k over the frames) to world RAS, shape (4, 4)."""
    row, column = np.array(dataset.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    between_rows, within_row = (float(one) for one in dataset.PixelSpacing)
    offsets = np.array(dataset.GridFrameOffsetVector, dtype=np.float64)
    steps = np.diff(offsets)
    # Offsets are relative to the first frame, or for axial slices patient coordinates (PS3.3 C.8.8.3.2).
    if len(offsets) != count or not len(steps) or np.ptp(steps) > _EVEN_MM or abs(steps[0]) < _EVEN_MM:
        raise InputError(
            where,
            found=f"{len(offsets)} offsets for {count} frames, or uneven ones",
            expected="evenly spaced planes of dose",
            advice=_COPY,
        )
    sound = np.allclose([row @ row, column @ column, row @ column], [1.0, 1.0, 0.0], atol=1e-3)
    if not sound or min(between_rows, within_row) <= 0.0:
        raise InputError(where, found="a geometry that is none", expected="orthogonal axes in mm", advice=_COPY)
    normal = np.cross(row, column)
    affine = np.eye(4)
    affine[:3, :3] = LPS_TO_RAS @ np.stack([row * within_row, column * between_rows, normal * steps[0]], axis=1)
    affine[:3, 3] = LPS_TO_RAS @ np.array(dataset.ImagePositionPatient, dtype=np.float64)
    return affine
