"""Figures of a region, each with its own interval, from joint draws of the posterior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.derived.formulas import loss_tangent, magnitude_pa
from palpate.imaging.files.stiffness_folder import Samples, StiffnessMaps


@dataclass(frozen=True, slots=True)
class RegionFigure:
    """Number that describes a region, with its interval.

    Attributes:
        key: name for programs, such as "storagemodulus_median_kpa".
        name: name for people.
        unit: unit of the figure: "kPa", or "" for a ratio.
        value: posterior median of the figure, or the figure of the mean maps where there are no draws.
        lower: lower end of the 95 % credible interval; None where there are no draws.
        upper: upper end of the 95 % credible interval; None where there are no draws.
    """

    key: str
    name: str
    unit: str
    value: float
    lower: float | None
    upper: float | None


def region_figures(run: StiffnessMaps, region: NDArray[np.bool_], samples: Samples | None) -> tuple[RegionFigure, ...]:
    """Return medians over a region of G', G'', |G*| and of the loss tangent.

    Each figure is computed for every joint draw, so that its interval carries the correlation between voxels; intervals
    put together from the spreads of single voxels would be far too narrow or far too wide.

    Args:
        run: posterior of one run.
        region: mask of the region, shape (i, j, k), with at least one voxel that the maps cover.
        samples: joint draws; None gives figures of the mean maps without intervals.
    """
    if samples is None:
        means = [run.moduli[modulus].mean.values[region][None, :] for modulus in ("storagemodulus", "lossmodulus")]
        return _figures(*means, with_interval=False)
    draws = samples.at(region)
    return _figures(draws["storagemodulus"], draws["lossmodulus"], with_interval=True)


def _figures(
    storage_kpa: NDArray[np.float32], loss_kpa: NDArray[np.float32], *, with_interval: bool
) -> tuple[RegionFigure, ...]:
    """The figures of moduli of shape (n_samples, n_voxels)."""
    rows = (
        ("storagemodulus_median_kpa", "Storage modulus G′", "kPa", storage_kpa),
        ("lossmodulus_median_kpa", "Loss modulus G″", "kPa", loss_kpa),
        ("complexmodulus_median_kpa", "Magnitude |G*|", "kPa", magnitude_pa(storage_kpa, loss_kpa)),
        ("losstangent_median", "Loss tangent G″/G′", "", loss_tangent(storage_kpa, loss_kpa)),
    )
    figures = []
    for key, name, unit, values in rows:
        medians = np.nanmedian(values, axis=1)
        lower, upper = np.quantile(medians, [0.025, 0.975], method="weibull") if with_interval else (None, None)
        figures.append(
            RegionFigure(
                key=key,
                name=name,
                unit=unit,
                value=float(np.median(medians)),
                lower=None if lower is None else float(lower),
                upper=None if upper is None else float(upper),
            )
        )
    return tuple(figures)
