"""Statistics of scores: a proper score from draws, and error bars for shares of correlated voxels."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_Z_95: Final = 1.959963984540054


def crps(draws: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the continuous ranked probability score E|X - y| - E|X - X'| / 2, estimated without bias from draws.

    Args:
        draws: draws of X, shape (n_samples, n), at least two draws.
        truth: true values y, shape (n,), same unit.

    Returns:
        One score for each truth, shape (n,), in the unit of the draws; smaller is better.
    """
    count = len(draws)
    # The sum over pairs |x_a - x_b| is a weighted sum of the sorted draws.
    weights = 2.0 * np.arange(1, count + 1) - count - 1.0
    spread = np.einsum("s,sn->n", weights, np.sort(draws, axis=0)) / (count * (count - 1.0))
    return np.asarray(np.abs(draws - truth).mean(axis=0) - spread)


def wilson(count: int, of: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of independent trials.

    Args:
        count: number of successes.
        of: number of trials, above 0.

    Source: Wilson, J Am Stat Assoc 22 (1927) 209.
    """
    return _wilson(count / of, of)


def _wilson(share: float, effective: float) -> tuple[float, float]:
    z = _Z_95
    centre = (share + z**2 / (2.0 * effective)) / (1.0 + z**2 / effective)
    reach = z / (1.0 + z**2 / effective) * math.sqrt(share * (1.0 - share) / effective + z**2 / (4.0 * effective**2))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def share_interval(
    held: NDArray[np.bool_], blocks: NDArray[np.int64], *, most_independent: float = math.inf
) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share whose voxels are correlated within blocks.

    The number of independent voxels is the number of voxels over the design effect: the variance of the share between
    blocks over the variance that independent voxels would have. It lies between the blocks and the voxels in number.

    Args:
        held: whether each voxel's interval holds the truth, shape (n,).
        blocks: number of each voxel's block, shape (n,).
        most_independent: upper bound on the number of independent voxels, from another source.
    """
    count, share = len(held), float(held.mean())
    totals = np.bincount(blocks)
    used = totals > 0
    sums = np.bincount(blocks, weights=held)
    n_blocks = int(used.sum())
    independent = share * (1.0 - share) / count
    if independent > 0.0 and n_blocks > 1:
        between = float(np.sum((sums[used] - share * totals[used]) ** 2)) / count**2 * n_blocks / (n_blocks - 1)
        effective = min(max(count * independent / between if between > 0.0 else count, n_blocks), count)
    else:
        effective = n_blocks
    effective = min(effective, max(most_independent, 1.0))
    return _wilson(share, effective)
