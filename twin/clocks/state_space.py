"""Fits under shifts for any model of the state-space protocol, by Gauss-Newton with finite differences.

    minimise phi(xi) = |L^-1 (y - F(xi))|^2 / 2 + |xi|^2 / 2,     R = L L^T,

xi holds the parameters theta and, for each interval between measurements, the noise of the model. Only a rung that
steps many draws in milliseconds should be fitted in this way; the lattice has exact derivatives
(palpate.twin.clocks.lattice_fit).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cho_factor, cho_solve, solve_triangular

from palpate.twin.clocks.evidence import ShiftedFit
from palpate.twin.clocks.shift import AS_DATED, Shift
from palpate.twin.state_space.event import Event
from palpate.twin.state_space.model import Model, Observation

type Values = NDArray[np.float64]

STEP: Final = 1e-4
"""Step of the finite differences, prior standard deviations."""
ITERATIONS: Final = 15
"""Largest number of Gauss-Newton steps."""
ENOUGH: Final = 0.05
"""Predicted decrease of phi below which the steps end."""
GAINED: Final = 0.2
"""Decrease of phi by a step below which the steps end: evidence counts in whole units."""
LONGEST: Final = 2.0
"""Longest step in any unknown, prior standard deviations."""
DAMPING: Final = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0)
"""Multiples of the curvature's diagonal of which the best is taken at each step (Levenberg, Marquardt)."""


@dataclass(frozen=True)
class DatedRecord[U]:
    """Model, measurements and treatment of one tumour.

    Attributes:
        model: model of the tumour.
        observations: observation model of each stream of measurements.
        events: measurements, as recorded.
        treatment: treatment, as recorded.
        moved: function that returns the treatment under a shift of one of its streams, or of a scan.
    """

    model: Model[U]
    observations: tuple[Observation, ...]
    events: tuple[Event, ...]
    treatment: U
    moved: Callable[[U, Shift], U]

    @cached_property
    def days(self) -> tuple[float, ...]:
        """Recorded days of measurements, each once, ascending."""
        return tuple(sorted({one.acquired for one in self.events}))

    @property
    def size(self) -> int:
        """Number of unknowns xi."""
        return len(self.model.parameters) + (len(self.days) - 1) * len(self.model.noises)

    def true_days(self, shift: Shift) -> tuple[float, ...]:
        """Return the days of measurements under a shift."""
        return tuple(day - shift.days * (scan_name(day) == shift.stream) for day in self.days)

    def states(self, xi: Values, shift: Shift = AS_DATED) -> tuple[Values, ...]:
        """Return the states at the measurements, shape (draws, states) each.

        Args:
            xi: unknowns of every draw, shape (draws, size).
            shift: shift under which the tumour is followed.
        """
        count, sources = len(self.model.parameters), len(self.model.noises)
        theta, u = xi[:, :count], self.moved(self.treatment, shift)
        found = [self.model.start(theta)]
        for number, (t0, t1) in enumerate(itertools.pairwise(self.true_days(shift))):
            noise = xi[:, count + number * sources : count + (number + 1) * sources]
            found.append(self.model.step(found[-1], theta, u, t0, t1, noise))
        return tuple(found)

    def residual(self, xi: Values, shift: Shift = AS_DATED) -> Values:
        """Return L^-1 (y - F), shape (draws, m).

        Args:
            xi: unknowns of every draw, shape (draws, size).
            shift: shift under which the tumour is followed.
        """
        theta, states = xi[:, : len(self.model.parameters)], self.states(xi, shift)
        by_stream = {one.stream: one for one in self.observations}
        predicted = [by_stream[one.stream].h(states[self.days.index(one.acquired)], theta) for one in self.events]
        apart = self._values - np.concatenate(predicted, axis=1)
        return np.asarray(solve_triangular(self._half, apart.T, lower=True).T)

    @cached_property
    def _values(self) -> Values:
        return np.concatenate([one.value for one in self.events])

    @cached_property
    def _half(self) -> Values:
        return np.asarray(np.linalg.cholesky(block_diag(*(one.error for one in self.events))))


def scan_name(day: float) -> str:
    """Return the name of the stream of one scan's date.

    Args:
        day: recorded day of the scan.
    """
    return f"scan of day {day:g}"


def fitted[U](record: DatedRecord[U], shift: Shift, near: Values) -> ShiftedFit:
    """Return the fit under a shift.

    Args:
        record: model, measurements and treatment.
        shift: shift under which the tumour is followed.
        near: unknowns at which to begin, shape (size,).
    """
    best = _linearised(record, shift, near)
    for _ in range(ITERATIONS):
        if best.decrease < ENOUGH:
            break
        tried = np.stack([best.xi + best.damped(one) for one in DAMPING])
        phi = 0.5 * ((record.residual(tried, shift) ** 2).sum(axis=1) + (tried**2).sum(axis=1))
        if not phi.min() < best.phi:
            break
        gained = best.phi - float(phi.min())
        best = _linearised(record, shift, tried[int(np.argmin(phi))])
        if gained < GAINED:
            break
    half = np.linalg.cholesky(best.hessian)
    log_evidence = min(best.decrease, ENOUGH) - best.phi - float(np.log(np.diag(half)).sum())
    return ShiftedFit(shift, log_evidence, best.xi, np.linalg.inv(best.hessian))


@dataclass(frozen=True, slots=True, eq=False)
class _Linearised:
    """Objective phi at some xi, its curvature and its gradient."""

    xi: Values
    phi: float
    hessian: Values
    gradient: Values

    @property
    def decrease(self) -> float:
        """Return the decrease of phi that a full step promises."""
        return 0.5 * float(self.gradient @ cho_solve(cho_factor(self.hessian), self.gradient))

    def damped(self, damping: float) -> Values:
        """Return Levenberg and Marquardt's step, no longer than LONGEST."""
        wider = self.hessian + damping * np.diag(np.diag(self.hessian))
        step = -cho_solve(cho_factor(wider), self.gradient)
        return np.asarray(step * min(1.0, LONGEST / float(np.abs(step).max(initial=LONGEST))))


def _linearised[U](record: DatedRecord[U], shift: Shift, xi: Values) -> _Linearised:
    many = record.residual(np.concatenate([xi[None], xi + STEP * np.eye(len(xi))]), shift)
    residual, jacobian = many[0], (many[1:] - many[0]).T / STEP
    gradient, hessian = xi + jacobian.T @ residual, np.eye(len(xi)) + jacobian.T @ jacobian
    return _Linearised(xi, 0.5 * float(residual @ residual + xi @ xi), hessian, gradient)
