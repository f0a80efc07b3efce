"""Joint state of the filters, z = (x, theta, memories): how it begins, moves and shows itself.

    theta(t1) = theta(t0) + s sqrt(t1 - t0) w     for parameters that drift,
    x(t1) = Phi(x(t0), theta(t0), u, noise).

A memory holds the parameters of a regime that rules no longer. It stays correlated with the others, so that what is
learnt meanwhile of the patient is not lost on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.twin.assimilation.course import RegimeSwitch, Span, Transition
from palpate.twin.assimilation.setup import DRIFT_DAYS, AssimilationSetup

type Values = NDArray[np.float64]
type Memory = tuple[str, ...]


class JointModel[U]:
    """Model of the joint state; the first axis of each array counts draws.

    Args:
        setup: setup of the assimilation.
    """

    def __init__(self, setup: AssimilationSetup[U]) -> None:
        self.setup = setup
        self.model = setup.model
        self.states = len(setup.model.states)
        self.parameters = len(setup.model.parameters)
        stds = {one.name: one.std for one in setup.model.parameters}
        self._drifting = [setup.names.index(one.parameter) for one in setup.drifts]
        self._drift = np.array(
            [one.std_per_100_days / stds[one.parameter] / np.sqrt(DRIFT_DAYS) for one in setup.drifts]
        )
        changing = () if setup.regimes is None else setup.regimes.parameters
        self._changing = [self.states + setup.names.index(name) for name in changing]
        bounds = [(one.lower, one.upper) for one in setup.model.states]
        self._lower, self._upper = np.array(bounds, dtype=np.float64).reshape(-1, 2).T

    def begin(self, theta: Values) -> Values:
        """Return z on day 0, shape (draws, states + parameters).

        Args:
            theta: parameters as standard normal numbers, shape (draws, parameters).
        """
        return np.concatenate([self.model.start(theta), theta], axis=1)

    def noises(self, operation: Transition, memory: Memory) -> int:
        """Return how many standard normal numbers a transition takes."""
        if isinstance(operation, Span):
            return len(self.model.noises) + len(self._drifting)
        return 0 if self._returns(operation, memory) else len(self._changing)

    def move(self, z: Values, operation: Transition, memory: Memory, noise: Values) -> Values:
        """Return z after a transition.

        Args:
            z: joint state, shape (draws, n).
            operation: span of time or switch of regime.
            memory: regimes that z remembers, in its order.
            noise: standard normal numbers, shape (draws, noises).
        """
        if isinstance(operation, RegimeSwitch):
            return self._switched(z, operation, memory, noise)
        sources = len(self.model.noises)
        x, theta = self.split(z)
        moved = z.copy()
        moved[:, : self.states] = self.model.step(
            x, theta, self.setup.treatment, operation.begin, operation.end, noise[:, :sources]
        )
        places = [self.states + at for at in self._drifting]
        moved[:, places] += self._drift * np.sqrt(operation.end - operation.begin) * noise[:, sources:]
        return moved

    def remembered(self, operation: Transition, memory: Memory) -> Memory:
        """Return the regimes that z remembers after a transition."""
        regimes = self.setup.regimes
        if isinstance(operation, Span) or regimes is None or not regimes.memory:
            return memory
        return (*(name for name in memory if name != operation.entered), operation.left)

    def look(self, stream: str, z: Values) -> Values:
        """Return what an errorless measurement of a stream would show, shape (draws, m)."""
        return np.asarray(self.setup.by_stream[stream].h(*self.split(z)), dtype=np.float64)

    def split(self, z: Values) -> tuple[Values, Values]:
        """Return state and parameters, shapes (draws, states) and (draws, parameters)."""
        return z[:, : self.states], z[:, self.states : self.states + self.parameters]

    def within(self, z: Values) -> Values:
        """Return z with each entry of the state inside its bounds, since a linear update knows none."""
        inside = z.copy()
        inside[:, : self.states] = np.clip(z[:, : self.states], self._lower, self._upper)
        return inside

    def _returns(self, operation: RegimeSwitch, memory: Memory) -> bool:
        return operation.entered in memory

    def _switched(self, z: Values, operation: RegimeSwitch, memory: Memory, noise: Values) -> Values:
        """Store the parameters of the regime that ends; take back those of the one that begins, or draw new ones."""
        regimes = self.setup.regimes
        assert regimes is not None  # only regimes switch
        width, first = len(self._changing), self.states + self.parameters
        kept = {name: z[:, first + at * width : first + (at + 1) * width] for at, name in enumerate(memory)}
        old = z[:, self._changing]
        rho = regimes.similarity
        new = kept[operation.entered] if operation.entered in kept else rho * old + np.sqrt(1.0 - rho**2) * noise
        head = z[:, :first].copy()
        head[:, self._changing] = new
        kept[operation.left] = old
        return np.concatenate([head, *(kept[name] for name in self.remembered(operation, memory))], axis=1)
