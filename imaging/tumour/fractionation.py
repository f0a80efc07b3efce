"""Number of fractions over which a dose file sums, and number of fractions that a line of the table stands for.

Meaning of DICOM's DoseSummationType (PS3.3, C.8.8.3) and the number of fractions that follows from it:

| DoseSummationType | | the number of fractions is |
|---|---|---|
| PLAN | the whole plan, all of its fractions | stated in the table or in the RTPLAN beside the file, else refused |
| MULTI_PLAN | several plans | stated in the table, else refused |
| FRACTION | by the standard a whole fraction group; some systems write one fraction | stated, or told by the dose |
| none | unknown | as for FRACTION |
| RECORD | what was delivered, of one or many fractions | stated, or told by the dose |
| FRACTION_SESSION | one fraction | 1 |
| others | single beams, control points, brachytherapy | refused |

A NIfTI file states no number: the column fractions states it, or the file holds the dose of one fraction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.errors import InputError
from palpate.imaging.tumour.dose import DoseFile
from palpate.imaging.tumour.rtplan import RtPlan
from palpate.imaging.tumour.treatment_cells import LEAST_FRACTION_GY, MOST_FRACTION_GY
from palpate.imaging.tumour.treatments import TreatmentRow
from palpate.quality_warning import QualityWarning

MOST_GY: Final = 100.0
"""Largest dose in any voxel, of one fraction of any treatment and of a whole course, Gy."""
LIKE: Final = (0.8, 1.6)
"""Range of a file's largest dose over the dose_gy stated.

Hot spots and prescriptions to the 80 % isodose lie within.
"""
_LIKE_PLAN: Final = (0.5, 3.0)
"""Range of a file's largest dose over the prescription of the RTPLAN.

Radiosurgery may prescribe to the 40 % isodose.
"""
_SURELY_ONE_GY: Final = 5.0
"""Dose below which a file surely holds one fraction, Gy: a course of several fractions gives more."""
_REPEATED: Final = 2
_LOW_PLAN_GY: Final = 10.0
_SEVERAL: Final = 5
_SESSION: Final = "FRACTION_SESSION"
COUNT_ADVICE: Final = (
    "Fill in fractions with the number over which the file sums, and days_a_week beside it where the line is the whole "
    "course; without days_a_week write one line for each fraction given."
)
"""Advice of errors about the column fractions of a dose file; all of them give this one rule."""
_UNUSABLE: Final = {
    "BEAM": "the dose of single beams of a plan",
    "BEAM_SESSION": "the dose of single beams of one fraction",
    "CONTROL_POINT": "the dose of a part of a beam",
    "BRACHY": "the dose of brachytherapy, which is not given in an instant as the growth model takes it",
    "BRACHY_SESSION": "the dose of brachytherapy, which is not given in an instant as the growth model takes it",
    "PLAN_OVERVIEW": "the dose of a plan overview",
}
_MEANING: Final = {
    "PLAN": "the dose of a whole plan",
    "MULTI_PLAN": "the sum of several plans",
    "FRACTION": "the dose of a fraction group, or of one fraction",
    "RECORD": "the dose of treatment records",
}


@dataclass(frozen=True, slots=True)
class Fractionation:
    """Delivery of a dose file by one line of the table of treatments.

    Attributes:
        over: number of fractions over which the file sums; each gives the file's dose divided by it.
        given: number of fractions that the line stands for.
        warnings: findings that a user should check.
        note: source of the number, in a sentence, if it is not the table; else empty.
    """

    over: int
    given: int
    warnings: tuple[QualityWarning, ...] = ()
    note: str = ""


def fractionation(row: TreatmentRow, dose: DoseFile) -> Fractionation:
    """Return the delivery of a line's dose file.

    Args:
        row: line of radiotherapy with a dose file.
        dose: content of the file.

    Raises:
        InputError: the number of fractions over which the file sums is stated nowhere, the table contradicts the file
            or its plan, or the dose of a fraction is impossible.
    """
    if dose.summation is None:
        over = row.fractions or 1
        found = Fractionation(over, over if row.days_a_week is not None else 1)
        _demand_stated_if_large(row, dose)
    else:
        found = _of_rtdose(row, dose, dose.summation)
    if row.days_a_week is not None and row.fractions is None and found.given <= 1 and dose.summation != "PLAN":
        raise _refusal(
            row, "days_a_week without fractions", "the number of fractions of the course", "Fill in fractions."
        )
    _demand_possible(row, dose, found.over)
    warnings = (*found.warnings, *_remarks(row, dose, found.over))
    return Fractionation(found.over, found.given, warnings, found.note)


def demand_stated_if_repeated(rows: Sequence[TreatmentRow], doses: Mapping[Path, DoseFile]) -> None:
    """Refuse a NIfTI dose of several fractions' size that several lines name without the number of its fractions.

    Args:
        rows: lines of the table.
        doses: content of the dose files by path.

    Raises:
        InputError: the table holds such lines: each would give what may be the whole plan.
    """
    named = Counter(row.dose_file for row in rows)
    for row in rows:
        if row.dose_file is None or row.fractions is not None or named[row.dose_file] < _REPEATED:
            continue
        dose = doses[row.dose_file]
        if dose.summation is None and dose.largest_gy > _SURELY_ONE_GY and not _like_stated(row, dose.largest_gy):
            raise _refusal(
                row,
                f"up to {dose.largest_gy:.4g} Gy in a file that {named[row.dose_file]} lines name without fractions",
                f"fractions, as one fraction seldom gives more than {_SURELY_ONE_GY:g} Gy",
                f"{COUNT_ADVICE} A file of one fraction's dose has fractions 1.",
            )


def _of_rtdose(row: TreatmentRow, dose: DoseFile, summation: str) -> Fractionation:
    if summation in _UNUSABLE or summation not in (*_MEANING, _SESSION, ""):
        raise _refusal(
            row,
            f"DoseSummationType {summation[:20]}, {_UNUSABLE.get(summation, 'which palpate does not know')}",
            "the dose of a whole plan (PLAN) or of one fraction (FRACTION_SESSION)",
            "Export the dose of the plan.",
        )
    if summation == _SESSION:
        if row.fractions not in (None, 1) and row.days_a_week is None:
            raise _refusal(
                row,
                f"fractions {row.fractions} beside DoseSummationType {_SESSION}, the dose of one fraction",
                "1, or days_a_week beside it where the line is a course",
                "Correct the column fractions, or export the dose of the plan.",
            )
        return Fractionation(1, row.fractions or 1)
    planned = dose.plan if summation in ("PLAN", "FRACTION", "") else None
    if summation != "PLAN" and planned is not None and planned.fractions is not None:
        one = _one_fraction_by_plan(row, dose, planned)
        if one is not None:
            return one
    over, note = _stated(row, planned, summation)
    if over is None:
        return _told_by_dose(row, dose, summation)
    if planned is not None:
        _demand_like_plan(row, dose, planned, over)
    return Fractionation(over, over if row.days_a_week is not None else 1, note=note)


def _stated(row: TreatmentRow, planned: RtPlan | None, summation: str) -> tuple[int | None, str]:
    """Number of fractions by table or plan, and where it came from."""
    count = None if planned is None else planned.fractions
    if row.fractions is not None and count is not None and row.fractions != count:
        raise _refusal(
            row,
            f"fractions {row.fractions} in the table and {count} in the RTPLAN that the dose references",
            "the same number, since the dose is that of the plan",
            "Correct the column fractions, or export the dose of the plan that was given.",
        )
    if row.fractions is None and planned is not None and planned.groups > 1:
        raise _refusal(
            row,
            f"DoseSummationType {summation} of an RTPLAN with {planned.groups} fraction groups",
            "the number of fractions in the column fractions",
            "Export the dose of each fraction group, or fill in fractions.",
        )
    if row.fractions is None and count is not None:
        return count, f"number of fractions taken from the RTPLAN that the dose references: {count}"
    return row.fractions, ""


def _one_fraction_by_plan(row: TreatmentRow, dose: DoseFile, planned: RtPlan) -> Fractionation | None:
    """Return the delivery where a dose of type FRACTION, or of none, is one fraction's by its plan; else None."""
    low, high = _LIKE_PLAN
    each, count = planned.fraction_gy, planned.fractions
    if count is None or count == 1 or row.fractions not in (None, 1, count):
        return None
    if each is None:
        alone, whole = dose.largest_gy <= _SURELY_ONE_GY, False
    else:
        alone, whole = (low <= dose.largest_gy / gray <= high for gray in (each, count * each))
    if whole or not alone:
        return None
    note = "an RTDOSE is taken as the dose of one fraction, as its size and the RTPLAN that it references show"
    return Fractionation(1, (row.fractions or count) if row.days_a_week is not None else 1, note=note)


def _told_by_dose(row: TreatmentRow, dose: DoseFile, summation: str) -> Fractionation:
    """Return the fractions where no number is stated: one by the dose's size, else a refusal."""
    what = f"DoseSummationType {summation}, {_MEANING[summation]}," if summation else "an RTDOSE without summation type"
    if summation in ("FRACTION", "RECORD", ""):
        if _like_stated(row, dose.largest_gy):
            return Fractionation(1, 1)
        if dose.largest_gy <= _SURELY_ONE_GY:
            sentence = (
                f"The dose file of line {row.line} of the table of treatments does not say over how many fractions it "
                f"sums; up to {dose.largest_gy:.3g} Gy, it is taken as one fraction's."
            )
            advice = "Fill in the column fractions (1 for the dose of one fraction)."
            return Fractionation(1, 1, (QualityWarning("dose-fractions-assumed", sentence, advice),))
    raise _refusal(
        row,
        f"{what} without the number of its fractions",
        "that number in the column fractions, or the RTPLAN beside the file",
        COUNT_ADVICE,
    )


def _like_stated(row: TreatmentRow, largest_gy: float) -> bool:
    """Return whether a largest dose is that of a fraction of the line's dose_gy; False where the line states none."""
    return row.dose_gy is not None and LIKE[0] <= largest_gy / row.dose_gy <= LIKE[1]


def _demand_stated_if_large(row: TreatmentRow, dose: DoseFile) -> None:
    if row.fractions is None and dose.largest_gy > MOST_FRACTION_GY:
        raise _refusal(
            row,
            f"up to {dose.largest_gy:.4g} Gy in a file without fractions",
            f"at most {MOST_FRACTION_GY:g} Gy in one fraction",
            f"{COUNT_ADVICE} Radiosurgery has fractions 1.",
        )


def _demand_like_plan(row: TreatmentRow, dose: DoseFile, planned: RtPlan, over: int) -> None:
    """Refuse a file whose dose is not the one of the plan that it references."""
    low, high = _LIKE_PLAN
    each = None if planned.fraction_gy is None else over * planned.fraction_gy
    totals = [gray for gray in (planned.total_gy, each) if gray is not None]
    if totals and not any(low <= dose.largest_gy / gray <= high for gray in totals):
        by_plan = f"{totals[0]:.4g} Gy in {over} fractions"
        raise _refusal(
            row,
            f"up to {dose.largest_gy:.4g} Gy in the file, where its RTPLAN gives {by_plan}",
            "a dose of the whole plan",
            "Export plan and dose again; a file of one fraction's dose has DoseSummationType FRACTION_SESSION.",
        )


def _demand_possible(row: TreatmentRow, dose: DoseFile, over: int) -> None:
    """Refuse a largest dose of a fraction that cannot be, or is not the one stated."""
    low, high = LIKE
    most_gy = dose.largest_gy / over
    advice = COUNT_ADVICE
    if most_gy > MOST_GY:
        found, expected = f"{most_gy:.4g} Gy a fraction", f"at most {MOST_GY:g}"
        advice += " Doses are in Gy, not cGy."
    elif row.dose_gy is not None and not _like_stated(row, most_gy):
        found = f"up to {most_gy:.4g} Gy a fraction in the file beside dose_gy {row.dose_gy:g}"
        expected = f"a largest dose of {low:g} to {high:g} times dose_gy"
    elif most_gy < LEAST_FRACTION_GY:
        found, expected = f"{most_gy:.2g} Gy a fraction at most", f"at least {LEAST_FRACTION_GY:g}"
        advice = (
            "fractions is the number over which the file sums: a file of one fraction's dose has fractions 1 and one "
            "line for each fraction given; a course in one line needs the dose of the whole course."
        )
    else:
        return
    raise _refusal(row, found, expected, advice)


def _remarks(row: TreatmentRow, dose: DoseFile, over: int) -> list[QualityWarning]:
    """Return what is unusual about a dose and may still be right."""
    where = f"line {row.line} of the table of treatments"
    found = []
    if dose.largest_gy / over > MOST_FRACTION_GY:
        sentence = f"The dose file of {where} gives up to {dose.largest_gy / over:.3g} Gy in one fraction."
        advice = "Check that this was radiosurgery in one fraction."
        found.append(QualityWarning("fraction-dose-high", sentence, advice))
    if over >= _SEVERAL and dose.largest_gy < _LOW_PLAN_GY and row.dose_gy is None:
        sentence = f"The dose file of {where} gives no more than {dose.largest_gy:.3g} Gy in all {over} fractions."
        found.append(QualityWarning("plan-dose-low", sentence, "Check that it is not the dose of one fraction."))
    if dose.effective:
        sentence = f"The dose file of {where} is corrected for biological effect (DoseType EFFECTIVE)."
        advice = "Use it for protons (RBE); a dose already converted to 2 Gy fractions would be converted twice."
        found.append(QualityWarning("dose-effective", sentence, advice))
    if dose.summation == "MULTI_PLAN" and over > 1:
        sentence = f"The dose file of {where} sums several plans; each fraction is given the mean share of all of them."
        advice = "Export the dose of each plan where their fractions fell on different days."
        found.append(QualityWarning("dose-of-several-plans", sentence, advice))
    return found


def _refusal(row: TreatmentRow, found: str, expected: str, advice: str) -> InputError:
    return InputError(f"{row.where}, column dose_file", found=found, expected=expected, advice=advice)
