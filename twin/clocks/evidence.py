"""Evidence over the shifts of every stream, from fits of a tumour's parameters under some of them.

    ln p(y | shift) = -phi(m) - ln det H / 2,     m = argmin phi,     H = curvature of phi at m,

phi is minus the logarithm of likelihood times prior under that shift. Each fit begins at its neighbour's m. Around the
most probable shift, more fits are made, so that it is known to a few days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from palpate.twin.clocks.shift import AS_DATED, SHIFTS, Shift, StreamClock

type Values = NDArray[np.float64]

REFINEMENTS: Final = 2
"""Number of times that fits are added on both sides of the most probable shift."""
HOPELESS: Final = 12.0
"""Fall of ln evidence beyond which a larger shift in the same direction is not looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class ShiftedFit:
    """Laplace approximation of the posterior under one shift.

    Attributes:
        shift: shift under which it was made.
        log_evidence: ln p(y | shift), up to a constant that all shifts share.
        mode: most probable unknowns m, shape (p,).
        covariance: inverse H^-1 of the curvature, shape (p, p).
    """

    shift: Shift
    log_evidence: float
    mode: Values
    covariance: Values


type Fit = Callable[[Shift, Values], ShiftedFit]
"""Function that fits the unknowns under a shift, from unknowns nearby."""


@dataclass(frozen=True, slots=True, eq=False)
class ClockEvidence:
    """Fits under the shifts of every stream.

    Attributes:
        clocks: streams, and the shifts possible for each.
        dated: fit with every date as recorded.
        fits: fits under shifts, at least one on each side of zero of every stream where that is possible.
    """

    clocks: tuple[StreamClock, ...]
    dated: ShiftedFit
    fits: tuple[ShiftedFit, ...]

    def known(self, stream: str) -> tuple[ShiftedFit, ...]:
        """Return the fits of one stream by ascending shift, with that as dated at zero."""
        own = [one for one in self.fits if one.shift.stream == stream]
        return tuple(sorted([*own, self.dated], key=lambda one: one.shift.days))

    def log_evidences(self, clock: StreamClock) -> tuple[NDArray[np.int64], Values]:
        """Return whole days and ln evidence of the stream's shift by each, over that as dated.

        Args:
            clock: stream, one of `clocks`.
        """
        known = self.known(clock.stream)
        at = np.array([one.shift.days for one in known])
        value = np.array([one.log_evidence - self.dated.log_evidence for one in known])
        days = np.arange(at[0], at[-1] + 1)
        if len(at) == 1:
            return days, value
        return days, np.asarray(PchipInterpolator(at, value)(days))


def search(clocks: Sequence[StreamClock], fit: Fit, dated: ShiftedFit, shifts: Sequence[int] = SHIFTS) -> ClockEvidence:
    """Fit under shifts of every stream.

    Args:
        clocks: streams, and the shifts possible for each.
        fit: function that fits the unknowns under a shift.
        dated: fit with every date as recorded.
        shifts: shifts to either side at which fits are made first, days.
    """
    fits: list[ShiftedFit] = []
    for clock in clocks:
        for side in (clock.later(shifts), clock.earlier(shifts)):
            fits += _along(clock.stream, side, fit, dated)
    for _ in range(REFINEMENTS):
        fits += _between(ClockEvidence(tuple(clocks), dated, tuple(fits)), fit)
    return ClockEvidence(tuple(clocks), dated, tuple(fits))


def _along(stream: str, days: Sequence[int], fit: Fit, dated: ShiftedFit) -> list[ShiftedFit]:
    """Return the fits of one stream in one direction, each from the one before."""
    near, found = dated, []
    for one in days:
        near = fit(Shift(stream, one), near.mode)
        found.append(near)
        if near.log_evidence < dated.log_evidence - HOPELESS:
            break
    return found


def _between(so_far: ClockEvidence, fit: Fit) -> list[ShiftedFit]:
    """Return a fit halfway to each neighbour of the most probable shift."""
    best = max((so_far.dated, *so_far.fits), key=lambda one: one.log_evidence)
    if best.shift == AS_DATED:
        return []
    known = so_far.known(best.shift.stream)
    at = known.index(best)
    middles = {(best.shift.days + other.shift.days) // 2 for other in known[max(at - 1, 0) : at + 2]}
    new = middles - {one.shift.days for one in known}
    return [fit(Shift(best.shift.stream, days), best.mode) for days in sorted(new)]
