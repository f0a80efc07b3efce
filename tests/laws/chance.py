"""Bounds for quantities with a sampling error: a right program crosses one of them once in ten thousand seeds."""

from __future__ import annotations

import numpy as np
import scipy.stats as stats
from numpy.typing import NDArray

FALSE_ALARM = 1e-4
"""Probability that a right program fails a check; seeds are fixed, so it either does for ever or never."""


def assert_mean_square(values: NDArray[np.float64], variance: float, slack: float = 0.0) -> None:
    """Independent normal values around zero have this variance.

    Args:
        values: shape (n,).
        variance: stated.
        slack: relative systematic deviation that is allowed besides chance.
    """
    ratio, count = float(np.sum(values**2)) / variance, values.size
    low, high = stats.chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], count)
    assert low * (1 - slack) <= ratio <= high * (1 + slack), f"variance is {ratio / count:.3f} of the stated one"


def assert_mean_square_not_above(values: NDArray[np.float64], variance: float) -> None:
    """Independent normal values around zero have at most this variance."""
    ratio, count = float(np.sum(values**2)) / variance, values.size
    assert ratio <= stats.chi2.ppf(1 - FALSE_ALARM, count), f"variance is {ratio / count:.3f} of the stated bound"


def assert_covariance(draws: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
    """Draws from N(0, C) have covariance C, every entry within its own sampling error.

    An entry of the sample covariance of R draws has variance (C_ii C_jj + C_ij^2) / R.

    Args:
        draws: shape (n, R), R some hundred or more.
        covariance: C, shape (n, n).
    """
    size, count = draws.shape
    found = draws @ draws.T / count
    diagonal = np.diag(covariance)
    error = np.sqrt((np.outer(diagonal, diagonal) + covariance**2) / count)
    largest = float(np.abs((found - covariance) / error).max())
    limit = float(stats.norm.isf(FALSE_ALARM / (size * (size + 1))))  # two-sided, over all distinct entries
    assert largest <= limit, f"an entry is {largest:.1f} sampling errors off, {limit:.1f} allowed"


def assert_coverage(inside: int, total: int, level: float) -> None:
    """Of `total` independent intervals of this level, `inside` held the truth: neither too few nor too many."""
    low, high = stats.binom.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], total, level)
    assert low <= inside <= high, f"{100 * level:.0f} % intervals held {inside} of {total}, {low:.0f} to {high:.0f} due"


def assert_uniform(ranks: NDArray[np.int64], draws: int, bins: int) -> None:
    """Ranks of truths among `draws` posterior draws are uniform over 0 ... draws: chi-square over a histogram.

    Args:
        ranks: shape (n,), independent.
        draws: number of draws each truth was ranked among; draws + 1 is a multiple of `bins`.
        bins: of the histogram.
    """
    assert (draws + 1) % bins == 0
    counts = np.bincount(ranks * bins // (draws + 1), minlength=bins)
    expected = len(ranks) / bins
    statistic = float(np.sum((counts - expected) ** 2) / expected)
    assert statistic <= stats.chi2.isf(FALSE_ALARM, bins - 1), f"rank histogram {counts}, {expected:.1f} due in each"
