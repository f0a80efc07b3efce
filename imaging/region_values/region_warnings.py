"""Warnings that stand beside values of regions: those of the steps that made the map, and those about regions on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.weights import WeightedRegion
from palpate.quality_warning import QualityWarning, recorded_warnings

COVERED: Final = 0.98
"""Share of a region from which it counts as wholly covered; sub-sampling knows the share of a small one to 1 %."""
_INFORMED: Final = 0.5
_SAME_HZ: Final = 1e-3
_NAMED: Final = 3
"""Number of names that one sentence repeats."""


@dataclass(frozen=True, slots=True)
class InformedRegion:
    """Region on a map.

    Attributes:
        region: the region on the voxels of the map.
        informed_share: share of the covered part whose values come mostly from this scan, 0 to 1.
    """

    region: WeightedRegion
    informed_share: float


def step_warnings(ingest: Mapping[str, Any], run: StiffnessMaps) -> tuple[QualityWarning, ...]:
    """Return the warnings of ingest, also those of this frequency alone, and of the inversion, each once.

    Args:
        ingest: record of ingest; empty where there is none.
        run: posterior of the run.
    """
    frequencies = [one for one in ingest.get("frequencies") or [] if isinstance(one, Mapping)]
    own = [one for one in frequencies if abs(float(one.get("frequency_hz") or 0.0) - run.frequency_hz) < _SAME_HZ]
    records = [ingest, *own, run.inversion]
    return tuple(dict.fromkeys(one for record in records for one in recorded_warnings(record)))


def region_warnings(regions: Sequence[InformedRegion]) -> tuple[QualityWarning, ...]:
    """Return the warnings about regions on a map, each once, with the number of regions and the names of the first.

    Args:
        regions: regions that touch the map.
    """
    found = []
    cut = [one for one in regions if one.region.covered_share < COVERED]
    if cut:
        part = f"{100.0 * cut[0].region.covered_share:.0f} %"
        sentence = f"The map covers {part} of the region; figures are of that part."
        if len(regions) > 1:
            which = _which([one.region.name for one in cut], len(regions))
            sentence = f"The map covers less than {100.0 * COVERED:.0f} % of {which}; figures are of the covered part."
        found.append(QualityWarning("region-cut", sentence, "Look at the region on the map, or draw it smaller."))
    weak = [one for one in regions if one.informed_share < _INFORMED]
    if weak:
        part = f"{100.0 * weak[0].informed_share:.0f} %"
        sentence = f"{part} of the region is informed by this scan: its mean leans on the prior."
        if len(regions) > 1:
            which = _which([one.region.name for one in weak], len(regions))
            sentence = f"Less than half is informed by this scan of {which}: the mean leans on the prior."
        found.append(QualityWarning("region-uninformed", sentence, "Read its interval, not its mean."))
    return tuple(found)


def grouped(warnings: Mapping[str, Sequence[QualityWarning]]) -> list[str]:
    """Return one line for each code among the warnings of several runs.

    Args:
        warnings: warnings of each run, by its stem.
    """
    by_code: dict[str, dict[str, list[QualityWarning]]] = {}
    for stem, of_run in warnings.items():
        for one in of_run:
            by_code.setdefault(one.code, {}).setdefault(stem, []).append(one)
    lines = []
    for runs in by_code.values():
        first = next(iter(runs.values()))
        where = next(iter(runs)) if len(runs) == 1 else f"{len(runs)} of {len(warnings)} runs ({_names(list(runs))})"
        distinct = dict.fromkeys(str(one) for of_run in runs.values() for one in of_run)
        told = list(dict.fromkeys(str(one) for one in first)) if len(runs) == 1 else list(distinct)[:1]
        more = "" if len(runs) == 1 or len(distinct) == 1 else " (other runs in other words; see the record)"
        lines += [f"{where}: warning: {one}{more}" for one in told]
    return lines


def _which(names: Sequence[str], count: int) -> str:
    return f"{len(names)} of {count} regions ({_names(names)})"


def _names(names: Sequence[str]) -> str:
    return ", ".join([*names[:_NAMED], *(["..."] if len(names) > _NAMED else [])])
