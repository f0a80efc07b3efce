"""Figures of one day of a forecast for the report: volumes, burden and displacements with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from palpate.imaging.dicom_out.region_masks import RegionMask
from palpate.imaging.dicom_out.report_codes import DAY, VOLUME, Fact
from palpate.imaging.dicom_out.report_place import RegionPlace
from palpate.twin.products.figures import DISPLACEMENTS

_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "enhancing": ("enhancing_ml",),
    "visible": ("visible_ml", "burden_ml", *DISPLACEMENTS),
}
"""Quantities that are stated with the region of each kind."""
_SHOWN: Final = ("P50", "P5", "P95")
"""Regions with which figures are stated, the first that there is."""


@dataclass(frozen=True, slots=True)
class ForecastQuantity:
    """Quantity of a forecast.

    Attributes:
        key: name in forecast.json, which ends in its unit.
    """

    key: str

    @property
    def unit(self) -> str:
        """Unit of its values."""
        return "mL" if self.key.endswith("_ml") else "mm"


@dataclass(frozen=True, slots=True)
class ForecastValue:
    """Forecast of a quantity: equally probable draws, summarised.

    Attributes:
        quantity: quantity.
        median: median, in the quantity's unit.
        mean: mean.
        std: standard deviation; None in folders of earlier versions, which do not state it.
        lower: lower end of the 95 % credible interval.
        upper: upper end of the 95 % credible interval.
    """

    quantity: ForecastQuantity
    median: float
    mean: float
    std: float | None
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class ForecastRegion:
    """Region of a forecast in a report.

    Attributes:
        name: name of the region.
        place: place of the region on the T1.
        values: forecasts that are stated with it.
        day: day of the forecast since the first scan.
        volume_ml: volume of the region as it is drawn, millilitres.
    """

    name: str
    place: RegionPlace
    values: tuple[ForecastValue, ...]
    day: float
    volume_ml: float

    @property
    def facts(self) -> Sequence[Fact]:
        """Volume of the region as it is drawn, and the day, each with concept and unit."""
        return (VOLUME, self.volume_ml, "mL"), (DAY, self.day, "d")

    def exceedance(self, key: str) -> None:  # noqa: ARG002 - nobody asks a forecast for a threshold
        """Return None: a forecast's report states no probability of exceeding a threshold.

        Args:
            key: key of the quantity.
        """
        return


@dataclass(frozen=True, slots=True)
class ForecastFigures:
    """Figures of a day that are stated with a region.

    Attributes:
        name: name of the region.
        values: forecasts.
        day: day of the forecast since the first scan.
        volume_ml: volume of the region as it is drawn, millilitres.
        comments: sentences about the region for the reader.
    """

    name: str
    values: tuple[ForecastValue, ...]
    day: float
    volume_ml: float
    comments: tuple[str, ...]

    def reported(self, place: RegionPlace) -> ForecastRegion:
        """Return the region as the report states it.

        Args:
            place: place of the region on the T1.
        """
        return ForecastRegion(self.name, place, self.values, self.day, self.volume_ml)


def forecast_figures(row: Mapping[str, Any], regions: Sequence[RegionMask]) -> tuple[ForecastFigures, ...]:
    """Return the figures of a day, with the region of each kind of tumour; none for kinds without region or figures.

    Args:
        row: entry of the day in forecast.json.
        regions: regions of the day on the T1.
    """
    found = []
    for kind, keys in _OF_KIND.items():
        named = {one.name.removeprefix(f"{kind} "): one for one in regions if one.name.startswith(f"{kind} ")}
        region = next((named[level] for level in _SHOWN if level in named), None)
        values = tuple(value for key in keys if (value := _value(key, row.get(key))) is not None)
        if region is None or not values:
            continue
        comment = (
            f"{region.name}: figures of the {kind} tumor are forecasts of the whole tumor; the volume of the region is "
            "that of the voxels that are drawn, another figure."
        )
        found.append(ForecastFigures(region.name, values, float(row["day"]), region.volume_ml, (comment,)))
    return tuple(found)


def _value(key: str, stated: object) -> ForecastValue | None:
    """Return the forecast of a quantity; None where the record does not state it."""
    if not isinstance(stated, Mapping) or not {"median", "mean", "95"} <= set(stated):
        return None
    std = stated.get("std")
    lower, upper = (float(one) for one in stated["95"])
    return ForecastValue(
        ForecastQuantity(key),
        float(stated["median"]),
        float(stated["mean"]),
        None if std is None else float(std),
        lower,
        upper,
    )
