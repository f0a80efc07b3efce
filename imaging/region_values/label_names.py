"""Names of labels: palpate's labels.tsv, BIDS's dseg.tsv, and FreeSurfer's lookup tables.

A table with a header line has the columns index and name, as BIDS states them for segmentations; others are not
read. A lookup table of FreeSurfer has lines of a number, a name without blanks, and a colour of four numbers, and no
header. It names far more labels than any one file holds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from palpate.config.text_file import read_text_file
from palpate.errors import InputError
from palpate.imaging.anatomy.segmentation import read_names

_KINDS: Final = "a table with the columns index and name (labels.tsv, dseg.tsv), or a lookup table of FreeSurfer"
_LUT_LINE: Final = re.compile(r"\s*(\d{1,9})\s+(\S{1,100})\s+\d{1,3}\s+\d{1,3}\s+\d{1,3}(?:\s+\d{1,3})?\s*")


def read_label_names(table: Path) -> dict[int, str]:
    """Return the names of labels by their number; label 0, the background, is left out.

    Args:
        table: table of names, of one of the three forms.

    Raises:
        InputError: the file is missing or of no such form, or a number or a name occurs twice.
    """
    text = read_text_file(table, expected=_KINDS, advice="Name the table of the labels with --names.")
    lines = [
        (at, one) for at, one in enumerate(text.splitlines(), 1) if one.strip() and not one.lstrip().startswith("#")
    ]
    if not lines or not _LUT_LINE.fullmatch(lines[0][1]):
        return read_names(table)
    names: dict[int, str] = {}
    for at, line in lines:
        found = _LUT_LINE.fullmatch(line)
        if found is None or not found[2].isprintable():
            raise _refusal(table, f"line {at}, which is not a number, a name and a colour")
        number, name = int(found[1]), found[2]
        if number in names or name in names.values():
            raise _refusal(table, f"number {number} or its name for the second time on line {at}")
        names[number] = name
    names.pop(0, None)
    return names


def _refusal(table: Path, found: str) -> InputError:
    return InputError(table, found=found, expected=_KINDS, advice="Correct that line.")


def demand_names(where: Path | str, present: list[int], names: dict[int, str], table: Path) -> None:
    """Refuse a table that does not name every label that a file holds.

    Args:
        where: file of labels, by a name that errors may repeat.
        present: numbers of its labels.
        names: names of the table.
        table: the table.

    Raises:
        InputError: a label has no name.
    """
    nameless = [number for number in present if number not in names]
    if nameless:
        more = ", ..." if len(nameless) > 5 else ""
        raise InputError(
            where,
            found=f"{len(nameless)} of {len(present)} labels that {table.name} does not name: "
            f"{', '.join(map(str, nameless[:5]))}{more}",
            expected="a name for every label",
            advice="Name the table of this segmentation with --names, or add the labels to it.",
        )
