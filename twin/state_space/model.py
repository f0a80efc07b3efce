"""Protocol of the twin's rungs: a state x, parameters theta and treatment u give the next state and what it shows.

    x(t1) = Phi(x(t0), theta, u, noise),     y = h(x, theta) + v,     theta ~ N(0, 1) a priori.

Every function takes many draws at once: the first axis of each array counts draws. Days count from the first scan of
the tumour; rates inside are SI. Filters know nothing of a rung but this protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.twin.priors import Unknown

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StateBound:
    """Name of an entry of the state, and the bounds in which the model keeps it.

    Attributes:
        name: name of the entry, with a unit if it has one, such as "burden_ml".
        lower: least value; -inf where there is none.
        upper: largest value; inf where there is none.
    """

    name: str
    lower: float = -np.inf
    upper: float = np.inf

    def __post_init__(self) -> None:
        """Refuse bounds that hold nothing.

        Raises:
            ValueError: the lower bound is not below the upper one.
        """
        if not self.lower < self.upper:
            raise ValueError(f"state {self.name}: expected lower < upper, found {self.lower} and {self.upper}")


class Model[U](Protocol):
    """Model of a tumour in time, under treatment of the type U."""

    @property
    def rung(self) -> str:
        """Name of the rung: "logistic", "radial" or "lattice"; every figure names it."""

    @property
    def states(self) -> tuple[StateBound, ...]:
        """Entries of the state x, with their bounds, in its order."""

    @property
    def parameters(self) -> tuple[Unknown, ...]:
        """Parameters in the order of theta, with the transform and prior that a standard normal number stands for."""

    @property
    def noises(self) -> tuple[str, ...]:
        """Names of the sources of noise, in the order of the entries of `noise`."""

    def start(self, theta: Values) -> Values:
        """Return the state on day 0 that follows from the parameters, shape (draws, states).

        Args:
            theta: parameters as standard normal numbers, shape (draws, parameters).
        """

    def step(self, x: Values, theta: Values, u: U, t0: float, t1: float, noise: Values) -> Values:
        """Return the state on a later day, shape (draws, states).

        Treatment on day t acts in the step with t0 <= t < t1, so that steps can follow each other.

        Args:
            x: state on day t0, shape (draws, states).
            theta: parameters as standard normal numbers, shape (draws, parameters).
            u: treatment of all days.
            t0: first day.
            t1: last day, after t0.
            noise: increments of independent Brownian motions over the step, over the root of its length: standard
                normal numbers, shape (draws, sources). Zeros give the step without noise.
        """


class Observation(Protocol):
    """Observation of a state by one stream of measurements."""

    @property
    def stream(self) -> str:
        """Name of the stream, such as "enhancing_volume"; events are matched to observations by it."""

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the numbers of one event, in order, each with its unit."""

    def h(self, x: Values, theta: Values) -> Values:
        """Return the numbers that an errorless measurement would give, shape (draws, quantities).

        Args:
            x: state on the day of the measurement, before treatment of that day, shape (draws, states).
            theta: parameters as standard normal numbers, shape (draws, parameters).
        """
