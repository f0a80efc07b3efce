"""Draws of unknowns and shift together, from the mixture of the fits under all shifts, weighed to the posterior.

    q(h, xi) = p(h | y) N(xi; m_h, H_h^-1),     w = p(y | xi, h) p(xi) p(h) / q(h, xi),

with p(h | y) and m_h between two fits interpolated by the shift's days. If every fit were Gaussian, all weights would
be equal; unequal ones correct the draws and the probabilities of the shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtr

from palpate.twin.clocks.evidence import ShiftedFit
from palpate.twin.clocks.posterior import ClockPosterior
from palpate.twin.clocks.shift import AS_DATED, Shift

type Values = NDArray[np.float64]

FAR: Final = 8.0
"""Standard deviations from all modes within which quantiles are sought."""
BISECTIONS: Final = 50
"""Number of bisections towards a quantile."""


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """Gaussian of the unknowns under one shift.

    Attributes:
        shift: shift of this part of the mixture.
        mode: mean m_h, shape (p,).
        covariance: covariance H_h^-1, shape (p, p).
        half: its lower Cholesky factor, shape (p, p).
        log_weight: ln p(h) - ln p(h | y), up to a constant of the mixture.
    """

    shift: Shift
    mode: Values
    covariance: Values
    half: Values
    log_weight: float

    def log_density(self, xi: Values) -> float:
        """Return ln N(xi; m_h, H_h^-1) without the constant of pi.

        Args:
            xi: unknowns, shape (p,).
        """
        away = solve_triangular(self.half, xi - self.mode, lower=True)
        return -0.5 * float(away @ away) - float(np.log(np.diag(self.half)).sum())


@dataclass(frozen=True)
class Mixture:
    """Mixture of the Gaussians under all shifts.

    Attributes:
        posterior: posterior of the shifts.
    """

    posterior: ClockPosterior

    @cached_property
    def _halves(self) -> dict[Shift, Values]:
        every = (self.posterior.evidence.dated, *self.posterior.evidence.fits)
        return {one.shift: np.linalg.cholesky(one.covariance) for one in every}

    def component(self, shift: Shift) -> Component:
        """Return the Gaussian under one shift, between two fits if it is not one of theirs.

        Args:
            shift: possible shift.
        """
        own, evidence = self.posterior, self.posterior.evidence
        at = own.hypotheses.index(shift)
        weight = float(own.log_priors[at] - np.log(own.probabilities[at]))
        if shift == AS_DATED:
            nearest, mode = evidence.dated, evidence.dated.mode
        else:
            known = evidence.known(shift.stream)
            nearest = min(known, key=lambda one: abs(one.shift.days - shift.days))
            mode = _between(known, shift.days)
        return Component(shift, mode, nearest.covariance, self._halves[nearest.shift], weight)

    def quantiles(self, levels: Sequence[float]) -> Values:
        """Return quantiles of every unknown over all shifts, shape (levels, p).

        Args:
            levels: probabilities, between 0 and 1.
        """
        shares = self.posterior.probabilities
        parts = [self.component(one) for one in self.posterior.hypotheses]
        modes = np.stack([one.mode for one in parts])
        spreads = np.stack([np.sqrt(np.diag(one.covariance)) for one in parts])
        low, high = (modes - FAR * spreads).min(axis=0), (modes + FAR * spreads).max(axis=0)
        found = []
        for level in levels:
            below, above = low.copy(), high.copy()
            for _ in range(BISECTIONS):
                middle = 0.5 * (below + above)
                less = shares @ ndtr((middle - modes) / spreads) < level
                below, above = np.where(less, middle, below), np.where(less, above, middle)
            found.append(0.5 * (below + above))
        return np.stack(found)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[tuple[Component, Values], ...]:
        """Draw unknowns and shifts, before any weights.

        Args:
            count: number of draws.
            rng: generator of random numbers.
        """
        shares = self.posterior.probabilities
        chosen = np.searchsorted(np.cumsum(shares), (np.arange(count) + rng.random()) / count * shares.sum())
        parts = {at: self.component(self.posterior.hypotheses[at]) for at in set(np.minimum(chosen, len(shares) - 1))}
        found = []
        for at in np.minimum(chosen, len(shares) - 1):
            one = parts[at]
            found.append((one, one.mode + one.half @ rng.standard_normal(len(one.mode))))
        return tuple(found)


def log_weight(component: Component, xi: Values, phi: float) -> float:
    """Return the logarithm of a draw's weight.

    Args:
        component: part of the mixture that it was drawn from.
        xi: unknowns, shape (p,).
        phi: minus ln of likelihood times prior of xi under the component's shift, with the constant of the evidence.
    """
    return component.log_weight - phi - component.log_density(xi)


def _between(known: tuple[ShiftedFit, ...], days: int) -> Values:
    """Return the modes interpolated at some days."""
    at = [one.shift.days for one in known]
    right = min(int(np.searchsorted(at, days)), len(at) - 1)
    left = max(right - 1, 0)
    share = 1.0 if left == right else (days - at[left]) / (at[right] - at[left])
    return np.asarray((1.0 - share) * known[left].mode + share * known[right].mode)
