"""The table of treatments, treatments.tsv: one line an event or a course, checked before any image is opened.

| column | |
|---|---|
| date | ISO date; of the first fraction where the line is a course |
| kind | radiotherapy (one line a fraction, or a course), chemotherapy (one line a dose), surgery |
| dose_gy | radiotherapy: dose of ONE fraction, Gy, never of a course; with dose_file its largest value, as a check |
| dose_file | radiotherapy: RTDOSE DICOM or NIfTI in Gy; without it the dose is the same everywhere in tissue |
| fractions | number of fractions over which dose_file sums; with days_a_week also the number the line stands for |
| days_a_week | the line is a course: 5 (Monday to Friday), 6 (to Saturday), 7, or 1 (the weekday of date) |
| amount_mg | chemotherapy: mg (the name amount is read for one version) |
| drug | chemotherapy: a name from the configuration |
| mask_file | what was removed, or what alone received dose_gy: NIfTI, SEG or RTSTRUCT (`file#name`) |
| roi | in place of mask_file: numbers of roi.nii.gz at the last scan before, such as 1+3 |
| space | session in whose world coordinates a file lies; the first scan of the tumour if empty |
| registration | file that carries dose_file or mask_file from another frame of reference (a planning CT's) to a T1 |
| recommended_by | identifier of the plan that the line follows (plan_id of palpate plan); other words are not used |

Paths are relative to the table.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, get_args

from palpate.config.region_choice import split_choice
from palpate.config.table import Rows, TableColumns, read_table
from palpate.errors import InputError
from palpate.imaging.tumour.history import CAVITY, ENHANCING
from palpate.imaging.tumour.schedule import MOST_FRACTIONS, days_a_week_of
from palpate.imaging.tumour.treatment_cells import date_of, dose_gy_of, number_of
from palpate.progress import say
from palpate.renamed import TREATMENT_COLUMNS

type Kind = Literal["radiotherapy", "chemotherapy", "surgery"]

REQUIRED: Final = ("date", "kind")
"""Columns that a table of treatments must have."""
OPTIONAL: Final = (
    *("dose_gy", "dose_file", "fractions", "days_a_week", "amount_mg", "drug", "mask_file", "roi", "space"),
    *("registration", "recommended_by"),
)
"""Columns that a table of treatments may have."""
PLAN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}-[0-9a-f]{8}")
"""Identifier of a plan: its name and eight digits of the digest of its inputs."""
_LEAST_MG: Final = 1.0
_MOST_MG: Final = 3e4
"""Largest amount of a dose of a drug, mg. Methotrexate reaches 26 g; an amount below 1 mg was written in g."""
_EMPTY: Final = ("", "n/a")
_MEANINGS: Final[Mapping[str, str]] = {
    "dose_gy": "it is the dose of one fraction in gray (Gy)",
    "amount_mg": "it is in milligram (mg)",
}
_USES: Final[Mapping[str, tuple[str, ...]]] = {
    "radiotherapy": ("dose_gy", "dose_file", "fractions", "days_a_week", "mask_file", "roi", "space", "registration"),
    "chemotherapy": ("amount_mg", "drug"),
    "surgery": ("mask_file", "roi", "space", "registration"),
}


@dataclass(frozen=True, slots=True)
class TreatmentRow:
    """Line of the table of treatments.

    Attributes:
        where: table and line, for errors.
        date: day of the event, or of a course's first fraction.
        kind: kind of treatment.
        dose_gy: dose of one fraction, Gy; None where only a file says.
        amount_mg: amount of the drug, mg.
        drug: name of the drug in lower case.
        dose_file: file of the dose in space, summed over `fractions`.
        fractions: number of fractions as the line states it; None where the cell is empty.
        mask_file: file of the region removed or irradiated.
        roi: regions of the last scan before, in place of a mask; empty for none.
        space: label of the session in whose world the files lie; empty for the first scan's.
        days_a_week: days of a week with a fraction, where the line is a course; None where it is one fraction.
        line: number of the line in the table, for warnings.
        registration: file of the map from the session's world to that of the dose or mask; None where they lie in it.
        plan_id: identifier of the plan that the line follows; empty for none.
    """

    where: str
    date: datetime.date
    kind: Kind
    dose_gy: float | None = None
    amount_mg: float = 0.0
    drug: str = ""
    dose_file: Path | None = None
    fractions: int | None = None
    mask_file: Path | None = None
    roi: tuple[int, ...] = ()
    space: str = ""
    days_a_week: int | None = None
    line: int = 0
    registration: Path | None = None
    plan_id: str = ""


def read_treatments(table: Path, drugs: Collection[str] | None = None) -> tuple[TreatmentRow, ...]:
    """Read and check a table of treatments.

    Args:
        table: tab-separated file with a header line.
        drugs: names that the configuration knows; None to take any.

    Returns:
        Lines in order of their dates. Lines of one day keep their order.

    Raises:
        InputError: the file is unreadable, a column is missing, unknown or doubled, or a cell is impossible.
    """
    return treatment_rows([(f"{table}, line {line}", line, cells) for line, cells in _lines(table)], table, drugs)


def treatment_rows(
    lines: Sequence[tuple[str, int, Mapping[str, str]]], table: Path, drugs: Collection[str] | None = None
) -> tuple[TreatmentRow, ...]:
    """Check lines of treatments.

    Args:
        lines: place in errors, number, and cells by column of each line.
        table: file that the lines come from; paths in them are relative to its folder.
        drugs: names that the configuration knows; None to take any.

    Returns:
        Lines in order of their dates. Lines of one day keep their order.

    Raises:
        InputError: a column is unknown, or a cell is impossible.
    """
    events = []
    for where, line, cells in lines:
        _demand_known(where, cells)
        kind = cells.get("kind", "").lower()
        if kind not in get_args(Kind.__value__):
            expected = ", ".join(get_args(Kind.__value__))
            raise InputError(where, found=f"kind {kind[:30]!r}", expected=expected, advice="Correct the kind.")
        _demand_no_strays(where, kind, cells)
        date = date_of(where, cells.get("date", ""))
        reader = {"radiotherapy": _radiotherapy, "chemotherapy": _chemotherapy, "surgery": _surgery}[kind]
        event = reader(where, date, cells, table, line)
        if drugs is not None and event.kind == "chemotherapy" and event.drug not in drugs:
            raise InputError(
                where,
                found=f"drug {event.drug[:30]!r}",
                expected=", ".join(sorted(drugs)) or "no drug, since the configuration has none",
                advice="Correct the name, or describe the drug under twin.drugs of the configuration.",
            )
        plan_id = cells.get("recommended_by", "")
        events.append(replace(event, plan_id=plan_id if PLAN_ID.fullmatch(plan_id) else ""))
    return tuple(sorted(events, key=lambda event: event.date))


def _lines(table: Path) -> Rows:
    columns = TableColumns(
        REQUIRED,
        OPTIONAL,
        advice_unknown="Remove the column; facts about the patient belong into participants.tsv.",
        renamed=TREATMENT_COLUMNS,
        meanings=_MEANINGS,
    )
    advice = "Give a tab-separated table (docs/longitudinal.md)."
    rows = read_table(table, columns, what="a table of treatments", advice=advice)
    stated = [cell for _, row in rows if (cell := row.get("recommended_by", "")) not in _EMPTY]
    if not all(map(PLAN_ID.fullmatch, stated)):
        say("treatments: the column recommended_by is not used where it holds no plan_id of palpate plan")
    return [(number, {name: "" if cell in _EMPTY else cell for name, cell in row.items()}) for number, row in rows]


def _demand_known(where: str, cells: Mapping[str, str]) -> None:
    for name in cells:
        if name not in (*REQUIRED, *OPTIONAL):
            expected = f"one of {', '.join((*REQUIRED, *OPTIONAL))}"
            raise InputError(where, found=f"{name[:30]!r}", expected=expected, advice="Correct the name.")


def _demand_no_strays(where: str, kind: str, cells: Mapping[str, str]) -> None:
    for name, cell in cells.items():
        if cell and name not in (*REQUIRED, "recommended_by") and name not in _USES[kind]:
            raise InputError(
                where,
                found=f"{name} {cell[:30]!r} in a line of {kind}",
                expected=f"only {', '.join(_USES[kind])}",
                advice="Empty the cell or correct the kind.",
            )


def _radiotherapy(where: str, date: datetime.date, cells: Mapping[str, str], table: Path, line: int) -> TreatmentRow:
    stated = cells.get("dose_gy", "")
    dose_file, mask_file, roi = _region(where, cells, table)
    if not stated and dose_file is None:
        raise InputError(
            where,
            found="radiotherapy without dose",
            expected="dose_gy of one fraction, or a dose_file",
            advice="Fill in the column dose_gy with the dose of one fraction.",
        )
    if dose_file is not None and (mask_file is not None or roi):
        raise InputError(
            where,
            found="dose_file together with mask_file or roi",
            expected="one of them: the file says where dose went",
            advice="Empty the other cell.",
        )
    number = cells.get("fractions", "")
    fractions = int(number_of(where, "fractions", number, 1.0, MOST_FRACTIONS, whole=True)) if number else None
    days_a_week = days_a_week_of(where, date, cells.get("days_a_week", ""))
    if dose_file is None:
        _demand_count(where, fractions, days_a_week)
    return TreatmentRow(
        where,
        date,
        "radiotherapy",
        dose_gy_of(where, stated) if stated else None,
        dose_file=dose_file,
        fractions=fractions,
        mask_file=mask_file,
        roi=roi,
        space=cells.get("space", ""),
        days_a_week=days_a_week,
        line=line,
        registration=_registration(where, cells, table),
    )


def _demand_count(where: str, fractions: int | None, days_a_week: int | None) -> None:
    """Refuse a line without a dose file of which nobody can say how many fractions it stands for."""
    if days_a_week is None and fractions not in (None, 1):
        raise InputError(
            where,
            found=f"fractions {fractions} without days_a_week and without dose_file",
            expected="days_a_week beside it where the line is a whole course",
            advice="Write days_a_week 5 beside it for a course of weekdays; else empty fractions and write one line "
            "for each fraction given.",
        )
    if days_a_week is not None and fractions is None:
        raise InputError(
            where,
            found="days_a_week without fractions",
            expected="the number of fractions of the course",
            advice="Fill in the column fractions.",
        )


def _chemotherapy(where: str, date: datetime.date, cells: Mapping[str, str], _table: Path, line: int) -> TreatmentRow:
    drug, amount = cells.get("drug", "").lower(), cells.get("amount_mg", "")
    for name, cell in (("drug", drug), ("amount_mg", amount)):
        if not cell:
            expected = "a name and an amount in mg"
            raise InputError(
                where, found=f"chemotherapy without {name}", expected=expected, advice=f"Fill in the column {name}."
            )
    given_mg = number_of(where, "amount_mg", amount, _LEAST_MG, _MOST_MG)
    return TreatmentRow(where, date, "chemotherapy", amount_mg=given_mg, drug=drug, line=line)


def _surgery(where: str, date: datetime.date, cells: Mapping[str, str], table: Path, line: int) -> TreatmentRow:
    _, mask_file, roi = _region(where, cells, table)
    if mask_file is None and not roi:
        raise InputError(
            where,
            found="surgery without a region",
            expected="mask_file, or roi with numbers of roi.nii.gz such as 1+3",
            advice="Say what was removed.",
        )
    return TreatmentRow(
        where,
        date,
        "surgery",
        mask_file=mask_file,
        roi=roi,
        space=cells.get("space", ""),
        line=line,
        registration=_registration(where, cells, table),
    )


def _registration(where: str, cells: Mapping[str, str], table: Path) -> Path | None:
    """File of a line's registration, which carries another file of the line."""
    if cells.get("registration", "") and not (cells.get("dose_file", "") or cells.get("mask_file", "")):
        raise InputError(
            where,
            found="a registration without dose_file or mask_file",
            expected="the file that it carries to a T1 of the subject",
            advice="Name the file beside it, or empty the cell.",
        )
    return _file(where, "registration", cells, table)


def _region(where: str, cells: Mapping[str, str], table: Path) -> tuple[Path | None, Path | None, tuple[int, ...]]:
    """Dose file, mask file and regions of a line."""
    files = [_file(where, name, cells, table) for name in ("dose_file", "mask_file")]
    cell = cells.get("roi", "")
    parts = cell.split("+") if cell else []
    known = {str(number) for number in range(ENHANCING, CAVITY + 1)}
    if not set(parts) <= known:
        expected = "numbers of roi.nii.gz from 1 to 4, joined by +"
        raise InputError(where, found=f"roi {cell[:30]!r}", expected=expected, advice="Correct the column roi.")
    if files[1] is not None and parts:
        raise InputError(where, found="mask_file and roi", expected="one of them", advice="Empty one of the two cells.")
    return files[0], files[1], tuple(int(part) for part in parts)


def _file(where: str, name: str, cells: Mapping[str, str], table: Path) -> Path | None:
    """File that a cell names, with the region chosen in a mask; None where the cell is empty."""
    cell = cells.get(name, "")
    path = (table.parent / cell).absolute() if cell else None
    if path is not None and not (split_choice(path)[0] if name == "mask_file" else path).exists():
        advice = "Paths are relative to the table's own folder."
        raise InputError(f"{where}, column {name}", found=repr(cell), expected="a path that exists", advice=advice)
    return path
