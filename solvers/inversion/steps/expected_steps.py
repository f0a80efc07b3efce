"""Steps that a search is expected to take from here: the rules of the iterations at the typical decrease of a step.

The rules are those of gauss_newton.py: the prior is refitted once steps are short, and a search ends where the
estimated error is small against the posterior's standard deviation. Only the decrease from one step to the next is
assumed. In histories of brains, boxes and a liver a step is 0.4 of the last after the first refit, 0.1 to 0.6 after the
last refit and 0.15 to 0.3 under one prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.steps.state import PATIENCE, REFIT_BELOW, GaussNewtonState, extrapolated, refit_rounds
from palpate.solvers.inversion.zone.zone_solver import SETTLED

DECREASE: Final = 0.2
"""Length of a step over that of the last one, under one prior."""

AFTER_REFIT, AFTER_LAST_REFIT = 0.4, 0.25
"""Length of a step over that of the last one, where the prior was refitted between them, and for the last time."""

USUAL_SPREAD: Final = 0.15
"""Posterior standard deviation of m before it is known: 0.07 to 0.13 in brains, 0.28 in a liver."""

MOST: Final = 12
"""Largest number of steps that are foreseen."""

HALF, TWICE = 0.5 * SETTLED, 2.0 * SETTLED
"""Expected moves of a zone below which it counts as not solved, and above which as solved again."""
LEAST_SHARE: Final = 0.1
"""Least cost of an evaluation, in evaluations of all zones."""


@dataclass(frozen=True, slots=True)
class ExpectedSteps:
    """Steps that are expected of a search.

    Attributes:
        costs: cost of each step's evaluation, in evaluations of all zones; the first is that of the step under way.
        refits: number of rounds of refits of the prior after the step under way.
    """

    costs: tuple[float, ...]
    refits: int


@dataclass(frozen=True, slots=True)
class ZoneMoves:
    """Moves of this rank's zones in the step under way; a zone that hardly moves is not solved again.

    Attributes:
        change: root mean square change of m over all voxels.
        moves: root mean square change of m over the voxels of each zone, shape (Z,).
        work: cost of each zone, shape (Z,).
    """

    change: float
    moves: NDArray[np.float64]
    work: NDArray[np.float64]

    @property
    def cost(self) -> float:
        """Cost of the evaluation after the step under way, in evaluations of all zones."""
        return self._share(np.asarray(self.moves >= SETTLED, dtype=np.float64))

    def cost_at(self, change: float) -> float:
        """Return the expected cost of the evaluation after a later step, in evaluations of all zones.

        Args:
            change: root mean square change of m in that step; zones are expected to move in proportion.
        """
        expected = self.moves * (change / self.change if self.change else 0.0)
        solved = np.log(np.maximum(expected, HALF) / HALF) / np.log(TWICE / HALF)
        return max(self._share(np.minimum(solved, 1.0)), LEAST_SHARE)

    def _share(self, solved: NDArray[np.float64]) -> float:
        whole = float(self.work.sum())
        return float(self.work @ solved) / whole if whole else 0.0


def expected_steps(state: GaussNewtonState, zones: ZoneMoves, *, limit: int, tolerance: float) -> ExpectedSteps:
    """Return the steps that are expected of a search.

    Args:
        state: state of the iterations before the step under way.
        zones: moves of the zones in the step under way.
        limit: largest number of steps of the search.
        tolerance: size of a full step, in posterior standard deviations, below which the iterations have converged.
    """
    enough = tolerance * (USUAL_SPREAD if state.spread is None else state.spread)
    refits, since, change = state.refits, state.steps_since_refit + 1, zones.change
    before = state.history[-1].change if state.history else np.inf
    costs = [zones.cost]
    while len(costs) < min(limit - len(state.history), MOST):
        decrease = DECREASE
        if refits and (change < REFIT_BELOW[-refits] or since == PATIENCE):
            decrease = AFTER_LAST_REFIT if refits == 1 else AFTER_REFIT
            refits, since = refits - 1, 0
        error = extrapolated(change, before) if since >= 2 else change
        if not refits and error < enough:
            break
        before, change, since = change, decrease * change, since + 1
        costs.append(zones.cost_at(change))
    return ExpectedSteps(tuple(costs), refit_rounds(state.refits) - refit_rounds(refits))
