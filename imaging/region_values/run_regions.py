"""Values of regions in one run, as they are computed and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.place import RegionSpot
from palpate.imaging.region_values.values import RegionValue
from palpate.quality_warning import QualityWarning


@dataclass(frozen=True, slots=True)
class RunRegions:
    """Regions of one run at one frequency.

    Attributes:
        run: posterior of the run.
        draws: number of joint draws.
        values: value of each quantity in each region, region by region.
        outside: names of the regions of which no voxel has draws.
        facts: origin of the regions, for the record.
        warnings: warnings of the steps that made the map, and about regions and their place.
        places: places of the regions with values.
    """

    run: StiffnessMaps
    draws: int
    values: tuple[RegionValue, ...]
    outside: tuple[str, ...]
    facts: Mapping[str, object]
    warnings: tuple[QualityWarning, ...]
    places: tuple[RegionSpot, ...]
