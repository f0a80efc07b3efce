"""Table of regions that stands in a session, read for its page: the file's own numbers, as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palpate.content_digest import digest_of_values
from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.table import COLUMNS, read_rows, record_beside
from palpate.quality_warning import QualityWarning, recorded_warnings

_NUMBERS: Final = (
    *("mean", "std", "lower", "upper", "volume_ml", "informed_share", "covered_share"),
    *("mean_error", "lower_error", "upper_error"),
)
TABLE_NAME: Final = "regions.tsv"
OUTDATED: Final = QualityWarning(
    "regions-outdated",
    "The session's table of regions belongs to another inversion than its maps and is not shown.",
    "Run palpate regions on the session again, then palpate report.",
)


@dataclass(frozen=True, slots=True)
class WrittenValue:
    """Row of a table of regions.

    Attributes:
        cells: texts of the row by the names of the columns, as they are written.
        place_mm: place of the region, world R A S millimetres; None where the record states none.
    """

    cells: Mapping[str, str]
    place_mm: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class WrittenRegions:
    """Regions of one run as a session's table states them.

    Attributes:
        values: rows of the run, in the order of the file.
        outside: names of the regions of which no voxel lies on the map.
        warnings: warnings that the record states.
    """

    values: tuple[WrittenValue, ...]
    outside: tuple[str, ...] = ()
    warnings: tuple[QualityWarning, ...] = ()


def written_regions(session: Path, run: StiffnessMaps) -> WrittenRegions | None:
    """Return the regions of a run from the session's table; None where there is no table, or no row of the run.

    Of a table that was made from another inversion only a warning is returned.

    Args:
        session: session folder.
        run: posterior of the run.

    Raises:
        InputError: the file is no table of regions of this version.
    """
    table = session / TABLE_NAME
    if not table.exists():
        return None
    rows = list(map(_cells, read_rows(table)))
    own = [one for one in rows if (one["run"], one["frequency_hz"]) == (run.label, f"{run.frequency_hz:g}")]
    if not own:
        return None
    entry = _entry(table, run)
    if entry.get("inversion_digest", digest_of_values(run.inversion)) != digest_of_values(run.inversion):
        return WrittenRegions((), warnings=(OUTDATED,))
    places = _places(entry)
    values = tuple(WrittenValue(one, places.get((one["region"], one["number"]))) for one in own)
    return WrittenRegions(values, tuple(map(str, entry.get("outside_the_map") or [])), recorded_warnings(entry))


def _cells(line: str) -> dict[str, str]:
    """Return the cells of a line by their columns.

    Raises:
        InputError: it has fewer or more cells than the table has columns, or a cell of a figure is no number.
    """
    cells = dict(zip(COLUMNS, line.split("\t"), strict=False))
    try:
        if len(cells) == line.count("\t") + 1 == len(COLUMNS) and all(float(cells[one]) or True for one in _NUMBERS):
            return cells
    except ValueError:
        pass
    raise InputError(
        TABLE_NAME,
        found=f"a row that is not whole: {line[:60]}",
        expected=f"{len(COLUMNS)} cells, as palpate regions writes them",
        advice="Run palpate regions on the session again.",
    )


def _entry(table: Path, run: StiffnessMaps) -> Mapping[str, Any]:
    """Return what the record beside a table states on a run; nothing where there is no record."""
    path = record_beside(table)
    regions = read_json(path, record="regions").get("regions") if path.exists() else None
    found = regions.get(run.stem) if isinstance(regions, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _places(entry: Mapping[str, Any]) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Return the places of regions by the texts of their names and numbers."""
    found = {}
    for one in entry.get("places") or []:
        number = "n/a" if one["number"] is None else str(one["number"])
        x, y, z = map(float, one["place_mm"])
        found[one["region"].replace("\t", " "), number] = (x, y, z)
    return found
