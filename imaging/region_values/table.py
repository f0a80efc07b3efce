"""Tables of regions: regions.tsv of a session, group_regions.tsv of a study, and the record beside each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from palpate.content_digest import digest_of_values
from palpate.errors import InputError
from palpate.imaging.files.plain_names import shown
from palpate.imaging.region_values.run_regions import RunRegions
from palpate.imaging.region_values.values import RegionValue
from palpate.output_kinds import FileKind, json_kind
from palpate.provenance import versions

COLUMNS: Final = {
    "subject": "label of the subject",
    "session": "label of the session",
    "frequency_hz": "frequency of the vibration, hertz",
    "region": "name of the region",
    "quantity": "quantity that was averaged over the region in every joint draw",
    "unit": "unit of the quantity; 1 for a ratio",
    "mean": "posterior mean",
    "std": "posterior standard deviation",
    "lower": "lower end of the 95 % credible interval",
    "upper": "upper end of the 95 % credible interval",
    "volume_ml": "volume of the region as it was drawn, millilitres",
    "informed_share": "share of the covered part whose values come mostly from this scan",
    "draws": "number of joint draws",
    "covered_share": "share of the region that lies on voxels of the map; values are of this part",
    "mean_error": "Monte-Carlo standard error of the mean",
    "lower_error": "Monte-Carlo standard error of the lower end of the interval",
    "upper_error": "Monte-Carlo standard error of the upper end of the interval",
    "number": "number of the label, segment or ROI; n/a for a sphere",
    "run": "label of the run of the elastography",
}
"""Columns of the tables, in order, and their meanings."""
HEADER: Final = "\t".join(COLUMNS)
_LABEL: Final = re.compile(r"sub-(?P<subject>[0-9A-Za-z]+)_ses-(?P<session>[0-9A-Za-z]+)(?:_.*)?")


def _is_table(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline(1000).decode("utf-8").rstrip("\r\n") == HEADER


TABLE: Final = FileKind("regions", "table of regions", (".tsv",), _is_table)
RECORD: Final = FileKind(
    "regions", "record of a table of regions", (".json",), json_kind("columns", "regions", "versions")
)


def record_beside(table: Path) -> Path:
    """Return the path of the record beside a table."""
    return table.with_name(table.name.removesuffix(".tsv") + ".json")


def rows_of(found: Sequence[RunRegions]) -> Iterator[str]:
    """Yield the lines of a table, without its header.

    Args:
        found: regions of the runs of a session.
    """
    for one in found:
        label = _LABEL.fullmatch(one.run.label)
        names = (label["subject"], label["session"]) if label else (one.run.label, "n/a")
        for value in one.values:
            yield "\t".join((*names, f"{one.run.frequency_hz:g}", *_cells(value), one.run.label))


def _cells(value: RegionValue) -> tuple[str, ...]:
    """Return the cells from the region's name to its number."""
    region, errors = value.region, value.monte_carlo
    numbers = (value.mean, value.std, *value.summary.interval(), region.volume_ml, value.informed_share)
    further = (region.covered_share, errors.mean, errors.lower, errors.upper)
    return (
        region.name.replace("\t", " "),
        value.quantity.key,
        value.quantity.unit,
        *(f"{one:.8g}" for one in numbers),
        str(len(value.draws)),
        *(f"{one:.8g}" for one in further),
        "n/a" if region.number is None else str(region.number),
    )


def record_of(found: Sequence[RunRegions]) -> dict[str, Any]:
    """Return the entry of a session in the record beside a table.

    Args:
        found: regions of the runs of a session.
    """
    return {
        one.run.stem: {
            **one.facts,
            "inversion_digest": digest_of_values(one.run.inversion),
            "places": [place.as_record() for place in one.places],
            "outside_the_map": list(one.outside),
            "warnings": [warning.as_record() for warning in one.warnings],
        }
        for one in found
    }


def record_text(entries: dict[str, Any]) -> str:
    """Return the JSON text beside a table.

    Args:
        entries: entries of its runs, by their stems.
    """
    told = {"columns": COLUMNS, "regions": entries, "versions": versions()}
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_rows(table: Path) -> list[str]:
    """Return the lines of a table of regions, without its header.

    Raises:
        InputError: the file is no such table.
    """
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    if not lines or lines[0] != HEADER:
        raise InputError(
            shown(table),
            found="another table",
            expected="a table of regions of this version",
            advice="Run palpate regions on the session again.",
        )
    return lines[1:]
