"""Joint draws of the posterior, each run through the model, and how far from Gaussian it is.

Draws of the Laplace approximation have weights exp(-phi(xi) + (xi - m)^T H (xi - m) / 2). Their effective number says
how good the approximation is. The draws are resampled by the weights to a power, the largest up to one that leaves a
quarter of them effective: exact where the weights allow it, Laplace's where they do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.twin.calibration.posterior import Laplace, Problem, objective

type Values = NDArray[np.float64]

EFFECTIVE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Draws:
    """Equally probable.

    Attributes:
        xi: shape (draws, p).
        density: at the last scan, on the lattice's tissue voxels in C order, shape (draws, n).
        straying: of the front until the last scan, in the field's coefficients, mm, shape (draws, r).
        effective_share: effective number over number of Laplace's draws; near one, the posterior is Gaussian.
        power: of the weights by which they were resampled; one is exact.
    """

    xi: Values
    density: NDArray[np.float32]
    straying: Values
    effective_share: float
    power: float


def draw(problem: Problem, found: Laplace, settings: TwinSettings) -> Draws:
    """Draw, forecast, weigh, resample. Collective.

    Args:
        problem: whose posterior it is.
        found: the Laplace approximation.
        settings: number of draws and seed.
    """
    rng = np.random.default_rng(settings.seed)
    xi = found.draws(settings.draws, rng)
    precision = np.linalg.inv(found.covariance)
    log_weights, densities, strayings = [], [], []
    for one in xi:
        states = problem.states(one)
        residual = problem.residual(states, one)
        away = one - found.mode
        log_weights.append(0.5 * float(away @ precision @ away) - objective(residual, one, found.errors))
        densities.append(states[-1].astype(np.float32))
        zeta = found.errors.draw_shared(residual, rng)
        strayings.append(strayed(zeta, problem))
    log_w = np.array(log_weights)
    share, power = effective(log_w), power_of(log_w)
    chosen = systematic(log_w * power, rng)
    return Draws(xi[chosen], np.stack(densities)[chosen], np.stack(strayings)[chosen], share, power)


def strayed(zeta: Values, problem: Problem) -> Values:
    """How far the front has strayed by the last scan, coefficients in mm, shape (r,)."""
    r = len(problem.observations.field.centres_mm)
    steps = np.sqrt(np.diff(problem.observations.days) / 100.0)
    total = np.zeros(r)
    for interval, step in enumerate(steps):
        total += problem.front_drift_mm * step * zeta[interval * r : (interval + 1) * r]
    return total


def effective(log_weights: Values) -> float:
    """Effective number of weighted draws over their number, (sum w)^2 / (N sum w^2)."""
    w = np.exp(log_weights - log_weights.max())
    return float(w.sum() ** 2 / (len(w) * (w**2).sum()))


def power_of(log_weights: Values) -> float:
    """Largest power up to one of the weights that leaves EFFECTIVE of the draws."""
    if effective(log_weights) >= EFFECTIVE:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle * log_weights) >= EFFECTIVE else (low, middle)
    return low


def systematic(log_weights: Values, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of as many draws, each as often as its weight says, to one."""
    w = np.exp(log_weights - log_weights.max())
    ends = np.cumsum(w / w.sum())
    places = (np.arange(len(w)) + rng.random()) / len(w)
    return np.minimum(np.searchsorted(ends, places), len(w) - 1)
