"""Ball of tumour that grows without treatment: radial solution on shells of 0.1 mm, and the twin's own on voxels.

Both begin with the profile of the twin's first scan, u = 0.98 / (1 + exp((r - r_0) / w))^2 with w = c sqrt(6 D / k),
on voxels as its means. Voxels fill an eighth of the ball, which meets its middle at their corner; faces there are
closed, as symmetry has it. Nothing of the solver of the twin is in the radial solution: implicit midpoint in space,
closed logistic growth, steps of 0.1 day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

from palpate.solvers.growth.model import GrowthModel
from palpate.solvers.growth.parameters import Parameters
from palpate.solvers.growth.space.voxels import voxels
from palpate.twin.forecast.future import STEP_S
from palpate.twin.forecast.predict import share_above
from palpate.twin.front_correction import front_correction
from palpate.twin.lattice import nearest_in
from palpate.units import days_to_s, mm2_day_to_m2_s, mm_to_m, per_day_to_per_s

type Values = NDArray[np.float64]

SHELL_MM: Final = 0.1
"""Thickness of a shell, mm."""
SEEN_ABOVE: Final = 0.18
"""Density above which tumour is visible."""
_PLATEAU: Final = 0.98
_STEP_DAYS: Final = 0.1
_POINTS: Final = 5
"""Points along each edge of a voxel at which its mean is taken."""


@dataclass(frozen=True, slots=True)
class Ball:
    """Tumour at the first scan and its rates.

    Attributes:
        radius_mm: radius r_0, mm.
        diffusivity_mm2_day: diffusivity D, mm2/day.
        proliferation_1_day: rate of growth k, 1/day.
        width: width c of the front at the first scan over that of a free wave.
    """

    radius_mm: float
    diffusivity_mm2_day: float
    proliferation_1_day: float
    width: float = 0.6

    @property
    def front_mm(self) -> float:
        """Width sqrt(D / k) of the front, mm."""
        return float(np.sqrt(self.diffusivity_mm2_day / self.proliferation_1_day))

    def density(self, distance_mm: Values) -> Values:
        """Return the density at the first scan at distances from the middle, of their shape."""
        z = (self.radius_mm - distance_mm) / (self.width * np.sqrt(6.0) * self.front_mm)
        return np.asarray(_PLATEAU / (1.0 + np.exp(-np.clip(z, -60.0, 60.0))) ** 2)

    def reach_mm(self, days: float) -> float:
        """Return a distance from the middle that the front does not reach in some days, mm."""
        speed = 2.2 * np.sqrt(self.diffusivity_mm2_day * self.proliferation_1_day)
        return float(self.radius_mm + speed * days + 6.0 + 8.0 * self.width * np.sqrt(6.0) * self.front_mm)


@dataclass(frozen=True, slots=True)
class Radii:
    """Radii of a tumour on the first day and some later ones.

    Attributes:
        visible_mm: radius of a ball of the visible volume, mm, shape (1 + days,).
        burden_mm: radius of a ball of packed cells of the same burden, mm, shape (1 + days,).
    """

    visible_mm: Values
    burden_mm: Values


def radial(ball: Ball, days: Sequence[float]) -> Radii:
    """Return the radii by shells.

    Args:
        ball: tumour.
        days: days, ascending, each a whole number of steps.
    """
    edges = SHELL_MM * np.arange(int(ball.reach_mm(days[-1]) / SHELL_MM) + 60)
    middles, volumes = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges**3) / 3.0
    through = ball.diffusivity_mm2_day * edges[1:-1] ** 2 / SHELL_MM
    inwards, outwards = np.append(0.0, through) / volumes, np.append(through, 0.0) / volumes
    half = 0.5 * _STEP_DAYS
    bands = np.zeros((3, len(volumes)))
    bands[0, 1:], bands[1], bands[2, :-1] = (
        -half * outwards[:-1],
        1.0 + half * (inwards + outwards),
        -half * inwards[1:],
    )
    grown = np.exp(ball.proliferation_1_day * half)
    u = ball.density(middles)
    states, wanted = [u], {round(day / _STEP_DAYS) for day in days}
    for step in range(1, max(wanted) + 1):
        u = u * grown / (1.0 + u * (grown - 1.0))
        flow = outwards * (np.append(u[1:], 0.0) - u) - inwards * (u - np.append(0.0, u[:-1]))
        u = np.maximum(solve_banded((1, 1), bands, u + half * flow), 0.0)
        u = u * grown / (1.0 + u * (grown - 1.0))
        if step in wanted:
            states.append(u)
    seen = [float(np.interp(-SEEN_ABOVE, -one, middles)) for one in states]
    return Radii(np.array(seen), np.array([np.cbrt(3.0 * volumes @ one) for one in states]))


def on_voxels(ball: Ball, edge_mm: float, days: Sequence[float], *, corrected: bool = True) -> Radii:
    """Return the radii by the twin's growth model.

    Args:
        ball: tumour.
        edge_mm: edge of the voxels, mm.
        days: days, ascending.
        corrected: whether D is corrected for the voxels, as the twin does it.
    """
    count = int(np.ceil(ball.reach_mm(days[-1]) / edge_mm))
    place = voxels(np.ones((count, count, count), np.bool_), np.full(3, mm_to_m(edge_mm)))
    start = _means(ball, edge_mm, count)
    log_d = np.full(start.size, np.log(mm2_day_to_m2_s(ball.diffusivity_mm2_day)))
    parameters = Parameters(log_d, np.array(np.log(per_day_to_per_s(ball.proliferation_1_day))))
    if corrected:
        parameters = front_correction(np.full(3, edge_mm)).corrected(parameters)
    model = GrowthModel(place.space, tuple(days_to_s(day) for day in days), step_s=STEP_S)
    states = [start.ravel(), *model.forecast(parameters, start.ravel()).states]
    eighths = np.array([[_seen(one.reshape(start.shape)), one.sum()] for one in states]) * edge_mm**3
    visible, burden = np.cbrt(6.0 * eighths / np.pi).T
    return Radii(visible, burden)


def _seen(u: Values) -> float:
    """Return the number of visible voxels of an eighth, as the twin reads it; its mirror image ends the gradients."""
    whole = np.pad(u, ((1, 0),) * 3, mode="symmetric")
    everywhere = np.ones(whole.shape, np.bool_)
    shares = share_above(whole.ravel(), SEEN_ABOVE, everywhere, nearest_in(everywhere))
    return float(shares.reshape(whole.shape)[1:, 1:, 1:].sum())


def _means(ball: Ball, edge_mm: float, count: int) -> Values:
    """Return the means of the first density over voxels, shape (count, count, count)."""
    squares = ((np.arange(count * _POINTS) + 0.5) * edge_mm / _POINTS) ** 2
    found = np.zeros((count, count, count))
    for at in range(count):
        slab = squares[at * _POINTS : (at + 1) * _POINTS, None, None] + squares[:, None] + squares
        u = ball.density(np.sqrt(slab)).reshape(_POINTS, count, _POINTS, count, _POINTS)
        found[at] = u.mean(axis=(0, 2, 4))
    return found
