"""Radiation dose in space: DICOM RTDOSE in Gy or NIfTI in Gy.

The number of fractions over which a file sums is the subject of `palpate.imaging.tumour.fractionation`.
"""

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
from palpate.imaging.dicom.files import UNREADABLE, silence
from palpate.imaging.dicom.geometry import LPS_TO_RAS
from palpate.imaging.dicom.parsing import parse, parse_file
from palpate.imaging.dicom.pixels import decoded
from palpate.imaging.dicom.sources import unread
from palpate.imaging.files.nifti import Volume, is_volume_file, read_volume
from palpate.imaging.files.plain_names import shown
from palpate.imaging.limits.input_limits import Budget
from palpate.imaging.tumour.rtplan import RtPlan, plan_beside
from palpate.system_files import is_system_file

_COPY: Final = "Export the dose again from the planning system, as one RTDOSE file in Gy."
_EVEN_MM: Final = 0.01


@dataclass(frozen=True, slots=True)
class DoseFile:
    """A dose on its own grid.

    Attributes:
        volume: dose, Gy, shape (i, j, k), and its affine.
        frame_uid: frame of reference; empty where the file is NIfTI.
        patient: PatientID of the file, only ever compared and never written; empty where the file is NIfTI.
        summation: DoseSummationType in capitals, empty where an RTDOSE states none; None where the file is NIfTI.
        effective: whether the dose is corrected for biological effect (DoseType EFFECTIVE).
        plan: fractionation of the plan that the RTDOSE references; None where its file is not beside it.
    """

    volume: Volume
    frame_uid: str = ""
    patient: str = ""
    summation: str | None = None
    effective: bool = False
    plan: RtPlan | None = None

    @property
    def largest_gy(self) -> float:
        """Dose of the hottest voxel, Gy."""
        return float(self.volume.values.max())


def read_dose(path: Path) -> DoseFile:
    """Read a dose.

    Args:
        path: RTDOSE file or the folder that holds it, or NIfTI file in Gy.

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
        path = _only_dose(path)
    try:
        with silence():
            budget = Budget(where)
            budget.demand_file_size(path.stat().st_size)
            content = path.read_bytes()
            dataset = parse(io.BytesIO(content), len(content), budget, pixels=True)
            if dataset.get("SOPClassUID") != RTDoseStorage:
                expected = "RT Dose, or NIfTI with the ending .nii.gz"
                raise InputError(where, found="a DICOM file of another kind", expected=expected, advice=_COPY)
            scaling = _demand_gy(dataset, where)
            values = np.asarray(decoded(dataset, len(content), where), dtype=np.float64) * scaling
            affine_mm = _affine(dataset, where, len(values))
            frame, patient = str(dataset.get("FrameOfReferenceUID", "")), str(dataset.get("PatientID", ""))
            summation = str(dataset.get("DoseSummationType") or "").strip().upper()
            effective = str(dataset.get("DoseType") or "").strip().upper() == "EFFECTIVE"
            plan = plan_beside(dataset, path)
    except UNREADABLE as error:
        refusal = InputError(
            where, found="a file that cannot be read to its end as RTDOSE", expected="a complete RTDOSE", advice=_COPY
        )
        raise (unread(error, where) or refusal) from error
    if not frame:
        raise InputError(where, found="no Frame of Reference UID", expected="the one of the images", advice=_COPY)
    volume = Volume(values.transpose(2, 1, 0), affine_mm)
    return DoseFile(volume, frame, patient, summation, effective=effective, plan=plan)


def _only_dose(folder: Path) -> Path:
    """Return the one RTDOSE of a folder; its plan may lie beside it."""
    names = (one for one in sorted(folder.iterdir()) if not (one.name.startswith(".") or is_system_file(one.name)))
    files = [one for one in names if one.is_file()]
    doses = [one for one in files if _is_dose(one)]
    if len(doses) != 1:
        found = f"{len(doses)} RTDOSE files among {len(files)} files"
        advice = "Export one RTDOSE of the whole plan (DoseSummationType PLAN), or name the file itself."
        raise InputError(shown(folder), found=found, expected="one RTDOSE file", advice=advice)
    return doses[0]


def _is_dose(file: Path) -> bool:
    try:
        with silence():
            return bool(parse_file(file, tags=["SOPClassUID"]).get("SOPClassUID") == RTDoseStorage)
    except UNREADABLE:
        return False


def _demand_gy(dataset: pydicom.Dataset, where: str) -> float:
    """Return the gray of one stored step, and refuse a dose that is none in gray."""
    units = str(dataset.get("DoseUnits") or "").strip().upper()
    kind = str(dataset.get("DoseType") or "PHYSICAL").strip().upper()
    scaling = dataset.get("DoseGridScaling")
    step = float("nan") if scaling is None else float(scaling)
    expected, advice = "absolute dose, DoseUnits GY", "Export the dose again as absolute dose in Gy."
    if "PixelData" not in dataset:
        found, expected = "an RTDOSE without a dose grid (dose-volume histograms alone)", "an RTDOSE with its dose grid"
    elif units == "RELATIVE":
        found = "relative dose (DoseUnits RELATIVE: shares of a prescription that the file does not state)"
    elif units != "GY":
        found = f"DoseUnits {units[:20]!r}" if units else "no DoseUnits"
    elif kind not in ("PHYSICAL", "EFFECTIVE"):
        found = f"DoseType {kind[:20]!r}" + (" (a difference between two doses)" if kind == "ERROR" else "")
        expected, advice = "PHYSICAL or EFFECTIVE dose", "Export the dose itself."
    elif not 0.0 < step < float("inf"):
        found = "no DoseGridScaling" if scaling is None else f"DoseGridScaling {step:g}"
        expected = "the gray of one stored step, above 0"
    else:
        return step
    raise InputError(where, found=found, expected=expected, advice=advice)


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
