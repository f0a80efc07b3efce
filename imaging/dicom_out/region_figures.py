"""Regions of a run that DICOM objects hold, and the figures of each for the report: both from the joint draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from palpate.imaging.derived.statistics import medium_of
from palpate.imaging.dicom_out.region_masks import RegionMask
from palpate.imaging.dicom_out.report_place import RegionPlace
from palpate.imaging.dicom_out.report_regions import MeasuredRegion
from palpate.imaging.draw_summary import FEWEST_DRAWS
from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.nifti import StoredVolume
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.findings.find import findings
from palpate.imaging.findings.finding import Finding
from palpate.imaging.region_values.motion import Motion
from palpate.imaging.region_values.quantities import REGION_QUANTITIES, USUAL
from palpate.imaging.region_values.values import RegionValue, region_values
from palpate.imaging.region_values.weights import weighted
from palpate.imaging.regions.region import DrawnRegion, VoxelShape

_INFORMED: Final = "Voxels whose stiffness comes mostly from this scan"


@dataclass(frozen=True, slots=True)
class RegionFigures:
    """Figures of a region, which do not depend on the grid that it is shown on.

    Attributes:
        name: name of the region.
        values: posterior of each quantity's mean over it.
        frequency_hz: frequency of the vibration, hertz.
        comments: sentences about the region for the reader.
    """

    name: str
    values: tuple[RegionValue, ...]
    frequency_hz: float
    comments: tuple[str, ...] = ()

    def reported(self, place: RegionPlace) -> MeasuredRegion:
        """Return the region as the report states it.

        Args:
            place: place of the region on the images of the report.
        """
        first = self.values[0]
        return MeasuredRegion(
            name=self.name,
            place=place,
            values=self.values,
            frequency_hz=self.frequency_hz,
            volume_ml=first.region.volume_ml,
            covered_ml=first.region.covered_ml,
            informed_share=first.informed_share,
            draws=len(first.draws),
        )


def drawn_regions(run: StiffnessMaps, found: Sequence[Finding]) -> tuple[RegionMask, ...]:
    """Return the informed voxels and what was found stiff or soft, on the run's own voxels.

    Args:
        run: posterior of the run.
        found: findings, from stiff_and_soft.
    """
    informed = RegionMask("informed", _INFORMED, "informed", run.informed, run.affine_mm)
    return (informed, *(_mask(one, run) for one in found))


def region_figures(
    run: StiffnessMaps,
    draws: DrawsFile | None,
    masks: Sequence[RegionMask],
    found: Sequence[Finding],
    carry: Motion | None = None,
) -> tuple[RegionFigures, ...]:
    """Return the figures of regions as they are drawn; none where there are too few draws for an interval.

    Figures are those of `palpate regions` for the same voxels: a region that was drawn anew on another grid has other
    edges, and its place the error of the registration.

    Args:
        run: posterior of the run.
        draws: its joint draws; None where there are none.
        masks: regions on the grid on which they are shown.
        found: findings, from stiff_and_soft.
        carry: motion from the elastogram to the world of that grid; None where they are the same.
    """
    if draws is None or draws.count < FEWEST_DRAWS:
        return ()
    comments = {one.name: (f"{one.name}: {one.sentence}",) for one in found}
    drawn = (weighted(_drawn(mask, number), run, draws, carry) for number, mask in enumerate(masks, start=1))
    regions = [one for one in drawn if one.shares.any()]
    quantities = [REGION_QUANTITIES[key] for key in USUAL]
    medium = medium_of(run.stem, run.inversion, run.frequency_hz, draws.density_kg_m3, quantities)
    values = region_values(run, draws, regions, quantities, medium)
    return tuple(
        RegionFigures(
            one.name,
            tuple(value for value in values if value.region is one),
            run.frequency_hz,
            comments.get(one.name, ()),
        )
        for one in regions
    )


def _drawn(mask: RegionMask, number: int) -> DrawnRegion:
    """Return a mask as a region that a reader of its object would draw."""
    shape = VoxelShape(StoredVolume(mask.mask.astype(np.uint8), mask.affine_mm), 1.0)
    return DrawnRegion(mask.name, "SEG", shape, number=number, name=mask.name)


def stiff_and_soft(run: StiffnessMaps, draws: DrawsFile | None) -> Sequence[Finding]:
    """Return stiff and soft regions; none where there are too few draws, or no voxel is informed.

    Args:
        run: posterior of the run.
        draws: its joint draws; None where there are none.
    """
    if draws is None or draws.count < FEWEST_DRAWS or not run.informed.any():
        return ()
    return findings(run, draws)


def _mask(one: Finding, run: StiffnessMaps) -> RegionMask:
    words = f"{one.kind.capitalize()}er than the tissue's median, probability {one.probability:.2g}"
    return RegionMask(one.name, words, one.kind, one.mask, run.affine_mm, "Excursion set of joint draws")
