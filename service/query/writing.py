"""Kinds of files that hold an answer, and the text of each format."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from palpate.bounded_read import read_bounded
from palpate.errors import InputError
from palpate.output_kinds import FileKind, json_kind
from palpate.service.query.answer import Answer
from palpate.service.query.fhir import SYSTEM, as_fhir
from palpate.service.query.formats import COLUMNS, as_csv, as_json

type Format = Literal["json", "csv", "fhir", "sr"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format.__value__)
"""Names of the formats."""
TEXTS: Final[Mapping[str, Callable[[Answer], str]]] = {"json": as_json, "csv": as_csv, "fhir": as_fhir}
"""Formats that are text."""
_REPORT_CLASS: Final = b"1.2.840.10008.5.1.4.1.1.88.34"
_HEAD: Final = 4096


def _is_table(path: Path) -> bool:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), None) == list(COLUMNS)


def _is_observation(path: Path) -> bool:
    text = read_bounded(path).decode("utf-8")
    return '"resourceType"' in text and SYSTEM in text


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head[128:132] == b"DICM" and _REPORT_CLASS in head and b"palpate" in head


KINDS: Final[Mapping[str, FileKind]] = {
    "json": FileKind("query", "answer to a query", (".json",), json_kind("results", "region", "research_use_only")),
    "csv": FileKind("query", "table of a query", (".csv",), _is_table),
    "fhir": FileKind("query", "FHIR resource of a query", (".json",), _is_observation),
    "sr": FileKind("query", "structured report of a query", (".dcm",), _is_report),
}
"""Kind of file of each format."""


def demand_format(given: str, out: Path | None, scan: Path | None, *, compares: bool = False) -> Format:
    """Return the format that a user names.

    Args:
        given: name of the format.
        out: file to write; None for the terminal.
        scan: scan whose identity a report takes; None for none.
        compares: whether two regions are compared.

    Raises:
        InputError: there is no such format, it needs a file or holds no comparison, or the scan would have no effect.
    """
    found = next((one for one in FORMATS if one == given.strip().casefold()), None)
    if found is None:
        advice = "Leave --format out for JSON."
        raise InputError("--format", found=repr(given[:40]), expected=f"one of {', '.join(FORMATS)}", advice=advice)
    if compares and found != "json":
        advice = "Leave --format out, or --than."
        raise InputError("--than", found=f"--format {found} beside it", expected="--format json", advice=advice)
    if found == "sr" and out is None:
        advice = "Add for example --out report.dcm."
        raise InputError("--out", found="none", expected="a file for the DICOM report", advice=advice)
    if found != "sr" and scan is not None:
        advice = "Leave --scan out, or ask for --format sr."
        raise InputError("--scan", found=f"a scan beside --format {found}", expected="none", advice=advice)
    return found
