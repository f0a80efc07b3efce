"""Posterior of a change: every draw of one session against every draw of the other, and errors between the two.

Draws of two sessions are independent given the tissue, so that each draw alpha_i of the first belongs with each draw
beta_j of the second:

    ratio_ij      = (beta_j / alpha_i) exp(e_ij)
    difference_ij = rho_ij (beta_j exp(e_ij / 2) - alpha_i exp(-e_ij / 2))

Values are per density where they are moduli: waves determine G* / rho, one tissue has one density rho, and it therefore
cancels in the ratio and multiplies the difference. rho_ij runs through the densities that the first session assumes.
Sessions that were inverted with one seed share random numbers; taking every pair instead of equal numbers keeps them
from looking more alike than they are.

e holds what draws do not: place, edges, variation between scans. It is normal with one of several equally probable
standard deviations, which are given to the pairs by numbers that are spread evenly and depend on the ranks of the draws
only, the same for (i, j) as for (j, i), once with either sign. So a change does not depend on the order of the draws,
and exchanged sessions have exactly the reciprocal ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from palpate.imaging.draw_summary import DrawSummary

_MOST_DRAWS: Final = 400
"""Largest number of draws of a session that are paired: more are represented by as many quantiles."""
_FEWEST_DRAWS: Final = 200
"""Least number: fewer are repeated, so that there are enough pairs for the errors between the sessions."""
_STEPS: Final = (0.6180339887498949, 0.4142135623730951, 0.7320508075688772)


@dataclass(frozen=True, slots=True)
class SessionDraws:
    """Draws of one positive number in one session.

    Attributes:
        values: draws, per density where they are moduli, shape (n,).
        density_kg_m3: density that multiplies them, kg/m3, shape (n,); ones where they are no moduli.
    """

    values: NDArray[np.float64]
    density_kg_m3: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Posterior mean, with the session's own density."""
        return float(np.mean(self.values * self.density_kg_m3))

    @property
    def log_mean(self) -> float:
        """Mean of the logarithm of the values."""
        return float(np.mean(np.log(self.values)))


@dataclass(frozen=True, slots=True)
class ChangePosterior:
    """Posterior of the change of one number from a first session to a second.

    Attributes:
        ratio: most probable ratio, second over first: exp of the mean of its logarithm.
        ratios: draws of the ratio.
        differences: draws of the difference, second less first, in the number's unit.
    """

    ratio: float
    ratios: DrawSummary
    differences: DrawSummary

    @property
    def probability_increased(self) -> float:
        """Probability that the number has increased; draws without any change count half."""
        return float(np.mean(self.ratios.values > 1.0) + 0.5 * np.mean(self.ratios.values == 1.0))

    @property
    def changed(self) -> bool:
        """Whether the 95 % interval of the ratio excludes 1."""
        return not self.ratios.lower <= 1.0 <= self.ratios.upper


def change_posterior(
    first: SessionDraws, second: SessionDraws, log_stds: NDArray[np.float64], unit: str
) -> ChangePosterior:
    """Return the posterior of a change.

    Args:
        first: draws of the first session.
        second: draws of the second session.
        log_stds: equally probable standard deviations of the errors between both, in the logarithm of the ratio,
            shape (k,).
        unit: unit of the number.
    """
    alpha, beta = _in_order(first.values), _in_order(second.values)
    error = _errors(len(alpha), len(beta), log_stds)
    rho = _densities(len(alpha), len(beta), _in_order(first.density_kg_m3))
    ratios, differences = [], []
    for sign in (1.0, -1.0) if np.any(error) else (1.0,):
        ratios.append((beta / alpha[:, None]) * np.exp(sign * error))
        half = np.exp(0.5 * sign * error)
        differences.append(rho * (beta * half - alpha[:, None] / half))
    return ChangePosterior(
        ratio=float(np.exp(second.log_mean - first.log_mean)),
        ratios=DrawSummary(np.concatenate(ratios).ravel(), "1"),
        differences=DrawSummary(np.concatenate(differences).ravel(), unit),
    )


def combined_stds(*terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return equally probable standard deviations of a sum of independent errors, shape (k,).

    Args:
        terms: equally probable standard deviations of each, shape (k,) or (1,).
    """
    return np.asarray(np.sqrt(sum(np.square(one) for one in np.broadcast_arrays(*terms))))


def _in_order(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return draws in ascending order, enough and few enough to be paired."""
    ordered = np.repeat(np.sort(values), -(-_FEWEST_DRAWS // len(values)))
    if len(ordered) > _MOST_DRAWS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, _MOST_DRAWS).round().astype(int)]
    return np.asarray(ordered, dtype=np.float64)


def _densities(rows: int, columns: int, ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a density for each pair, shape (rows, columns), each one equally often but for rounding."""
    return np.asarray(ordered[(_spread_evenly(rows, columns)[2] * len(ordered)).astype(int)])


def _errors(rows: int, columns: int, log_stds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sizes of the errors of all pairs, shape (rows, columns), symmetric where both counts are the same."""
    sizes, parts, _ = _spread_evenly(rows, columns)
    return np.asarray(sizes * log_stds[(parts * len(log_stds)).astype(int)])


@lru_cache(maxsize=4)
def _spread_evenly(rows: int, columns: int) -> tuple[NDArray[np.float64], ...]:
    """Return absolute values of a standard normal number, and twice numbers of [0, 1), one of each for each pair."""
    i, j = np.ogrid[1 : rows + 1, 1 : columns + 1]
    together, product = i + j, i * j
    even, parts, places = (
        np.modf(step * together + other * (product % turn))[0]
        for step, other, turn in zip(_STEPS, (*_STEPS[1:], _STEPS[0]), (4093, 2039, 3067), strict=True)
    )
    return scipy.stats.norm.ppf(0.5 + 0.5 * np.clip(even, 1e-6, 1.0 - 1e-6)), parts, places
