"""Labelled regions of a session on its page: the numbers of its table of regions, in the order of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from palpate.imaging.region_values.quantities import REGION_QUANTITIES
from palpate.imaging.region_values.written import WrittenRegions, WrittenValue
from palpate.quality_warning import QualityWarning
from palpate.service.report.content import Number, percent, plain, significant

type Cell = tuple[Number, ...]

_HEAD: Final = (
    "mean (95 % interval)",
    "Monte-Carlo error (of the ends)",
    "covered",
    "informed",
    "volume",
)
_CAPTION: Final = (
    "Mean over each region, from every joint draw, as regions.tsv states it. Covered: share of the region on voxels of "
    "the map; informed: share of that part whose values come mostly from this scan."
)


@dataclass(frozen=True, slots=True)
class RegionRow:
    """Row of a table of regions.

    Attributes:
        name: name of the region, with its number where it has one.
        place_mm: place for the viewer, "R A S" in millimetres; empty where it is not known.
        cells: cells, each of one or more numbers and words.
    """

    name: str
    place_mm: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class RegionTable:
    """Regions with one quantity.

    Attributes:
        title: name of the quantity with its unit.
        head: heads of the columns after the region's.
        rows: regions in the order of the file.
        caption: meaning of the columns.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[RegionRow, ...]
    caption: str = _CAPTION


@dataclass(frozen=True, slots=True)
class RegionsPanel:
    """Labelled regions of one run.

    Attributes:
        first: table of the quantity that the file states first.
        others: tables of the others.
        remarks: warnings about the regions, and the regions outside the map, in sentences.
    """

    first: RegionTable
    others: tuple[RegionTable, ...]
    remarks: tuple[str, ...]


def regions_panel(regions: WrittenRegions | None, told: Sequence[QualityWarning]) -> RegionsPanel | None:
    """Return the labelled regions of a run; None where there are none.

    Args:
        regions: regions as the session's table states them.
        told: warnings that the page states elsewhere.
    """
    if regions is None or not regions.values:
        return None
    quantities = dict.fromkeys(one.cells["quantity"] for one in regions.values)
    first, *others = (
        _table(key, [one for one in regions.values if one.cells["quantity"] == key]) for key in quantities
    )
    codes = {one.code for one in told}
    remarks = [str(one) for one in regions.warnings if one.code not in codes]
    if regions.outside:
        remarks.append(f"Outside the map, without a value: {', '.join(regions.outside)}.")
    return RegionsPanel(first, tuple(others), tuple(remarks))


def _table(key: str, values: Sequence[WrittenValue]) -> RegionTable:
    unit = values[0].cells["unit"]
    words = REGION_QUANTITIES[key].words if key in REGION_QUANTITIES else key
    title = words.replace("''", "″").replace("'", "′")
    end = "" if unit == "1" else f", {unit}"
    return RegionTable(title[:1].upper() + title[1:] + end, _HEAD, tuple(map(_row, values)))


def _row(value: WrittenValue) -> RegionRow:
    cells = value.cells
    number = f" ({cells['number']})" if cells["number"] not in ("n/a", cells["region"]) else ""
    mean, lower, upper = (_stated(value, name) for name in ("mean", "lower", "upper"))
    errors = (_stated(value, f"{name}_error", 2) for name in ("mean", "lower", "upper"))
    error, lower_error, upper_error = errors
    return RegionRow(
        name=cells["region"] + number,
        place_mm="" if value.place_mm is None else " ".join(f"{one:.2f}" for one in value.place_mm),
        cells=(
            (mean, plain(" ("), lower, plain(" to "), upper, plain(")")),
            (error, plain(" ("), lower_error, plain(", "), upper_error, plain(")")),
            (percent("region_covered_share", float(cells["covered_share"]), 0),),
            (percent("region_informed_share", float(cells["informed_share"]), 0),),
            (_stated(value, "volume_ml"), plain(" mL")),
        ),
    )


def _stated(value: WrittenValue, column: str, digits: int = 3) -> Number:
    """Return the file's own number, rounded for people."""
    number = float(value.cells[column])
    return Number(f"region_{column}", number, significant(number) if digits == 3 else f"{number:.{digits}g}")
