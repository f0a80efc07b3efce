"""Table of changes, `change.tsv`, and the record beside it, `change.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palpate.imaging.changes.between_scans import changed_by_rule, rule_of
from palpate.imaging.changes.regional import RegionChange
from palpate.imaging.changes.session import ComparedSession
from palpate.output_kinds import FileKind, json_kind

COLUMNS: Final = (
    *("subject", "session_a", "session_b", "frequency_hz", "region", "quantity", "unit", "mean_a", "mean_b"),
    *("difference", "difference_std", "difference_lower", "difference_upper"),
    *("ratio", "ratio_std", "ratio_lower", "ratio_upper"),
    *("probability_increased", "changed", "repeatability_percent", "rule", "changed_by_rule"),
    *("volume_ml", "covered_share", "informed_share_a", "informed_share_b", "draws_a", "draws_b", "physiology"),
)
"""Columns of the table."""
_ROUNDING: Final = 1e-12
NOT_KNOWN: Final = "n/a"
"""Cell without a value."""


def _is_table(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline(10_000).decode("utf-8").rstrip("\r\n").split("\t")[:9] == list(COLUMNS[:9])


TABLE: Final = FileKind("change", "table of changes", (".tsv",), _is_table)
RECORD: Final = FileKind("change", "record of changes", (".json",), json_kind("changes", "between_scans", "versions"))


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Changes at one frequency.

    Attributes:
        first: session A.
        second: session B.
        changes: changes of all regions and quantities.
        facts: entry of the record.
    """

    first: ComparedSession
    second: ComparedSession
    changes: tuple[RegionChange, ...]
    facts: Mapping[str, Any]


def table_text(pairs: Sequence[ComparedPair], *, physiology: bool) -> str:
    """Return the table, one line for each region and quantity.

    Args:
        pairs: changes at each frequency.
        physiology: whether the variation between scans is in the intervals.
    """
    lines = ["\t".join(_cell(row[name]) for name in COLUMNS) for row in change_rows(pairs, physiology=physiology)]
    return "\n".join(["\t".join(COLUMNS), *lines]) + "\n"


def change_rows(pairs: Sequence[ComparedPair], *, physiology: bool) -> list[dict[str, object]]:
    """Return the rows of the table, by the names of the columns; numbers keep all their digits.

    Args:
        pairs: changes at each frequency.
        physiology: whether the variation between scans is in the intervals.
    """
    told = "on" if physiology else "off"
    return [{**_origin(pair), **_figures(one), "physiology": told} for pair in pairs for one in pair.changes]


def _origin(pair: ComparedPair) -> dict[str, object]:
    return {
        "subject": pair.first.subject or pair.second.subject or None,
        "session_a": pair.first.session,
        "session_b": pair.second.session,
        "frequency_hz": pair.first.run.frequency_hz,
        "draws_a": pair.first.draws.count,
        "draws_b": pair.second.draws.count,
    }


def _figures(one: RegionChange) -> dict[str, object]:
    change, (first, second) = one.change, one.values
    key = one.quantity.key
    rule = rule_of(one.term.kind, key)
    difference = change.differences.mean
    return {
        "region": one.name,
        "quantity": key,
        "unit": one.quantity.unit,
        "mean_a": first.mean,
        "mean_b": second.mean,
        "difference": difference,
        "difference_std": change.differences.std,
        "difference_lower": change.differences.lower,
        "difference_upper": change.differences.upper,
        "ratio": change.ratio,
        "ratio_std": change.ratios.std,
        "ratio_lower": change.ratios.lower,
        "ratio_upper": change.ratios.upper,
        "probability_increased": change.probability_increased,
        "changed": change.changed,
        "repeatability_percent": one.term.repeatability_percent,
        "rule": rule or None,
        "changed_by_rule": changed_by_rule(rule, difference, change.ratio),
        "volume_ml": first.region.volume_ml,
        "covered_share": min(first.region.covered_share, second.region.covered_share),
        "informed_share_a": first.informed_share,
        "informed_share_b": second.informed_share,
    }


def _cell(value: object) -> str:
    """Return a cell: true or false, numbers with six digits, n/a for nothing."""
    if value is None:
        return NOT_KNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{0.0 if abs(value) < _ROUNDING else value:.6g}"
    return str(value)


def record_json(content: Mapping[str, Any]) -> str:
    """Return the record as JSON text."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
