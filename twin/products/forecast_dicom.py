"""Forecast of a tumour as DICOM on the T1 of its first scan, in whose world the forecast lies.

Each voxel of the T1 takes the value of the lattice's voxel around its centre: bounds and standard deviations of a
forecast hold for voxels of the lattice, and hold for nothing between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from palpate.config.maps import KINDS, MapsSettings
from palpate.errors import InputError
from palpate.imaging.dicom_out.content import ExportOutcome, GridContent, ImageContent, write_content
from palpate.imaging.dicom_out.export_record import claim_export
from palpate.imaging.dicom_out.identities import Identities
from palpate.imaging.dicom_out.image_grid import ImageGrid, nearest_on
from palpate.imaging.dicom_out.planning_image import NoPlanningImageError, planning_dicom
from palpate.imaging.dicom_out.quantities import (
    MILLIMETRE,
    NO_UNIT,
    ON_PLANNING_GRID,
    STORED_MICROMETRE,
    STORED_SHARE,
    DicomQuantity,
)
from palpate.imaging.dicom_out.region_masks import RegionMask, on_grid
from palpate.imaging.files.json_object import read_json
from palpate.imaging.files.maps import Map, read_map
from palpate.imaging.files.nifti import voxel_indices
from palpate.twin.basis import Basis
from palpate.twin.products.forecast_figures import forecast_figures

NOTE_NAME: Final = "no_dicom_source.txt"
"""Name of the note that is written where no DICOM can be."""
LEVELS_PERCENT: Final = (95, 50, 5)
"""Probabilities from which a voxel belongs to a region, percent."""
_FIRST_SERIES: Final = 9100
_SERIES_A_DAY: Final = 40
_LEAST_WITHIN: Final = 0.95
"""Least share of the lattice's tissue that must lie within the T1."""


def _share(code: str, meaning: str, number: int) -> DicomQuantity:
    return DicomQuantity(code, meaning, number, NO_UNIT, STORED_SHARE)


def _length(code: str, meaning: str, number: int) -> DicomQuantity:
    return DicomQuantity(code, meaning, number, MILLIMETRE, STORED_MICROMETRE)


QUANTITIES: Final[Mapping[str, DicomQuantity]] = {
    "stat-mean_density": _share("DENSITY-MEAN", "Density of tumor cells, forecast mean", 1),
    "stat-std_density": _share("DENSITY-SD", "Density of tumor cells, forecast standard deviation", 2),
    "stat-lower_density": _share("DENSITY-LOWER", "Density of tumor cells, lower 95 % bound", 3),
    "stat-upper_density": _share("DENSITY-UPPER", "Density of tumor cells, upper 95 % bound", 4),
    "desc-enhancing_probability": _share("P-ENHANCING", "Probability of enhancing tumor", 5),
    "desc-visible_probability": _share("P-VISIBLE", "Probability of visible tumor", 6),
    "stat-median_displacement": _length("DISPLACE-MEDIAN", "Displacement of tissue, forecast median", 7),
    "stat-lower_displacement": _length("DISPLACE-LOWER", "Displacement of tissue, lower 95 % bound", 8),
    "stat-upper_displacement": _length("DISPLACE-UPPER", "Displacement of tissue, upper 95 % bound", 9),
}
"""Codes and words of a forecast's maps, by the ending of their files."""


@dataclass(frozen=True, slots=True)
class _Forecast:
    """Forecast as its folder holds it.

    Attributes:
        folder: folder of palpate forecast.
        subject: label of the subject, such as "02".
        rows: days of the forecast since the first scan, with their figures, as forecast.json has them.
        made: time at which it was computed.
        basis: what it rests on.
    """

    folder: Path
    subject: str
    rows: Mapping[float, Mapping[str, Any]]
    made: datetime
    basis: Basis

    @classmethod
    def read(cls, folder: Path) -> _Forecast:
        path = folder / "forecast.json"
        record = read_json(path, record="forecast", advice="Run palpate forecast again.")
        try:
            rows = {float(row["day"]): row for row in record["forecast"]}
            subject = str(record["subject"])
            basis = Basis(record.get("basis", Basis.PATIENT))  # earlier versions do not state it
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                path, found="no days", expected="the record of palpate forecast", advice="Run palpate forecast again."
            ) from error
        made = datetime.fromtimestamp(int(path.stat().st_mtime), tz=UTC)
        return cls(folder, subject, rows, made, basis)

    def maps(self, day: float) -> Iterator[tuple[str, Map]]:
        """Yield ending and map of each quantity of a day that the folder holds, NaN outside the tissue.

        Raises:
            InputError: there is no density.
        """
        tissue = np.isfinite(read_map(self.folder / f"{self.stem(day)}_stat-mean_density.nii.gz").values)
        for ending, quantity in QUANTITIES.items():
            path = self.folder / f"{self.stem(day)}_{ending}.nii.gz"
            if path.exists():
                read = read_map(path)
                values = np.where(tissue, read.values, np.float32(np.nan))
                yield ending, Map(values, read.affine_mm, quantity.unit.value, quantity.meaning)

    def stem(self, day: float) -> str:
        """Return the stem of a day's files."""
        return f"sub-{self.subject}_day-{day:g}"


def write_forecast_dicom(
    forecast: Path, out: Path, *, settings: MapsSettings, anatomy: Path | None, key: Path | None = None
) -> tuple[Path, ...]:
    """Write a forecast as DICOM, and a record beside the folder.

    Args:
        forecast: folder of palpate forecast.
        out: folder to write; an interrupted run leaves no partial result.
        settings: settings of the maps, which choose kinds and identity.
        anatomy: T1 of the tumour's first scan as DICOM.
        key: the key's file for pseudonyms; None takes the user's own.

    Returns:
        The files and folders of series written; none where the T1 is no DICOM.

    Raises:
        InputError: the forecast or the T1 cannot be used, or the T1 does not show the forecast's part of the head.
    """
    claim = claim_export(out, {"forecast": forecast, "anatomy": anatomy, "key": key})
    found, export = _Forecast.read(forecast), ExportOutcome()
    kinds = settings.kinds or KINDS
    with claim.writing(export) as partial:
        try:
            read = planning_dicom(anatomy, None)
            assert anatomy is not None
            identities = Identities(settings, None, key, out)
            grid = identities.of_planning(read, anatomy, {}, f"sub-{found.subject}", None)
        except NoPlanningImageError as reason:
            export.leave_out(kinds, f"sub-{found.subject}", str(reason))
            (partial / NOTE_NAME).write_text(f"There is no DICOM here. {reason}\n", encoding="utf-8")
            return ()
        for number, day in enumerate(found.rows):
            for content in _contents(found, day, grid, _FIRST_SERIES + number * _SERIES_A_DAY):
                write_content(partial, content, kinds, export)
        if "registration" in kinds:
            told = "The forecast lies in the T1's own frame of reference: there is no motion between frames to state."
            export.leave_out(["registration"], f"sub-{found.subject}", told)
    return tuple(out / one.path.name for one in export.written)


def _contents(found: _Forecast, day: float, grid: ImageGrid, first_series: int) -> Iterator[GridContent]:
    """Yield what is written of a day: maps on the lattice, then everything on the T1."""
    maps = {
        ending: (replace(QUANTITIES[ending], series_number=first_series + QUANTITIES[ending].series_number), the_map)
        for ending, the_map in found.maps(day)
    }
    # A description of a series holds 64 characters; the patient's attributes state the subject.
    marked = f"day {day:g}, {found.basis}"
    stem, title = found.stem(day), f"day {day:g} sub-{found.subject}" if found.basis.of_patient else marked
    warned = () if found.basis.of_patient else (f"Forecast of the model with {found.basis}.",)
    _demand_shown(maps["stat-mean_density"][1], grid)

    def image(name: str, the_map: Map, quantity: DicomQuantity, where: str) -> ImageContent:
        return ImageContent(name, the_map, quantity, f"{quantity.code} {quantity.unit.value} {where}{title}")

    lattice = tuple(
        image(f"{stem}_{ending}", the_map, _moved(quantity, 1), "") for ending, (quantity, the_map) in maps.items()
    )
    yield GridContent(grid, stem, title, found.made, maps=lattice)
    name = grid.named(stem)
    on_t1 = [(ending, quantity, _on_t1(the_map, grid)) for ending, (quantity, the_map) in maps.items()]
    regions, _ = on_grid(list(_regions(maps)), grid, np.eye(4))
    yield GridContent(
        grid,
        stem,
        title,
        found.made,
        series=tuple(image(f"{name}_{ending}", one, quantity, "") for ending, quantity, one in on_t1),
        maps=tuple(image(f"{name}_{ending}", one, _moved(quantity, 2), "on T1 ") for ending, quantity, one in on_t1),
        regions=regions,
        remarks=(*warned, "Forecast by a model of tumor growth, on the T1 of the first scan."),
        no_regions="Nowhere does the probability of tumour reach 5 %.",
        figures=forecast_figures(found.rows[day], regions),
        no_figures="The record of the forecast states no volumes of this day.",
    )


def _moved(quantity: DicomQuantity, tens: int) -> DicomQuantity:
    """Return a quantity with another series number: maps on the lattice, on the T1 and MR series have their own."""
    return replace(quantity, series_number=quantity.series_number + tens * ON_PLANNING_GRID)


def _regions(maps: Mapping[str, tuple[DicomQuantity, Map]]) -> Iterator[RegionMask]:
    """Yield the voxels of the lattice that are tumour with some probability at least."""
    for kind in ("enhancing", "visible"):
        if f"desc-{kind}_probability" in maps:
            _, the_map = maps[f"desc-{kind}_probability"]
            for percent in LEVELS_PERCENT:
                words = f"Forecast: {kind} tumor with a probability of {percent} % or more"
                mask = np.nan_to_num(the_map.values) >= percent / 100.0
                yield RegionMask(f"{kind} P{percent}", words, "forecast", mask, the_map.affine_mm, "Forecast")


def _demand_shown(tissue: Map, grid: ImageGrid) -> None:
    """Refuse a T1 outside of which the forecast lies.

    Raises:
        InputError: a part of the lattice's tissue lies outside.
    """
    centres_mm = np.argwhere(tissue.covered) @ tissue.affine_mm[:3, :3].T + tissue.affine_mm[:3, 3]
    seen = voxel_indices(grid.affine_mm, centres_mm)
    share = float(np.mean(np.all((seen > -0.5) & (seen < np.array(grid.shape) - 0.5), axis=1)))
    if share < _LEAST_WITHIN:
        raise InputError(
            "--anatomy",
            found=f"a T1 that shows {100.0 * share:.0f} % of the forecast's tissue",
            expected="the T1 of the tumour's first scan, in whose world the forecast lies",
            advice="Give that T1.",
        )


def _on_t1(the_map: Map, grid: ImageGrid) -> Map:
    """Return a map of the lattice on the T1, NaN outside."""
    values = nearest_on(the_map.values, the_map.affine_mm, grid, np.eye(4), np.float32(np.nan))
    return Map(values, grid.affine_mm, the_map.units, the_map.description)
