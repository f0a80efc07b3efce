"""Search for stiff and soft regions of a map, from joint draws of its posterior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.findings import FindingsSettings
from palpate.imaging.anatomy.midplane import MidPlane
from palpate.imaging.derived.quantities import Medium
from palpate.imaging.derived.statistics import demand_draws
from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.findings.calibration import measured
from palpate.imaging.findings.excursion import joint_probability
from palpate.imaging.findings.finding import Finding, Side
from palpate.imaging.findings.reference import RelativeStiffness
from palpate.imaging.findings.regions import SIGNS, FoundRegion, regions_of
from palpate.imaging.findings.tissue_labels import TissueLabels
from palpate.imaging.region_values.averages import JointDraws
from palpate.imaging.region_values.quantities import REGION_QUANTITIES
from palpate.imaging.region_values.values import RegionValue, region_values
from palpate.imaging.region_values.weights import weighted_voxels

MIDLINE_MM: Final = 5.0
"""Distance from the mid-plane within which a centre counts as midline, mm."""
_TOGETHER: Final = 32
"""Masks that are averaged in one pass over the draws."""


def findings(
    run: StiffnessMaps,
    draws: JointDraws,
    settings: FindingsSettings | None = None,
    labels: TissueLabels | None = None,
    midplane: MidPlane | None = None,
) -> tuple[Finding, ...]:
    """Return the stiff and then the soft regions of a map, the largest of each kind first.

    A voxel is stiff where its stiffness exceeds the reference, a median of the tissue in the same draw, by the factor
    of the settings. All voxels of all stiff findings are stiff at once with the probability `level`, and all of the
    soft ones soft. Intervals of a finding are those of a fixed region; that the region was chosen for its values is
    measured, not corrected (`Finding.sentence`).

    Args:
        run: posterior of one run at one frequency.
        draws: its joint draws.
        settings: settings of the search; None for the defaults.
        labels: labels of tissue on the voxels of the maps; None where there are none.
        midplane: plane between left and right, from the planning image in the world of the maps; None leaves the side
            of every finding unknown.

    Returns:
        The findings; none where no voxel is informed.

    Raises:
        InputError: there are fewer draws than an interval needs, or the labels are on another grid.
    """
    settings = settings or FindingsSettings()
    demand_draws(run.stem, draws.count)
    if not run.informed[tuple(draws.voxels.T)].any():
        return ()
    relative = RelativeStiffness.of(run, draws, labels, settings)
    regions = list(regions_of(relative, settings))
    masks = [mask for region in regions for mask in region.masks]
    values = _values(run, draws, masks, settings)
    return tuple(
        _finding(number, region, relative, settings, [next(values) for _ in region.masks], labels, midplane)
        for number, region in enumerate(regions, 1)
    )


def side_of(centre_mm: NDArray[np.float64], midplane: MidPlane | None) -> Side:
    """Return the side of the patient on which a point lies; "unknown" where no image shows the mid-plane.

    The middle of the map is no mid-plane: a slab through one half of the head has its own middle elsewhere.

    Args:
        centre_mm: the point, world R A S millimetres, shape (3,).
        midplane: plane between left and right; None where it is not known.
    """
    if midplane is None:
        return "unknown"
    to_the_right_mm = midplane.to_the_right_mm(centre_mm)
    if abs(to_the_right_mm) <= MIDLINE_MM:
        return "midline"
    return "right" if to_the_right_mm > 0.0 else "left"


def _values(
    run: StiffnessMaps, draws: JointDraws, masks: Sequence[NDArray[np.bool_]], settings: FindingsSettings
) -> Iterator[RegionValue]:
    """Yield the mean stiffness over each mask, from the draws."""
    quantity, medium = REGION_QUANTITIES[settings.quantity], Medium(run.frequency_hz, np.nan)
    for first in range(0, len(masks), _TOGETHER):
        regions = [weighted_voxels("finding", mask, run, draws) for mask in masks[first : first + _TOGETHER]]
        yield from region_values(run, draws, regions, [quantity], medium)


def _finding(
    number: int,
    region: FoundRegion,
    relative: RelativeStiffness,
    settings: FindingsSettings,
    values: Sequence[RegionValue],
    labels: TissueLabels | None,
    midplane: MidPlane | None,
) -> Finding:
    """Return the finding of a region from the means over its voxels and over its surroundings, where it has any."""
    sign, threshold = SIGNS[region.kind], float(np.log(settings.factor))
    inside = relative.places[region.mask]
    reach_mm = settings.gap_mm + settings.shell_mm
    extents = region.around.extents(relative.values, relative.places, sign, threshold, reach_mm)
    mean, *around = values
    centre_mm = relative.centre_mm(inside)
    return Finding(
        number=number,
        kind=region.kind,
        mask=region.mask,
        surroundings=region.surroundings,
        centre_mm=centre_mm,
        place_mm=relative.place_mm(inside),
        side=side_of(centre_mm, midplane),
        region="" if labels is None else labels.name_of(region.mask),
        volume_ml=mean.region.volume_ml,
        extent_ml=DrawSummary(extents.astype(np.float64) * relative.voxel_ml, "mL"),
        mean_kpa=mean.summary,
        ratio=DrawSummary(mean.draws / around[0].draws, "1") if around else None,
        probability=joint_probability(relative.values, inside, sign, threshold),
        informed_share=mean.informed_share,
        draws=len(mean.draws),
        quantity=settings.quantity,
        calibrated=measured().holds_for(settings),
        sentence=measured().sentence(settings),
    )
