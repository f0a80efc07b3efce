"""Values of regions: the volume-weighted mean over a region of each joint draw, and what follows from these means.

Let g_d(v) be a quantity in voxel v of draw d and w(v) the share of the voxel in the region. The value of the region is

    m_d = sum_v w(v) g_d(v) / sum_v w(v),

for a region of another world plus the effect of the error of its registration. Mean, standard deviation and 2.5 and
97.5 % quantiles are over draws; an interval put together from the voxels' own spreads would be far too narrow, since
errors of neighbours are alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.errors import InputError
from palpate.imaging.derived.quantities import Medium
from palpate.imaging.derived.statistics import demand_draws
from palpate.imaging.draw_summary import DrawSummary
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.averages import JointDraws, averages
from palpate.imaging.region_values.placement_effect import placement_effects
from palpate.imaging.region_values.quantities import RegionQuantity
from palpate.imaging.region_values.weights import WeightedRegion


@dataclass(frozen=True, slots=True)
class Probability:
    """Probability estimated from draws.

    Attributes:
        value: share of the draws.
        error: its Monte-Carlo standard error, by Jeffreys' prior, so that no draw or all draws have an error, too.
    """

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class MonteCarloErrors:
    """Monte-Carlo standard errors: the typical change of a figure with another set of as many draws.

    Attributes:
        mean: error of the mean, in the quantity's unit.
        lower: error of the lower end of the 95 % interval.
        upper: error of the upper end of the 95 % interval.
    """

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True)
class RegionValue:
    """Posterior of the mean of a quantity over a region.

    Attributes:
        region: the region on the voxels.
        quantity: the quantity.
        draws: mean over the region of each joint draw, in the quantity's unit, shape (count,).
        informed_share: share of the covered part whose values come mostly from this scan.
    """

    region: WeightedRegion
    quantity: RegionQuantity
    draws: NDArray[np.float64] = field(repr=False)
    informed_share: float

    @cached_property
    def summary(self) -> DrawSummary:
        """Posterior of the mean, with every interval."""
        return DrawSummary(self.draws, self.quantity.unit)

    @property
    def mean(self) -> float:
        """Posterior mean."""
        return self.summary.mean

    @property
    def std(self) -> float:
        """Posterior standard deviation."""
        return self.summary.std

    @property
    def lower(self) -> float:
        """Lower end of the 95 % credible interval."""
        return self.summary.lower

    @property
    def upper(self) -> float:
        """Upper end of the 95 % credible interval."""
        return self.summary.upper

    @property
    def monte_carlo(self) -> MonteCarloErrors:
        """Monte-Carlo standard errors of the mean and of both ends of the interval."""
        return MonteCarloErrors(self.summary.mean_error, self.summary.lower_error, self.summary.upper_error)

    def above(self, threshold: float) -> Probability:
        """Return the probability that the mean over the region exceeds a threshold.

        Args:
            threshold: threshold, in the quantity's unit.
        """
        count, above = len(self.draws), int(np.count_nonzero(self.draws > threshold))
        # Standard deviation of a beta distribution of parameters above + 1/2 and count - above + 1/2.
        variance = (above + 0.5) * (count - above + 0.5) / ((count + 1) ** 2 * (count + 2))
        return Probability(above / count, float(np.sqrt(variance)))


def region_values(
    run: StiffnessMaps,
    draws: JointDraws,
    regions: Sequence[WeightedRegion],
    quantities: Sequence[RegionQuantity],
    medium: Medium,
) -> list[RegionValue]:
    """Return the value of each quantity in each region, region by region, in one pass over the draws.

    Args:
        run: posterior of one run.
        draws: its joint draws, at least 20.
        regions: regions on the voxels of the draws, each with a part that they cover.
        quantities: quantities to average.
        medium: frequency, and density of the draws; see medium_of.

    Raises:
        InputError: a region lies outside the map, a quantity has no value in one of its voxels, or there are fewer
            draws than an interval needs.
    """
    demand_draws(run.stem, draws.count)
    demand_on_map(regions)
    if not regions:
        return []
    rows = [sparse.csr_array((one.shares / one.shares.sum())[None]) for one in regions]
    weights = sparse.csr_array(sparse.vstack(rows, format="csr"))
    means = averages(draws, weights, quantities, medium)
    _demand_values(means, regions, quantities)
    effects = placement_effects(run, draws, regions, quantities, medium)
    informed = weights @ run.informed[tuple(draws.voxels.T)].astype(np.float64)
    return [
        RegionValue(region, one, means[one.key][row] + effects[one.key][row], min(1.0, float(informed[row])))
        for row, region in enumerate(regions)
        for one in quantities
    ]


def demand_on_map(regions: Sequence[WeightedRegion]) -> None:
    """Refuse a region of which no voxel has draws.

    Args:
        regions: regions on the voxels of the draws.

    Raises:
        InputError: there is one.
    """
    outside = next((one for one in regions if not one.shares.any()), None)
    if outside is not None:
        raise InputError(
            where_of(outside),
            found="no voxel of the region inside the map",
            expected="a region that overlaps the voxels with a posterior",
            advice="Look at the region on the map; its coordinates may be those of another scan.",
        )


def where_of(region: WeightedRegion) -> str:
    """Return the name by which errors call a region.

    Args:
        region: region on the voxels of the draws.
    """
    number = "" if region.number is None else str(region.number)
    return " ".join(one for one in ("region", region.name or number) if one)


def _demand_values(
    means: Mapping[str, NDArray[np.float64]], regions: Sequence[WeightedRegion], quantities: Sequence[RegionQuantity]
) -> None:
    """Refuse quantities that have no value somewhere in a region.

    Raises:
        InputError: a quantity has no value in a voxel of a region.
    """
    for one in quantities:
        for region, draws in zip(regions, means[one.key], strict=True):
            demand_value(draws, one, where_of(region), "the region's voxels")


def demand_value(draws: NDArray[np.float64], quantity: RegionQuantity, where: str, what: str) -> None:
    """Refuse a mean over a region in which the quantity has no value somewhere.

    Args:
        draws: mean over the region of each joint draw, shape (draws,).
        quantity: the quantity.
        where: name of the region in the error.
        what: its voxels in words.

    Raises:
        InputError: a mean is not finite.
    """
    if not np.all(np.isfinite(draws)):
        raise InputError(
            where,
            found=f"a voxel without {quantity.words} ({quantity.undefined}) among {what}",
            expected="a value in every voxel and draw",
            advice="Leave these voxels out of the region; the posterior's map of the quantity is NaN there.",
        )
