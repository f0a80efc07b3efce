"""Regions of a structured report with their figures, and their making from values of regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from palpate.imaging.dicom_out.report_codes import (
    COVERED,
    COVERED_SHARE,
    DRAWS,
    FREQUENCY,
    INFORMED_SHARE,
    VOLUME,
    Fact,
)
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
    """Posterior of a quantity of a region, such as RegionValue; one that has a `median` states that as well."""

    @property
    def quantity(self) -> ReportedQuantity:
        """Quantity."""
        ...

    @property
    def mean(self) -> float:
        """Posterior mean."""
        ...

    @property
    def std(self) -> float | None:
        """Posterior standard deviation; None where it is not known."""
        ...

    @property
    def lower(self) -> float:
        """Lower end of the 95 % credible interval."""
        ...

    @property
    def upper(self) -> float:
        """Upper end of the 95 % credible interval."""
        ...


class ReportRegion(Protocol):
    """Region with its figures in a report."""

    @property
    def name(self) -> str:
        """Name of the region, of words that may be repeated."""
        ...

    @property
    def place(self) -> RegionPlace:
        """Place of the region in the patient."""
        ...

    @property
    def values(self) -> Sequence[ReportedValue]:
        """Posterior of each quantity."""
        ...

    @property
    def facts(self) -> Sequence[Fact]:
        """Facts of the region: concept, value and unit."""
        ...

    def exceedance(self, key: str) -> tuple[float, float] | None:
        """Return the probability of a quantity to exceed a threshold, and the threshold in kPa; None where unasked.

        Args:
            key: key of the quantity.
        """
        ...


@dataclass(frozen=True, slots=True)
class MeasuredRegion:
    """Region of an elastogram in a report.

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

    @property
    def facts(self) -> Sequence[Fact]:
        """Volumes, shares, number of draws and frequency, each with concept and unit."""
        share = min(1.0, self.covered_ml / self.volume_ml) if self.volume_ml > 0.0 else 0.0
        return (
            (VOLUME, self.volume_ml, "mL"),
            (COVERED, self.covered_ml, "mL"),
            (COVERED_SHARE, share, "1"),
            (INFORMED_SHARE, self.informed_share, "1"),
            (DRAWS, float(self.draws), "1"),
            (FREQUENCY, self.frequency_hz, "Hz"),
        )

    def exceedance(self, key: str) -> tuple[float, float] | None:
        """Return the probability of a quantity to exceed the threshold, and the threshold in kPa; None where unasked.

        Args:
            key: key of the quantity.
        """
        found = dict(self.above).get(key)
        return None if found is None or self.above_kpa is None else (found, self.above_kpa)


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
