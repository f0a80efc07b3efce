"""The table participants.tsv beside the table of sessions: facts about subjects that do not change.

Columns that palpate uses are `subject` (or `participant_id`, as BIDS writes it), `age` (years), `sex`, `weight_kg`,
`creatinine` (umol/L), `mgmt`, `idh` and `scanner`; others may be there and are not read. Empty cells and `n/a`
mean that a fact is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.config.table import TableColumns, read_table
from palpate.errors import InputError

NAME: Final = "participants.tsv"
"""Name of the table."""
SEXES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("f", "female", "w"), "female"),
    **dict.fromkeys(("m", "male"), "male"),
    **dict.fromkeys(("o", "other", "x"), "other"),
}
"""Spellings of a sex in lower case, and the word for each."""
MGMT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("methylated", "positive"), "methylated"),
    **dict.fromkeys(("unmethylated", "negative"), "unmethylated"),
}
"""Spellings of the state of MGMT's promoter in lower case, and the word for each."""
IDH: Final[Mapping[str, str]] = {
    **dict.fromkeys(("mutant", "mutated", "mut"), "mutant"),
    **dict.fromkeys(("wildtype", "wild-type", "wt"), "wildtype"),
}
"""Spellings of the state of IDH in lower case, and the word for each."""
_NUMBERS: Final[Mapping[str, tuple[float, float, str]]] = {
    "age": (0.0, 120.0, "years"),
    "weight_kg": (1.0, 400.0, "kg"),
    "creatinine": (5.0, 3000.0, "umol/L"),
}
"""Numbers with their least and largest value, and their unit."""
_SUBJECT: Final = ("subject", "participant_id")
_EMPTY: Final = ("", "n/a", "unknown")


@dataclass(frozen=True, slots=True)
class Participant:
    """Facts about one subject; None where one is not known.

    Attributes:
        subject: BIDS label, without "sub-".
        age: age, years.
        sex: "female", "male" or "other".
        weight_kg: weight, kg.
        creatinine: serum creatinine, umol/L.
        mgmt: state of MGMT's promoter, "methylated" or "unmethylated".
        idh: state of IDH, "mutant" or "wildtype".
        scanner: name of the scanner, as the table has it.
    """

    subject: str
    age: float | None = None
    sex: str | None = None
    weight_kg: float | None = None
    creatinine: float | None = None
    mgmt: str | None = None
    idh: str | None = None
    scanner: str | None = None


def read_participants(path: Path) -> dict[str, Participant]:
    """Read the table of participants.

    Args:
        path: tab-separated file with a header line.

    Returns:
        The participants by their labels.

    Raises:
        InputError: the file is no such table, a subject is there twice, or a cell cannot be used.
    """
    advice = "Give a tab-separated table (docs/files.md)."
    columns = TableColumns((), (*_SUBJECT, "sex", "mgmt", "idh", "scanner", *_NUMBERS), further=True)
    found: dict[str, Participant] = {}
    for line, row in read_table(path, columns, what="a table of participants", advice=advice):
        one = _participant(f"{path}, line {line}", row)
        if one.subject in found:
            raise InputError(
                f"{path}, line {line}",
                found=f"subject {one.subject} a second time",
                expected="one line for each subject",
                advice="Join the lines.",
            )
        found[one.subject] = one
    return found


def _participant(where: str, row: Mapping[str, str]) -> Participant:
    cells = {name: "" if cell.lower() in _EMPTY else cell for name, cell in row.items()}
    subject = next((cells[name] for name in _SUBJECT if cells.get(name)), "").removeprefix("sub-")
    if not subject:
        raise InputError(where, found="no subject", expected="a label in the column subject", advice="Fill it in.")
    return Participant(
        subject,
        age=_number(where, "age", cells.get("age", "")),
        sex=_word(where, "sex", cells.get("sex", ""), SEXES),
        weight_kg=_number(where, "weight_kg", cells.get("weight_kg", "")),
        creatinine=_number(where, "creatinine", cells.get("creatinine", "")),
        mgmt=_word(where, "mgmt", cells.get("mgmt", ""), MGMT),
        idh=_word(where, "idh", cells.get("idh", ""), IDH),
        scanner=cells.get("scanner") or None,
    )


def _word(where: str, name: str, cell: str, known: Mapping[str, str]) -> str | None:
    if not cell:
        return None
    if cell.lower() not in known:
        expected = f"one of {', '.join(known)}, or n/a"
        raise InputError(f"{where}, {name}", found=repr(cell[:30]), expected=expected, advice="Correct the cell.")
    return known[cell.lower()]


def _number(where: str, name: str, cell: str) -> float | None:
    if not cell:
        return None
    least, most, unit = _NUMBERS[name]
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if least <= value <= most:
        return value
    expected = f"a number of {unit} from {least:g} to {most:g}, or n/a"
    raise InputError(f"{where}, {name}", found=repr(cell[:30]), expected=expected, advice="Write the number alone.")
