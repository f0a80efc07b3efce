"""Kalman filters of nonlinear models: a normal distribution is carried through each function and stays normal.

    extended:   f(z) ~ f(m) + J (z - m), J by central differences;
    unscented:  f at 2 n + 1 points with the mean and covariance of z, Merwe's weights with beta = 2, kappa = 0.

Noise is part of z on the way, so that it may enter a model in any manner. Both are exact where functions are linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, cho_factor, cho_solve

from palpate.twin.assimilation.belief import GaussianBelief, root
from palpate.twin.assimilation.course import Look, Operation, Transition
from palpate.twin.assimilation.innovation import EventInnovation, innovation
from palpate.twin.assimilation.joint_state import JointModel

type Values = NDArray[np.float64]
type Function = Callable[[Values], Values]

DIFFERENCE: Final = 1e-5
"""Half of the distance over which a derivative is taken, over the entry's standard deviation or size."""
BETA: Final = 2.0
"""Merwe's beta, for normal distributions."""


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Normal approximation of f(z).

    Attributes:
        mean: mean, shape (m,).
        covariance: covariance, shape (m, m).
        cross: covariance of z and f(z), shape (n, m).
    """

    mean: Values
    covariance: Values
    cross: Values


class GaussianFilter[U]:
    """Extended or unscented Kalman filter.

    Args:
        joint: model of the joint state; its setup names the method.
    """

    def __init__(self, joint: JointModel[U]) -> None:
        self._joint = joint
        self._settings = joint.setup.filter

    def begin(self) -> GaussianBelief:
        """Return what is known before any measurement."""
        p = self._joint.parameters
        found = self._carried(self._joint.begin, np.zeros(p), np.eye(p), within=lambda theta: theta)
        return GaussianBelief(found.mean, found.covariance)

    def apply(
        self, belief: GaussianBelief, operation: Operation, past: tuple[Operation, ...]
    ) -> tuple[GaussianBelief, EventInnovation | None]:
        """Return the belief after an operation, and the innovation where it is a measurement.

        Args:
            belief: belief before.
            operation: operation to apply.
            past: all operations before, which a Kalman filter does not need.
        """
        del past
        if not isinstance(operation, Look):
            return self.moved(belief, operation)[0], None
        event = operation.event
        seen = self._carried(lambda z: self._joint.look(event.stream, z), belief.mean, belief.covariance)
        covariance = seen.covariance + event.error
        gain = cho_solve(cho_factor(covariance), seen.cross.T).T
        mean = belief.mean + gain @ (event.value - seen.mean)
        after = belief.covariance - gain @ covariance @ gain.T
        updated = GaussianBelief(self._joint.within(mean[None])[0], 0.5 * (after + after.T), belief.memory)
        return updated, innovation(event, seen.mean, covariance)

    def moved(self, belief: GaussianBelief, operation: Transition) -> tuple[GaussianBelief, Values]:
        """Return the belief after a transition, and the covariance of z before with z after.

        Args:
            belief: belief before.
            operation: span of time or switch of regime.
        """
        n, q = len(belief.mean), self._joint.noises(operation, belief.memory)
        mean = np.concatenate([belief.mean, np.zeros(q)])
        found = self._carried(
            lambda z: self._joint.move(z[:, :n], operation, belief.memory, z[:, n:]),
            mean,
            block_diag(belief.covariance, np.eye(q)) if q else belief.covariance,
        )
        memory = self._joint.remembered(operation, belief.memory)
        return GaussianBelief(found.mean, found.covariance, memory), found.cross[:n]

    def _carried(self, function: Function, mean: Values, covariance: Values, within: Function | None = None) -> Carried:
        within = within or self._joint.within
        if self._settings.method == "extended":
            return linearised(function, mean, covariance, within)
        return unscented(lambda z: function(within(z)), mean, covariance, self._settings.spread)


def linearised(function: Function, mean: Values, covariance: Values, within: Function) -> Carried:
    """Return f(z) by its derivative at the mean.

    Args:
        function: f, from points of shape (points, n) to (points, m).
        mean: mean of z, shape (n,).
        covariance: covariance of z, shape (n, n).
        within: function that takes points to the nearest ones where f is defined; at a bound the difference has one
            side.
    """
    half = DIFFERENCE * np.maximum(np.sqrt(np.maximum(np.diag(covariance), 0.0)), np.abs(mean))
    half[half == 0.0] = DIFFERENCE
    at = within(mean[None])
    points = within(np.concatenate([at, at + np.diag(half), at - np.diag(half)]))
    values = function(points)
    above, below = np.split(points[1:], 2)
    up, down = np.split(values[1:], 2)
    jacobian = ((up - down) / np.diag(above - below)[:, None]).T
    cross = covariance @ jacobian.T
    found = jacobian @ cross
    return Carried(values[0], 0.5 * (found + found.T), cross)


def unscented(function: Function, mean: Values, covariance: Values, spread: float) -> Carried:
    """Return f(z) by points that have the mean and covariance of z.

    Args:
        function: f, from points of shape (points, n) to (points, m).
        mean: mean of z, shape (n,).
        covariance: covariance of z, shape (n, n).
        spread: Merwe's alpha.
    """
    n = len(mean)
    offsets = spread * np.sqrt(n) * root(covariance).T
    values = function(np.concatenate([mean[None], mean + offsets, mean - offsets]))
    weights = np.full(2 * n + 1, 0.5 / (spread**2 * n))
    weights[0] = 1.0 - 1.0 / spread**2
    centre = weights @ values
    away = values - centre
    cross = weights[1] * offsets.T @ (values[1 : n + 1] - values[n + 1 :])
    weights[0] += 1.0 - spread**2 + BETA
    found = (weights[:, None] * away).T @ away
    return Carried(centre, 0.5 * (found + found.T), cross)
