"""Mean, interval and Monte-Carlo error of one number from equally probable draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from palpate.errors import InputError

FEWEST_DRAWS = 20
"""Least number of draws for which an interval is stated."""


@dataclass(frozen=True, slots=True)
class DrawSummary:
    """Posterior of one number, known by draws.

    Attributes:
        values: independent draws, shape (count,).
        unit: unit of the number, such as "kPa"; "1" for a ratio.
    """

    values: NDArray[np.float64]
    unit: str

    def __post_init__(self) -> None:
        """Refuse draws from which no interval follows.

        Raises:
            InputError: fewer than 20 draws, or draws that are not finite.
        """
        if self.values.ndim != 1 or len(self.values) < FEWEST_DRAWS or not np.all(np.isfinite(self.values)):
            raise InputError(
                "draws",
                found=f"{self.values.shape} draws, {int(np.sum(~np.isfinite(self.values)))} of them not finite",
                expected=f"at least {FEWEST_DRAWS} finite draws of one number",
                advice="Invert with more samples.",
            )

    @property
    def draws(self) -> int:
        """Number of draws."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Posterior mean."""
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """Posterior standard deviation."""
        return float(self.values.std(ddof=1))

    @property
    def lower(self) -> float:
        """Lower end of the 95 % credible interval."""
        return self.interval(0.95)[0]

    @property
    def upper(self) -> float:
        """Upper end of the 95 % credible interval."""
        return self.interval(0.95)[1]

    @property
    def mean_error(self) -> float:
        """Monte-Carlo standard error of the mean: its typical change with another set of as many draws."""
        return self.std / float(np.sqrt(self.draws))

    @property
    def lower_error(self) -> float:
        """Monte-Carlo standard error of the lower end of the 95 % interval."""
        return self.quantile_error(0.025)

    @property
    def upper_error(self) -> float:
        """Monte-Carlo standard error of the upper end of the 95 % interval."""
        return self.quantile_error(0.975)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the ends of the central credible interval.

        Args:
            level: probability inside, between 0 and 1.
        """
        tail = (1.0 - demand_level(level)) / 2.0
        lower, upper = np.quantile(self.values, [tail, 1.0 - tail], method="weibull")
        return float(lower), float(upper)

    def quantile_error(self, probability: float) -> float:
        """Return the Monte-Carlo standard error of a quantile (Maritz, Jarrett 1978).

        The quantile's order statistic falls on draw i, in ascending order, with a probability that a beta distribution
        gives; the error is the standard deviation of the draws under these probabilities.

        Args:
            probability: probability of the quantile, between 0 and 1.
        """
        weights, ordered = _order_weights(self.draws, probability), np.sort(self.values)
        centre = float(weights @ ordered)
        return float(np.sqrt(weights @ (ordered - centre) ** 2))

    def __str__(self) -> str:
        """Return mean, standard deviation and 95 % interval in words."""
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{self.mean:.3g}{unit} (std {self.std:.2g}, 95 % interval {self.lower:.3g} to {self.upper:.3g})"


@cache
def _order_weights(count: int, probability: float) -> NDArray[np.float64]:
    """Return the probability of each of some ordered draws to be the quantile's order statistic, shape (count,)."""
    below, above = (count + 1) * probability, (count + 1) * (1.0 - probability)
    return np.asarray(np.diff(betainc(below, above, np.arange(count + 1) / count)))


def demand_level(level: float) -> float:
    """Return the level of an interval.

    Raises:
        InputError: the level is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        advice = "Write 0.95 for 95 %."
        raise InputError("interval", found=f"level {level!r}", expected="a probability between 0 and 1", advice=advice)
    return level
