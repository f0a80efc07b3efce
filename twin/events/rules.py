"""Rules by which a path of a volume has an event: a rise above the nadir, or a hazard of the burden.

Each rule is met by the pieces of a path in order, and holds the day of the first event of each draw, infinity before.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.twin.events.piece import VolumePiece
from palpate.twin.events.root import root

type Values = NDArray[np.float64]

VISIBLE_RISE: Final = 1.4
"""Visible volume over its nadir from which on a tumour has progressed."""
ENHANCING_RISE: Final = 1.25
"""Enhancing volume over its nadir from which on a tumour has progressed."""
LEAST_ML: Final = 0.1
"""Smallest nadir that counts by default, ml: a ball of 6 mm, below which nobody measures a volume."""
_QUADRATURE: Final = 4


class EventRule(Protocol):
    """Rule that dates the first event of each draw.

    Attributes:
        days: day of the first event so far, infinity before it, shape (draws,).
    """

    days: Values

    def meet(self, piece: VolumePiece) -> None:
        """Go through the next piece of the path."""
        ...


class RiseAboveNadir:
    """Progression: the volume reaches a multiple of its lowest value so far.

    Args:
        draws: number of draws.
        ratio: multiple of the nadir, above 1.
        nadir: ln of the lowest volume before the path, ml, shape (draws,); None where the path is all that is known.
        least_ml: smallest nadir that counts, ml: below it nobody measures a volume.

    Raises:
        ValueError: the ratio is not above 1.
    """

    def __init__(self, draws: int, ratio: float, nadir: Values | None = None, least_ml: float = 0.0) -> None:
        if not ratio > 1.0:
            raise ValueError(f"expected a rise above the nadir by a ratio above 1, found {ratio}")
        self._rise = float(np.log(ratio))
        self._least = float(np.log(least_ml)) if least_ml > 0.0 else -np.inf
        self._nadir = np.full(draws, np.inf) if nadir is None else nadir.copy()
        self._before: VolumePiece | None = None
        self.days: Values = np.full(draws, np.inf)

    def meet(self, piece: VolumePiece) -> None:
        """See EventRule; the lowest volume within a piece is looked for only where the next does not begin lower."""
        waiting = np.isinf(self.days)
        begun = np.minimum(self._nadir, piece.first)
        if self._before is not None:
            begun = np.minimum(begun, self._before.lowest(np.where(waiting, begun, -np.inf)))
        near = waiting & (piece.last >= np.maximum(begun, self._least) + self._rise)
        if near.any():
            begun = np.minimum(begun, piece.lowest(np.where(near, begun, -np.inf)))
        self._nadir, self._before = begun, piece
        level = np.maximum(begun, self._least) + self._rise
        self.days = np.minimum(self.days, piece.crossing(np.where(waiting, level, np.inf)))


class RiseAboveStart:
    """Regrowth: the volume reaches a multiple of a volume that stays, such as that of the last scan.

    Unlike a rise above the nadir it is never brought forward by a deeper response.

    Args:
        level: ln of the volume that is the event, V in ml, shape (draws,).
    """

    def __init__(self, level: Values) -> None:
        self._level = level
        self.days: Values = np.full(level.shape, np.inf)

    def meet(self, piece: VolumePiece) -> None:
        """See EventRule."""
        level = np.where(np.isinf(self.days), self._level, np.inf)
        self.days = np.minimum(self.days, piece.crossing(level))


class VolumeHazard:
    """Event by a hazard h = h_0 exp(b ln(V / 1 ml) + g) of the volume V and of what is constant in a draw.

    The event is where the integral of h reaches a number of each draw, exponentially distributed with mean 1.

    Args:
        baseline_1_day: hazard h_0, 1/day, above 0.
        per_log_ml: coefficient b of ln V.
        constant: term g of each draw, shape (draws,).
        thresholds: exponential numbers, shape (draws,).

    Raises:
        ValueError: the hazard is not positive.
    """

    def __init__(self, baseline_1_day: float, per_log_ml: float, constant: Values, thresholds: Values) -> None:
        if not baseline_1_day > 0.0:
            raise ValueError(f"expected a positive hazard, found {baseline_1_day}")
        self._log_baseline = float(np.log(baseline_1_day)) + constant
        self._slope = per_log_ml
        self._left = thresholds.copy()
        self.days: Values = np.full(len(thresholds), np.inf)

    def meet(self, piece: VolumePiece) -> None:
        """See EventRule."""
        waiting = np.flatnonzero(np.isinf(self.days))
        whole = self._integral(piece, waiting, np.full(len(waiting), piece.end))
        reached = whole >= self._left[waiting]
        those = waiting[reached]
        aim = self._left[those]
        start, end = np.full(len(those), piece.start), np.full(len(those), piece.end)
        self.days[those] = root(lambda days: self._integral(piece, those, days) - aim, start, end)
        self._left[waiting] -= whole

    def _integral(self, piece: VolumePiece, draws: NDArray[np.int64], until: Values) -> Values:
        """Return the integral of h from the start of a piece to a time of each draw, shape (some,)."""
        nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE)
        total = np.zeros(len(draws))
        for node, weight in zip(nodes, weights, strict=True):
            days = piece.start + 0.5 * (1.0 + node) * (until - piece.start)
            volume = piece.at(draws, days) if self._slope else 0.0
            total += 0.5 * weight * np.exp(self._log_baseline[draws] + self._slope * volume)
        return np.asarray(total * (until - piece.start))
