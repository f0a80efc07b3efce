"""Dose to organs: the part of a prescription that reaches an organ's hottest volume, and the chance of its limit.

A fraction of d Gy gives the organ x = w d, where w is the relative dose that all but the hottest volume stay below. n
fractions have BED = n x (1 + x / q) and EQD2 = n x (q + x) / (q + 2), with the organ's ratio q = alpha / beta. Both are
monotone in q, so that the chance of a limit is the prior's probability of the ratios on one side of a bound, exactly.

Source: Fowler 1989, Br J Radiol 62:679.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from palpate.config.limits import OrganLimit
from palpate.config.twin import LogNormal

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OrganDose:
    """Organ with its limit and the relative dose that counts for it.

    Attributes:
        limit: limit of the organ.
        relative: dose over the prescription, which all but the hottest volume_ml stay below.
        volume_ml: volume of the organ, mL.
    """

    limit: OrganLimit
    relative: float
    volume_ml: float

    def __post_init__(self) -> None:
        """Refuse a relative dose that is none.

        Raises:
            ValueError: the relative dose is negative or not finite.
        """
        if not 0.0 <= self.relative < np.inf:
            raise ValueError(f"{self.limit.name}: expected a relative dose of at least 0, found {self.relative}")

    def chance(self, fractions: int, dose_gy: float) -> float:
        """Return the probability that the limit holds, 0 to 1.

        Args:
            fractions: number n of fractions.
            dose_gy: dose d of a fraction, Gy.
        """
        x = self.relative * dose_gy
        # BED <= L is 0 q >= n x^2 - (L - n x) q;  EQD2 <= L is (n x - L) q <= 2 L - n x^2.
        if self.limit.bed_gy is not None:
            slope, bound = fractions * x - self.limit.bed_gy, -fractions * x * x
        else:
            assert self.limit.eqd2_gy is not None  # demanded by the settings
            slope, bound = fractions * x - self.limit.eqd2_gy, 2.0 * self.limit.eqd2_gy - fractions * x * x
        if slope == 0.0:
            return float(bound >= 0.0)
        return self._probability(bound / slope, above=slope < 0.0)

    def load(self, fractions: int, dose_gy: float, chance: float) -> float:
        """Return the organ's dose over its limit, which it stays below with a given chance; at most 1 where it holds.

        Args:
            fractions: number n of fractions.
            dose_gy: dose d of a fraction, Gy.
            chance: probability.
        """
        x, ratios = self.relative * dose_gy, self._ratios(chance)
        if self.limit.bed_gy is not None:
            return max(fractions * x * (1.0 + x / q) for q in ratios) / self.limit.bed_gy
        assert self.limit.eqd2_gy is not None  # demanded by the settings
        return max(fractions * x * (q + x) / (q + 2.0) for q in ratios) / self.limit.eqd2_gy

    def _probability(self, ratio: float, *, above: bool) -> float:
        """Return the probability that alpha / beta is at least, or at most, a bound."""
        prior = self.limit.alpha_beta_gy
        if not isinstance(prior, LogNormal):
            return float(prior >= ratio if above else prior <= ratio)
        below = float(ndtr((np.log(ratio) - np.log(prior.median)) / prior.log_std)) if ratio > 0.0 else 0.0
        return 1.0 - below if above else below

    def _ratios(self, chance: float) -> tuple[float, ...]:
        """Return the ratios at either end of the prior, beyond which the rest of the chance lies."""
        prior = self.limit.alpha_beta_gy
        if not isinstance(prior, LogNormal):
            return (prior,)
        away = prior.log_std * float(ndtri(chance))
        return (prior.median * float(np.exp(-away)), prior.median * float(np.exp(away)))


def relative_at(relative: Values, weights_ml: Values, hottest_ml: float) -> float:
    """Return the relative dose that all but the hottest volume of an organ stay below.

    Args:
        relative: relative dose of the organ's voxels, shape (n,).
        weights_ml: volume of each voxel within the organ, mL, shape (n,).
        hottest_ml: volume that may receive more, mL.
    """
    order = np.argsort(-relative, kind="stable")
    beyond = np.cumsum(weights_ml[order])
    at = int(np.searchsorted(beyond, hottest_ml, side="right"))
    return float(relative[order[at]]) if at < len(order) else 0.0
