"""Anderson acceleration: swings are damped, straight roads are left alone, and x = C w stays true."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.solvers.inversion.steps.acceleration import DEPTH, Acceleration, Pair

SIZE = 30
COVARIANCE = np.exp(-np.abs(np.subtract.outer(np.arange(SIZE), np.arange(SIZE))) / 5.0)


def _pair(w: NDArray[np.float64]) -> Pair:
    return COVARIANCE @ w, w


def _swinging(rates: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Iteration w -> M w + r with these eigenvalues, the others 0: M and its fixed point."""
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((SIZE, SIZE))
    values = np.zeros(SIZE)
    values[: len(rates)] = rates
    return basis @ np.diag(values) @ np.linalg.inv(basis), rng.standard_normal(SIZE)


@pytest.mark.parametrize("rates", [(-0.9,), (-1.5, 0.8), (-0.95, -0.9, 0.7)])
def test_a_few_slow_or_swinging_directions_are_settled_at_once(rates: tuple[float, ...]) -> None:
    """With n directions that do not settle by themselves, n + 2 steps reach the fixed point, even of growing swings.

    That is what the acceleration is for: the overall level of G'' in fluid swings by a factor -0.9 a step without it.
    """
    assert len(rates) < DEPTH
    matrix, fixed = _swinging(np.array(rates), 1)
    acceleration = Acceleration()
    point = _pair(np.zeros(SIZE))
    for _ in range(len(rates) + 2):
        point = acceleration.aim(point, _pair(fixed + matrix @ (point[1] - fixed)))
    assert np.linalg.norm(point[1] - fixed) < 1e-3 * np.linalg.norm(fixed)


def test_the_first_step_and_the_first_after_forgetting_are_gauss_newtons_own() -> None:
    """Steps taken under another prior say nothing about this one."""
    acceleration = Acceleration()
    rng = np.random.default_rng(2)
    for _ in range(2):
        point, target = _pair(rng.standard_normal(SIZE)), _pair(rng.standard_normal(SIZE))
        assert acceleration.aim(point, target) is target
        acceleration.aim(target, point)
        acceleration.forget()


def test_weights_follow_the_parameters() -> None:
    """The prior's energy x w is only right while x = C w."""
    acceleration = Acceleration()
    rng = np.random.default_rng(3)
    for _ in range(DEPTH + 3):
        x, w = acceleration.aim(_pair(rng.standard_normal(SIZE)), _pair(rng.standard_normal(SIZE)))
        assert x == pytest.approx(COVARIANCE @ w, rel=1e-9, abs=1e-9)
