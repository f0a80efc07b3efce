"""A linear model with normal noise, and its exact posterior by one dense regression on all randomness."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palpate.twin.assimilation.setup import AssimilationSetup, FilterSettings, Method
from palpate.twin.priors import Unknown
from palpate.twin.state_space.event import Event
from palpate.twin.state_space.model import StateBound

type Values = NDArray[np.float64]
type Pushes = tuple[tuple[float, float], ...]

START = np.array([[1.0, 0.3], [-0.2, 0.8]])
OFFSET = np.array([3.0, -1.0])
DECAY = 0.04
FORCE = np.array([[0.02, -0.01], [0.0, 0.03]])
NOISE = np.array([[0.08, 0.0], [0.03, 0.05]])
PANEL = np.array([[1.0, 0.0, 0.2, 0.0], [0.4, 1.0, 0.0, -0.3]])
LEVEL = np.array([[0.0, 1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class LinearModel:
    """x' = rotation and decay of x + force by theta + a push of treatment + noise; x(0) = offset + start theta."""

    rung: str = "linear"
    states: tuple[StateBound, ...] = (StateBound("first"), StateBound("second"))
    parameters: tuple[Unknown, ...] = (Unknown("one", 0.0, 1.0, "mm"), Unknown("two", 0.0, 0.5, "mm"))
    noises: tuple[str, ...] = ("left", "right")

    def start(self, theta: Values) -> Values:
        """Return x on day 0."""
        return OFFSET + theta @ START.T

    def step(self, x: Values, theta: Values, u: Pushes, t0: float, t1: float, noise: Values) -> Values:
        """Return x on day t1."""
        moved = x @ turn(t1 - t0).T + (t1 - t0) * theta @ FORCE.T + np.sqrt(t1 - t0) * noise @ NOISE.T
        moved[:, 0] += sum(push for day, push in u if t0 <= day < t1)
        return moved


@dataclass(frozen=True)
class LinearLook:
    """y = H (x, theta)."""

    stream: str
    matrix: Values = field(repr=False)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Name the numbers."""
        return tuple(f"number_{at}" for at in range(len(self.matrix)))

    def h(self, x: Values, theta: Values) -> Values:
        """Return H (x, theta)."""
        return np.concatenate([x, theta], axis=1) @ self.matrix.T


LOOKS = (LinearLook("panel", PANEL), LinearLook("level", LEVEL))
PUSHES = ((6.0, -0.5), (21.0, -0.3))


def turn(days: float) -> Values:
    angle = 0.05 * days
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.exp(-DECAY * days) * rotation


def linear_setup(method: Method, members: int = 400, seed: int = 0) -> AssimilationSetup[Pushes]:
    lines = tuple((day, f"push {amount}") for day, amount in PUSHES)
    return AssimilationSetup(
        LinearModel(), LOOKS, PUSHES, lines, FilterSettings(method, members, seed, longest_step_days=100.0)
    )


def events_of(
    seed: int, days: tuple[float, ...] = (0.0, 4.0, 9.0, 9.5, 20.0, 33.0)
) -> tuple[tuple[Event, ...], Values]:
    """Measurements of a patient drawn from the prior, and the true (x, theta) on the last day."""
    rng = np.random.default_rng([4, seed])
    model, theta = LinearModel(), rng.standard_normal((1, 2))
    x, before, events = model.start(theta), 0.0, []
    for number, day in enumerate(days):
        if day > before:
            x = model.step(x, theta, PUSHES, before, day, rng.standard_normal((1, 2)))
        before = day
        for look in LOOKS if number % 2 == 0 else LOOKS[:1]:
            m = len(look.matrix)
            error = 0.09 * np.eye(m) + 0.03 * np.ones((m, m))
            value = look.h(x, theta)[0] + np.linalg.cholesky(error) @ rng.standard_normal(m)
            events.append(Event(day, day + 1.0, look.stream, value, error))
    return tuple(events), np.concatenate([x, theta], axis=1)[0]


def exact(events: tuple[Event, ...], days: tuple[float, ...]) -> tuple[list[Values], list[Values]]:
    """Mean and covariance of (x, theta) on each of `days`, given all events: regression on theta and all noise."""
    ordered = sorted({*days, *(one.acquired for one in events)})
    width = 2 + 2 * len(ordered)
    x, constant = np.concatenate([START, np.zeros((2, width - 2))], axis=1), OFFSET.copy()
    theta = np.eye(2, width)
    at = {0.0: (np.concatenate([x, theta]), np.concatenate([constant, np.zeros(2)]))}
    for number, (begin, end) in enumerate(zip([0.0, *ordered], ordered, strict=False)):
        if end > begin:
            x, constant = turn(end - begin) @ x + (end - begin) * FORCE @ theta, turn(end - begin) @ constant
            x[:, 2 + 2 * number : 4 + 2 * number] += np.sqrt(end - begin) * NOISE
            constant[0] += sum(push for day, push in PUSHES if begin <= day < end)
        at[end] = np.concatenate([x, theta]), np.concatenate([constant, np.zeros(2)])
    precision, right = np.eye(width), np.zeros(width)
    matrices = {look.stream: look.matrix for look in LOOKS}
    for one in events:
        weights, offset = at[one.acquired]
        sensitivity = matrices[one.stream] @ weights
        precision += sensitivity.T @ np.linalg.solve(one.error, sensitivity)
        right += sensitivity.T @ np.linalg.solve(one.error, one.value - matrices[one.stream] @ offset)
    covariance = np.linalg.inv(precision)
    means = [at[day][0] @ covariance @ right + at[day][1] for day in days]
    return means, [at[day][0] @ covariance @ at[day][0].T for day in days]
