"""The table of treatments, treatments.tsv: one line an event, checked before any image is opened.

| column | |
|---|---|
| date | ISO date |
| kind | radiotherapy (one line a fraction), chemotherapy (one line a dose), surgery |
| dose_gy | radiotherapy: dose of this fraction, Gy; with dose_file its largest value, as a check |
| amount | chemotherapy: mg |
| drug | chemotherapy: a name from the configuration |
| dose_file | radiotherapy: RTDOSE DICOM or NIfTI in Gy; without it the dose is the same everywhere in tissue |
| fractions | over how many fractions dose_file sums; 1 if empty |
| mask_file | NIfTI: what was removed, or what alone received dose_gy |
| roi | in place of mask_file: numbers of roi.nii.gz at the last scan before, such as 1+3 |
| space | session in whose world coordinates a file lies; the first scan of the tumour if empty |

Paths are relative to the table.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from palpate.config.table import Rows, TableColumns, read_table
from palpate.errors import InputError
from palpate.imaging.tumour.history import CAVITY, ENHANCING

type Kind = Literal["radiotherapy", "chemotherapy", "surgery"]

REQUIRED: Final = ("date", "kind")
OPTIONAL: Final = ("dose_gy", "amount", "drug", "dose_file", "fractions", "mask_file", "roi", "space")
MOST_GY: Final = 100.0
"""No fraction of any treatment exceeds this anywhere: radiosurgery gives 20 to 25, for pain up to 90."""
_MOST_MG: Final = 1e5
_MOST_FRACTIONS: Final = 200
_EMPTY: Final = ("", "n/a")
_USES: Final[Mapping[str, tuple[str, ...]]] = {
    "radiotherapy": ("dose_gy", "dose_file", "fractions", "mask_file", "roi", "space"),
    "chemotherapy": ("amount", "drug"),
    "surgery": ("mask_file", "roi", "space"),
}


@dataclass(frozen=True, slots=True)
class TreatmentRow:
    """One event.

    Attributes:
        where: table and line, for errors.
        date: when.
        kind: what.
        dose_gy: of the fraction; None where only a file says.
        amount_mg: of the drug.
        drug: in lower case.
        dose_file: spatial dose, summed over `fractions`.
        fractions: at least 1.
        mask_file: region removed or irradiated.
        roi: regions of the last scan before, in place of a mask; empty for none.
        space: label of the session in whose world the files lie; empty for the first scan's.
    """

    where: str
    date: datetime.date
    kind: Kind
    dose_gy: float | None = None
    amount_mg: float = 0.0
    drug: str = ""
    dose_file: Path | None = None
    fractions: int = 1
    mask_file: Path | None = None
    roi: tuple[int, ...] = ()
    space: str = ""


def read_treatments(table: Path, drugs: Collection[str] | None = None) -> tuple[TreatmentRow, ...]:
    """Read and check a table of treatments.

    Args:
        table: tab-separated, with a header line.
        drugs: names that the configuration knows; None to take any.

    Returns:
        Events in order of their dates. The order of lines of one day is kept.

    Raises:
        InputError: unreadable, a column missing, unknown or doubled, or a cell that cannot be.
    """
    events = []
    for line, cells in _lines(table):
        where = f"{table}, line {line}"
        kind = cells.get("kind", "").lower()
        if kind not in get_args(Kind.__value__):
            expected = ", ".join(get_args(Kind.__value__))
            raise InputError(where, found=f"kind {kind[:30]!r}", expected=expected, advice="Correct the kind.")
        _demand_no_strays(where, kind, cells)
        date = _date(where, cells.get("date", ""))
        reader = {"radiotherapy": _radiotherapy, "chemotherapy": _chemotherapy, "surgery": _surgery}[kind]
        event = reader(where, date, cells, table)
        if drugs is not None and event.kind == "chemotherapy" and event.drug not in drugs:
            raise InputError(
                where,
                found=f"drug {event.drug[:30]!r}",
                expected=", ".join(sorted(drugs)) or "no drug, since the configuration has none",
                advice="Correct the name, or describe the drug under twin.drugs of the configuration.",
            )
        events.append(event)
    return tuple(sorted(events, key=lambda event: event.date))


def _lines(table: Path) -> Rows:
    columns = TableColumns(REQUIRED, OPTIONAL, advice_unknown="Check the spelling (docs/longitudinal.md).")
    advice = "Give a tab-separated table (docs/longitudinal.md)."
    rows = read_table(table, columns, what="a table of treatments", advice=advice)
    return [(number, {name: "" if cell in _EMPTY else cell for name, cell in row.items()}) for number, row in rows]


def _demand_no_strays(where: str, kind: str, cells: Mapping[str, str]) -> None:
    for name, cell in cells.items():
        if cell and name not in REQUIRED and name not in _USES[kind]:
            raise InputError(
                where,
                found=f"{name} {cell[:30]!r} in a line of {kind}",
                expected=f"only {', '.join(_USES[kind])}",
                advice="Empty the cell or correct the kind.",
            )


def _radiotherapy(where: str, date: datetime.date, cells: Mapping[str, str], table: Path) -> TreatmentRow:
    stated = cells.get("dose_gy", "")
    dose_file, mask_file, roi = _region(where, cells, table)
    if not stated and dose_file is None:
        raise InputError(
            where,
            found="radiotherapy without dose",
            expected="dose_gy of the fraction, or a dose_file",
            advice="Fill in the column dose_gy (one line a fraction).",
        )
    if dose_file is not None and (mask_file is not None or roi):
        raise InputError(
            where,
            found="dose_file together with mask_file or roi",
            expected="one of them: the file says where dose went",
            advice="Empty the other cell.",
        )
    if cells.get("fractions", "") and dose_file is None:
        found, expected = "fractions without dose_file", "the number of fractions that a file sums over"
        raise InputError(where, found=found, expected=expected, advice="Write one line a fraction.")
    dose_gy = _number(where, "dose_gy", stated, MOST_GY) if stated else None
    fractions = int(_number(where, "fractions", cells.get("fractions", "") or "1", _MOST_FRACTIONS, whole=True))
    space = cells.get("space", "")
    return TreatmentRow(where, date, "radiotherapy", dose_gy, 0.0, "", dose_file, fractions, mask_file, roi, space)


def _chemotherapy(where: str, date: datetime.date, cells: Mapping[str, str], _table: Path) -> TreatmentRow:
    drug, amount = cells.get("drug", "").lower(), cells.get("amount", "")
    for name, cell in (("drug", drug), ("amount", amount)):
        if not cell:
            expected = "a name and an amount in mg"
            raise InputError(
                where, found=f"chemotherapy without {name}", expected=expected, advice=f"Fill in the column {name}."
            )
    return TreatmentRow(where, date, "chemotherapy", None, _number(where, "amount", amount, _MOST_MG), drug)


def _surgery(where: str, date: datetime.date, cells: Mapping[str, str], table: Path) -> TreatmentRow:
    _, mask_file, roi = _region(where, cells, table)
    if mask_file is None and not roi:
        raise InputError(
            where,
            found="surgery without a region",
            expected="mask_file, or roi with numbers of roi.nii.gz such as 1+3",
            advice="Say what was removed.",
        )
    space = cells.get("space", "")
    return TreatmentRow(where, date, "surgery", mask_file=mask_file, roi=roi, space=space)


def _region(where: str, cells: Mapping[str, str], table: Path) -> tuple[Path | None, Path | None, tuple[int, ...]]:
    """Dose file, mask file and regions of a line."""
    files: list[Path | None] = []
    for name in ("dose_file", "mask_file"):
        cell = cells.get(name, "")
        path = (table.parent / cell).absolute() if cell else None
        if path is not None and not path.exists():
            advice = "Paths are relative to the table's own folder."
            raise InputError(f"{where}, column {name}", found=repr(cell), expected="a path that exists", advice=advice)
        files.append(path)
    cell = cells.get("roi", "")
    parts = cell.split("+") if cell else []
    known = {str(number) for number in range(ENHANCING, CAVITY + 1)}
    if not set(parts) <= known:
        expected = "numbers of roi.nii.gz from 1 to 4, joined by +"
        raise InputError(where, found=f"roi {cell[:30]!r}", expected=expected, advice="Correct the column roi.")
    if files[1] is not None and parts:
        raise InputError(where, found="mask_file and roi", expected="one of them", advice="Empty one of the two cells.")
    return files[0], files[1], tuple(int(part) for part in parts)


def _number(where: str, name: str, cell: str, most: float, *, whole: bool = False) -> float:
    expected = f"a {'whole ' if whole else ''}number above 0, at most {most:g}"
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not 0.0 < value <= most or (whole and value != int(value)):
        raise InputError(
            where,
            found=f"{name} {cell[:30]!r}",
            expected=expected,
            advice="Write it with a decimal point, and without a unit (Gy, mg).",
        )
    return value


def _date(where: str, cell: str) -> datetime.date:
    try:
        return datetime.datetime.strptime(cell, "%Y-%m-%d").date()
    except ValueError as error:
        raise InputError(
            where,
            found=f"date {cell[:30]!r}",
            expected="a day like 2026-03-31",
            advice="Write year, month and day as ISO 8601 does.",
        ) from error
