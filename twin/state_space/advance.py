"""Many steps of a model by whole days, with the random numbers of those days: one future, however a time is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from palpate.twin.state_space.chances import Chances
from palpate.twin.state_space.model import Model

type Values = NDArray[np.float64]


def advance[U](model: Model[U], x: Values, theta: Values, u: U, t0: float, t1: float, chances: Chances) -> Values:
    """Return the state on a later day, shape (draws, states).

    Each step ends on a whole day or on t1. So the state on t1 is the same whichever whole days one stops at before, and
    noise within a step never covers more than a day.

    Args:
        model: model of the tumour.
        x: state on day t0, shape (draws, states).
        theta: parameters as standard normal numbers, shape (draws, parameters).
        u: treatment of all days.
        t0: first day.
        t1: last day, after t0.
        chances: Brownian motions of these draws.

    Raises:
        ValueError: t0 is not before t1.
    """
    if not t0 < t1:
        raise ValueError(f"expected t0 < t1, found {t0} and {t1}")
    for first, last in pairwise(daily(t0, t1)):
        x = model.step(x, theta, u, first, last, chances.increments(model.noises, first, last))
    return x


def daily(t0: float, t1: float) -> tuple[float, ...]:
    """Return both days and the whole days between them, ascending."""
    whole = np.arange(np.floor(t0) + 1.0, t1)
    return (t0, *map(float, whole), t1)
