"""Fronts: the whole nonlinear scheme against solutions of u_t = D u_xx + k u (1 - u) that are known."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import Voxels, voxels
from tests.laws.taylor import rates

D, K = 3e-12, 4e-7
"""m2/s and 1/s: 0.26 mm2/day and 0.035/day."""
WIDTH, TIME = np.sqrt(D / K), 1.0 / K


def _slab(cells: int, length: float) -> tuple[Voxels, np.ndarray, Parameters]:
    """A row of voxels, `length` front widths long, and the voxels' centres in widths."""
    edge = length / cells
    place = voxels(np.ones((cells, 1, 1), dtype=bool), np.full(3, edge * WIDTH))
    return place, (np.arange(cells) + 0.5) * edge, Parameters(np.full(cells, np.log(D)), np.array(np.log(K)))


def test_second_order_in_space_and_time() -> None:
    """Ablowitz and Zeppetella's front, (1 + exp((x - 5 t / sqrt 6) / sqrt 6))^-2, with both steps halved together."""
    errors, edges = [], []
    for cells in (100, 200, 400):
        place, x, parameters = _slab(cells, 50.0)

        def front(t: float, at: np.ndarray = x) -> np.ndarray:
            return np.asarray((1.0 + np.exp((at - 20.0 - 5.0 * t / np.sqrt(6.0)) / np.sqrt(6.0))) ** -2)

        model = GrowthModel(place.space, (4.0 * TIME,), step_s=100.0 / cells * TIME)
        (state,) = model.forecast(parameters, front(0.0)).states
        errors.append(float(np.abs(state - front(4.0)).max()))
        edges.append(1.0 / cells)
    np.testing.assert_allclose(rates(errors, edges), 2.0, atol=0.15)
    assert errors[-1] < 1e-3


def test_speed() -> None:
    """Margins move at 2 sqrt(D k), once Bramson's delay 3/2 ln t of fronts from a compact start is counted."""
    place, x, parameters = _slab(1200, 300.0)
    first, second = 60.0, 120.0
    model = GrowthModel(place.space, (first * TIME, second * TIME), step_s=0.1 * TIME)
    states = model.forecast(parameters, np.where(x < 5.0, 1.0, 0.0)).states
    places = [float(np.interp(-0.5, -state, x)) for state in states]
    due = 2.0 * (second - first) - 1.5 * np.log(second / first)
    assert places[1] - places[0] == pytest.approx(due, rel=0.01)


def test_balance() -> None:
    """What the tumour gains is what grew in it: the time integral of k u (1 - u), as trapezoids see it."""
    place, x, parameters = _slab(100, 30.0)
    times = np.linspace(0.0, 5.0, 501)
    model = GrowthModel(place.space, tuple(times[1:] * TIME), step_s=TIME)
    start = 0.5 * np.exp(-(x**2))
    states = [start, *model.forecast(parameters, start).states]
    gained = place.space.integral_m3(states[-1]) - place.space.integral_m3(start)
    growth = np.trapezoid([K * place.space.integral_m3(u * (1 - u)) for u in states], times * TIME)
    assert gained == pytest.approx(float(growth), rel=1e-4)  # (k dt)^2 / 12 is 1e-5
