"""Death by hypoxia: a share 1 - s of the living cells becomes necrosis and keeps its space.

In v = u / c and c = 1 - n / theta (oxygen_supply.Tissue), with s = exp(-e):

    c' = c l,      v' = s v / l,      l = 1 - (1 - s) v / theta.

u + n stays as it is, c never rises, and v <= theta gives v' <= theta, because s v <= theta - v + s v.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.oxygen.oxygen_supply import OxygenatedTissue

type Values = NDArray[np.float64]

LEAST: Final = 1e-100
"""Lower bound of c, far below the c at which n rounds to theta, and far above the smallest number."""


@dataclass(frozen=True, slots=True)
class Starvation:
    """Death by hypoxia over some time.

    Attributes:
        before: cells before it.
        exponent: exponent e = nu h(o) times the time, shape (n,).
        capacity: largest density theta.
    """

    before: OxygenatedTissue
    exponent: Values
    capacity: float

    def after(self) -> OxygenatedTissue:
        """Return the cells after it."""
        left = self._left()
        return OxygenatedTissue(np.exp(-self.exponent) * self.before.occupied / left, self.before.room * left)

    def tangent(self, occupied: Values, log_room: Values, log_exponent: Values) -> tuple[Values, Values]:
        """Return the changes of v' and ln c', shape (n, p) each.

        Args:
            occupied: changes dv, shape (n, p).
            log_room: changes d ln c, shape (n, p).
            log_exponent: changes d ln e, shape (n, p).
        """
        kept, died, narrowed, by_exponent = (one[:, None] for one in self._slopes())
        return (
            kept * occupied + died * log_exponent,
            log_room - narrowed * occupied - by_exponent * log_exponent,
        )

    def pull_back(self, by_occupied: Values, by_log_room: Values) -> tuple[Values, Values]:
        """Return derivatives by v and by ln e from those by v' and ln c', shape (n,) each.

        The derivative by ln c equals that by ln c'.
        """
        kept, died, narrowed, by_exponent = self._slopes()
        return (
            kept * by_occupied - narrowed * by_log_room,
            died * by_occupied - by_exponent * by_log_room,
        )

    def _left(self) -> Values:
        share = self.before.occupied / self.capacity
        # In this order v = theta leaves s and not the rounding of one minus one.
        left = (1.0 - share) + np.exp(-self.exponent) * share
        return np.asarray(np.maximum(left, LEAST / self.before.room))

    def _slopes(self) -> tuple[Values, Values, Values, Values]:
        """Return derivatives of v' by v and by ln e, and of -ln c' by v and by ln e."""
        left, survival = self._left(), np.exp(-self.exponent)
        lost = survival * self.exponent * self.before.occupied / left
        after = survival * self.before.occupied / left
        return (
            survival / left**2,
            -lost * (1.0 - after / self.capacity),
            -np.expm1(-self.exponent) / (self.capacity * left),
            lost / self.capacity,
        )
