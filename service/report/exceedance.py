"""Probability that a voxel's stiffness exceeds a threshold, from the joint draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.imaging.region_values.averages import JointDraws

FACTOR: Final = 1.25
"""Threshold where nobody chose one, over the mean of the informed voxels."""


@dataclass(frozen=True, slots=True)
class Exceedance:
    """Probability that G' exceeds a threshold.

    Attributes:
        threshold_kpa: threshold, kPa.
        probability: share of the draws above it, shape (i, j, k); NaN in voxels without draws.
        about: origin of the threshold, in a sentence.
    """

    threshold_kpa: float
    probability: NDArray[np.float32]
    about: str


def exceedance(run: StiffnessMaps, draws: JointDraws, above_kpa: float | None) -> Exceedance | None:
    """Return the probability that G' exceeds a threshold; None where no threshold follows.

    Args:
        run: posterior of one run.
        draws: its joint draws.
        above_kpa: threshold, kPa; None takes FACTOR times the mean of the informed voxels.
    """
    threshold_kpa, about = above_kpa, "The settings of the page give the threshold."
    if threshold_kpa is None:
        means = run.moduli["storagemodulus"].mean.values[run.informed]
        middle = float(np.nanmean(means)) if np.isfinite(means).any() else 0.0
        threshold_kpa = float(f"{FACTOR * middle:.2g}")
        about = f"The threshold is {FACTOR:g} times the mean of the informed voxels, rounded."
    if threshold_kpa <= 0.0:
        return None
    probability = np.full(run.informed.shape, np.nan, dtype=np.float32)
    for here, storage_kpa, _ in draws.blocks():
        probability[tuple(draws.voxels[here].T)] = (storage_kpa > threshold_kpa).mean(axis=0)
    return Exceedance(threshold_kpa, probability, about)
