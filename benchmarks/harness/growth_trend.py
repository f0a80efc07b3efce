"""Growth of a quantity from session to session, by a straight line with its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class GrowthTrend:
    """Growth of a quantity in a session.

    Attributes:
        slope: estimate, in the quantity's unit a session.
        lower: lower end of the 95 % interval.
        upper: upper end of the 95 % interval.
    """

    slope: float
    lower: float
    upper: float


def growth(values: Sequence[float], *, warm_up: float = 0.2, block: int = 5) -> GrowthTrend:
    """Fit a straight line to a quantity after each session.

    The first sessions are left out, in which libraries are loaded and caches fill. Blocks of sessions are averaged, and
    the variance of the slope is multiplied by (1 + r) / (1 - r) with the correlation r of neighbouring residuals, since
    neighbours that are alike count for less than as many independent values: memory that was taken stays.

    Args:
        values: quantity after each session.
        warm_up: share of the sessions at the start that is left out.
        block: number of sessions whose values are averaged.

    Raises:
        ValueError: fewer than four blocks are left.
    """
    settled = np.asarray(values, dtype=float)[int(warm_up * len(values)) :]
    count = len(settled) // block
    if count < 4:
        raise ValueError(f"{len(values)} sessions leave {count} blocks of {block}, of which a line needs 4")
    means = settled[len(settled) - count * block :].reshape(count, block).mean(axis=1)
    sessions = block * (np.arange(count) - (count - 1) / 2.0)
    slope = float(sessions @ means / (sessions @ sessions))
    residuals = means - means.mean() - slope * sessions
    square = float(residuals @ residuals)
    alike = float(residuals[1:] @ residuals[:-1]) / square if square > 0.0 else 0.0
    alike = min(max(alike, 0.0), 0.9)
    variance = square / (count - 2) / float(sessions @ sessions) * (1.0 + alike) / (1.0 - alike)
    half = float(stats.t.ppf(0.975, count - 2)) * variance**0.5
    return GrowthTrend(slope, slope - half, slope + half)
