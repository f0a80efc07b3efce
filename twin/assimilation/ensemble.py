"""Ensemble Kalman filter with perturbed measurements, and its localisation.

    z_i + K (y + v_i - h(z_i)),     K = (rho o C_zh) (rho_h o C_hh + R)^-1,     v_i ~ N(0, R),

with covariances C of the members. rho tapers by distance (Gaspari and Cohn 1999): a few members cannot tell that far
places are independent. Parameters have no place, so that every measurement informs them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from palpate.twin.assimilation.belief import EnsembleBelief
from palpate.twin.assimilation.course import Look, Operation, RegimeSwitch
from palpate.twin.assimilation.innovation import EventInnovation, innovation
from palpate.twin.assimilation.joint_state import JointModel
from palpate.twin.assimilation.random_numbers import generator
from palpate.twin.assimilation.setup import Localisation

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleGain:
    """Update of an ensemble by one measurement, which also updates earlier states of the same members.

    Attributes:
        shown: numbers that each member shows, minus their mean, shape (N, m).
        corrections: S^-1 (y + v_i - h(z_i)), shape (N, m).
        taper: rho between states and numbers of the measurement, shape (states, m); None for none.
        innovation: the measurement beside its prediction.
    """

    shown: Values
    corrections: Values
    taper: Values | None
    innovation: EventInnovation

    def update(self, members: Values) -> Values:
        """Return members after the measurement, of its own day or an earlier one, shape (N, n).

        Args:
            members: members before, shape (N, n).
        """
        cross = (members - members.mean(axis=0)).T @ self.shown / (len(members) - 1)
        if self.taper is not None:
            cross[: len(self.taper)] *= self.taper
        return np.asarray(members + self.corrections @ cross.T)


class EnsembleFilter[U]:
    """Stochastic ensemble Kalman filter.

    Args:
        joint: model of the joint state.
    """

    def __init__(self, joint: JointModel[U]) -> None:
        self._joint = joint
        self._seed, self._count = joint.setup.filter.seed, joint.setup.filter.members

    def begin(self) -> EnsembleBelief:
        """Return what is known before any measurement."""
        theta = generator(self._seed, "parameters").standard_normal((self._count, self._joint.parameters))
        return EnsembleBelief(self._joint.begin(theta))

    def apply(
        self, belief: EnsembleBelief, operation: Operation, past: tuple[Operation, ...]
    ) -> tuple[EnsembleBelief, EventInnovation | None]:
        """Return the belief after an operation, and the innovation where it is a measurement.

        Args:
            belief: belief before.
            operation: operation to apply.
            past: all operations before, which this filter does not need.
        """
        del past
        if isinstance(operation, Look):
            gain = self.gain(belief, operation)
            after = self._joint.within(gain.update(belief.members))
            return EnsembleBelief(after, belief.memory), gain.innovation
        day = operation.day if isinstance(operation, RegimeSwitch) else operation.end
        rng = generator(self._seed, type(operation).__name__, float(day))
        noise = rng.standard_normal((self._count, self._joint.noises(operation, belief.memory)))
        moved = self._joint.move(belief.members, operation, belief.memory, noise)
        return EnsembleBelief(moved, self._joint.remembered(operation, belief.memory)), None

    def gain(self, belief: EnsembleBelief, look: Look) -> EnsembleGain:
        """Return the update by a measurement.

        Args:
            belief: belief before, on the day of the measurement.
            look: the measurement.
        """
        event = look.event
        shows = self._joint.look(event.stream, belief.members)
        predicted = shows.mean(axis=0)
        shown = shows - predicted
        rng = generator(self._seed, "errors", event.stream, float(event.acquired))
        errors = rng.standard_normal(shows.shape) @ np.linalg.cholesky(event.error).T
        among = shown.T @ shown / (self._count - 1)
        places, taper = self._joint.setup.localisation, None
        if places is not None and event.stream in places.quantities_mm:
            taper, between = tapers(places, event.stream)
            among = among * between
        covariance = among + event.error
        corrections = cho_solve(cho_factor(covariance), (event.value + errors - shows).T).T
        return EnsembleGain(shown, corrections, taper, innovation(event, predicted, covariance))


def tapers(places: Localisation, stream: str) -> tuple[Values, Values]:
    """Return rho between states and a stream's numbers, and among these, shapes (states, m) and (m, m).

    Args:
        places: places of states and numbers.
        stream: name of the stream.
    """
    seen = places.quantities_mm[stream]
    return (
        gaspari_cohn(cdist(places.states_mm, seen) / places.radius_mm),
        gaspari_cohn(cdist(seen, seen) / places.radius_mm),
    )


def gaspari_cohn(distance: Values) -> Values:
    """Return Gaspari and Cohn's correlation of compact support, their equation 4.10.

    Args:
        distance: distance over the radius, of any shape; from 2 on the correlation is 0.
    """
    r = np.minimum(np.abs(distance), 2.0)
    near = 1.0 + r**2 * (-5.0 / 3.0 + r * (5.0 / 8.0 + r * (0.5 - 0.25 * r)))
    with np.errstate(divide="ignore"):
        far = 4.0 - 5.0 * r + r**2 * (5.0 / 3.0 + r * (5.0 / 8.0 + r * (-0.5 + r / 12.0))) - 2.0 / (3.0 * r)
    return np.where(r <= 1.0, near, np.where(r < 2.0, np.maximum(far, 0.0), 0.0))
