"""Regions of a structured report with their figures, and their making from values of regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from palpate.imaging.dicom_out.report_place import RegionPlace
from palpate.imaging.region_values.values import RegionValue


class ReportedQuantity(Protocol):
    """Quantity by its names."""

    @property
    def key(self) -> str:
        """Name for programs, such as "storage_modulus"."""
        ...

    @property
    def unit(self) -> str:
        """Unit of its values; "1" for a ratio."""
        ...


class ReportedValue(Protocol):
    """Posterior of the mean of a quantity over a region, such as RegionValue."""

    @property
    def quantity(self) -> ReportedQuantity:
        """Quantity."""
        ...

    @property
    def mean(self) -> float:
        """Posterior mean."""
        ...

    @property
    def std(self) -> float:
        """Posterior standard deviation."""
        ...

    @property
    def lower(self) -> float:
        """Lower end of the 95 % credible interval."""
        ...

    @property
    def upper(self) -> float:
        """Upper end of the 95 % credible interval."""
        ...


@dataclass(frozen=True, slots=True)
class MeasuredRegion:
    """Region in a report.

    Attributes:
        name: name of the region, of words that may be repeated.
        place: place of the region in the patient.
        values: posterior of each quantity's mean over it.
        frequency_hz: frequency of the vibration, hertz.
        volume_ml: volume of the region as it was drawn, millilitres.
        covered_ml: volume of the part that the map covers, millilitres.
        informed_share: share of the covered part whose value comes mostly from the scan.
        draws: number of joint draws.
        above_kpa: threshold, kPa; None where nobody asked for one.
        above: probability of each quantity's mean to exceed the threshold, by the quantity's key.
    """

    name: str
    place: RegionPlace
    values: Sequence[ReportedValue]
    frequency_hz: float
    volume_ml: float
    covered_ml: float
    informed_share: float
    draws: int
    above_kpa: float | None = None
    above: tuple[tuple[str, float], ...] = ()


def reported_regions(
    values: Sequence[RegionValue],
    places: Mapping[str, RegionPlace],
    frequency_hz: float,
    above_kpa: float | None = None,
) -> list[MeasuredRegion]:
    """Return values of regions as the groups of a report, a group for each region.

    Args:
        values: values of regions in one run, region by region.
        places: place of each region, by its name.
        frequency_hz: frequency of the vibration, hertz.
        above_kpa: threshold whose probability of being exceeded is reported, kPa; None for none.
    """
    found = []
    for _, of_region in groupby(values, key=lambda one: id(one.region)):
        own = list(of_region)
        region = own[0].region
        found.append(
            MeasuredRegion(
                name=region.name or ("region" if region.number is None else f"region {region.number}"),
                place=places[region.name],
                values=own,
                frequency_hz=frequency_hz,
                volume_ml=region.volume_ml,
                covered_ml=region.covered_ml,
                informed_share=own[0].informed_share,
                draws=len(own[0].draws),
                above_kpa=above_kpa,
                above=() if above_kpa is None else _exceeding(own, above_kpa),
            )
        )
    return found


def _exceeding(values: Sequence[RegionValue], above_kpa: float) -> tuple[tuple[str, float], ...]:
    """Return the probability of each modulus to exceed a threshold, by its key; ratios have none."""
    return tuple((one.quantity.key, one.above(above_kpa).value) for one in values if one.quantity.unit == "kPa")
