"""Change of a region's value by the error of the registration that carries the region to the map.

With z_i standard normal numbers, one for each draw and principal direction i of the error, and m the region's mean of
the posterior mean map, m0 at the most probable motion and m+, m- at the nodes sqrt(3) z forth and back, it is

    sum_i  z_i (m+_i - m-_i) / (2 sqrt(3))  +  min(z_i^2, 3) (m+_i + m-_i - 2 m0) / 6.

This stands for a motion of its own in each draw, which would ask for the region's voxels anew in each. It holds where
the mean is quadratic in the motion, and where the draws' fluctuations about the posterior mean add little to the
contrast that the region's edge crosses. Beyond the nodes, where the mean is not known, the quadratic part is kept
constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.derived.quantities import Medium
from palpate.imaging.files.stiffness_folder import MODULI, StiffnessMaps
from palpate.imaging.region_values.averages import JointDraws
from palpate.imaging.region_values.motion import NODE
from palpate.imaging.region_values.quantities import RegionQuantity
from palpate.imaging.region_values.weights import WeightedRegion
from palpate.imaging.registration.placement import MOTION_SEED


def placement_effects(
    run: StiffnessMaps,
    draws: JointDraws,
    regions: Sequence[WeightedRegion],
    quantities: Sequence[RegionQuantity],
    medium: Medium,
) -> dict[str, NDArray[np.float64]]:
    """Return the change of each quantity in each region and draw, by the quantity's key, shape (R, draws).

    Args:
        run: posterior of one run.
        draws: its joint draws.
        regions: regions on the voxels of the draws.
        quantities: quantities to average.
        medium: frequency, and density of the draws.
    """
    found = {one.key: np.zeros((len(regions), draws.count)) for one in quantities}
    if all(one.displaced is None for one in regions):
        return found
    maps = _mean_maps(run, draws, quantities, medium)
    # The numbers with which the maps on the anatomy move: draw d is one tissue in one place.
    normal = np.random.default_rng(MOTION_SEED).standard_normal((draws.count, 6))
    for row, region in enumerate(regions):
        if region.displaced is None:
            continue
        sums = region.displaced @ maps
        covered = sums[:, :1] > 0.0
        # Where a displaced region leaves the map there is nothing to compare with.
        if not covered[0]:
            continue
        means = sums / np.where(covered, sums[:, :1], 1.0)
        changes = np.where(covered[1:], means[1:] - means[0], 0.0)
        for column, one in enumerate(quantities, start=1):
            found[one.key][row] = _effect(changes[:, column], normal)
    return found


def _mean_maps(
    run: StiffnessMaps, draws: JointDraws, quantities: Sequence[RegionQuantity], medium: Medium
) -> NDArray[np.float64]:
    """Return a column of ones and each quantity of the posterior means of the moduli, shape (N, 1 + quantities)."""
    at = tuple(draws.voxels.T)
    storage_kpa, loss_kpa = (run.moduli[name].mean.values[at].astype(np.float64)[None] for name in MODULI)
    usual = replace(medium, density_kg_m3=float(np.mean(medium.density_kg_m3)))
    maps = [one.of(storage_kpa, loss_kpa, usual)[0] for one in quantities]
    return np.stack([np.ones(len(draws.voxels)), *maps], axis=1)


def _effect(changes: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the change of a mean in each draw, shape (draws,), from its changes at the nodes, forth and back."""
    forth, back = changes[::2], changes[1::2]
    z = normal[:, : len(forth)]
    return np.asarray(z @ (forth - back) / (2.0 * NODE) + np.minimum(z**2, NODE**2) @ (forth + back) / (2.0 * NODE**2))
