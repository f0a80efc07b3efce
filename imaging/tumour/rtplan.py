"""Number of fractions of the RT plan that an RTDOSE was computed for, from the RTPLAN file beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.uid import RTIonPlanStorage, RTPlanStorage

from palpate.errors import InputError
from palpate.imaging.dicom.files import UNREADABLE, silence
from palpate.imaging.dicom.parsing import parse_file
from palpate.imaging.dicom.sources import unread
from palpate.imaging.files.plain_names import shown
from palpate.system_files import is_system_file

_PLANS: Final = (RTPlanStorage, RTIonPlanStorage)
_MOST_FILES: Final = 5000
"""Largest number of files beside a dose that are searched; a folder of more is no planning export."""


@dataclass(frozen=True, slots=True)
class RtPlan:
    """Fractionation of the plan that a dose references.

    Attributes:
        fractions: number of fractions planned; None where the plan does not say.
        groups: number of fraction groups, each with fractions of its own.
        fraction_gy: dose of one fraction by its beams, Gy; None where the plan does not say.
        total_gy: prescribed dose of the whole plan, Gy; None where the plan does not say.
    """

    fractions: int | None
    groups: int
    fraction_gy: float | None
    total_gy: float | None


def plan_beside(dose: pydicom.Dataset, path: Path) -> RtPlan | None:
    """Return the plan that an RTDOSE references, if its file lies in the same folder.

    Args:
        dose: header of the RTDOSE.
        path: file of the RTDOSE.

    Returns:
        The plan; None where the dose references none or no file of it lies there.

    Raises:
        InputError: the plan is there and cannot be read.
    """
    reference = next(iter(dose.get("ReferencedRTPlanSequence") or []), None)
    wanted = "" if reference is None else str(reference.get("ReferencedSOPInstanceUID", ""))
    if reference is None or not wanted:
        return None
    named = {
        int(one.ReferencedFractionGroupNumber)
        for one in reference.get("ReferencedFractionGroupSequence") or []
        if one.get("ReferencedFractionGroupNumber") is not None
    }
    for file in _others(path):
        if _identity(file) == wanted:
            return _read(file, named)
    return None


def _others(path: Path) -> Iterable[Path]:
    files = (one for one in sorted(path.parent.iterdir()) if one.is_file() and one != path)
    return [one for one in files if not (one.name.startswith(".") or is_system_file(one.name))][:_MOST_FILES]


def _identity(file: Path) -> str:
    """SOP instance UID of a plan; empty for every other file."""
    try:
        with silence():
            header = parse_file(file, tags=["SOPClassUID", "SOPInstanceUID"])
            return str(header.get("SOPInstanceUID", "")) if header.get("SOPClassUID") in _PLANS else ""
    except (InputError, *UNREADABLE):  # it is nobody's plan, or unpacks to more than any
        return ""


def _read(file: Path, named: set[int]) -> RtPlan:
    try:
        with silence():
            plan = parse_file(file)
            groups = list(plan.get("FractionGroupSequence") or [])
            mine = [one for one in groups if int(one.get("FractionGroupNumber") or 0) in named] or groups
            counts = [int(one.get("NumberOfFractionsPlanned") or 0) for one in mine]
            return RtPlan(
                counts[0] if len(counts) == 1 and counts[0] > 0 else None,
                len(mine),
                _fraction_gy(mine[0]) if len(mine) == 1 else None,
                _total_gy(plan),
            )
    except UNREADABLE as error:
        refusal = InputError(
            shown(file),
            found="an RTPLAN that cannot be read",
            expected="the plan that the RTDOSE references",
            advice="Export plan and dose again, or remove the plan and fill in the column fractions.",
        )
        raise (unread(error, shown(file)) or refusal) from error


def _fraction_gy(group: pydicom.Dataset) -> float | None:
    """Dose of one fraction, the sum over beams of what each gives its reference point; None where a beam says none."""
    beams = list(group.get("ReferencedBeamSequence") or [])
    doses = [one.get("BeamDose") for one in beams]
    given = [float(one) for one in doses if one is not None]
    return sum(given) if given and len(given) == len(beams) and sum(given) > 0.0 else None


def _total_gy(plan: pydicom.Dataset) -> float | None:
    """Largest prescription to a target, Gy."""
    doses = [one.get("TargetPrescriptionDose") for one in plan.get("DoseReferenceSequence") or []]
    return max((float(one) for one in doses if one is not None and float(one) > 0.0), default=None)
