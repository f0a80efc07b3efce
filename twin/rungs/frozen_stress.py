"""Stress that slows invasion on the lattice, constant in pieces of time: between scans, and then by FROZEN_DAYS."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.mechanics.coupling import Mechanics
from palpate.twin.calibration.posterior import CalibrationProblem
from palpate.twin.dynamics import Events, growth_parameters, interval_model
from palpate.twin.priors import KILL, SLOWING
from palpate.twin.stress import Stress, followed, pattern

type Values = NDArray[np.float64]

FROZEN_DAYS: Final = 25.0
"""Length of a piece of the future under one stress, days."""


@dataclass(frozen=True, slots=True)
class FrozenStress:
    """Stress patterns s and S (palpate.twin.stress) by time.

    Attributes:
        days: beginnings of the pieces, ascending; the last one has no end.
        patterns: patterns of each piece at the tissue voxels, shape (pieces, 1 + modes, n).
    """

    days: tuple[float, ...]
    patterns: Values

    def __post_init__(self) -> None:
        """Refuse pieces out of order or without patterns.

        Raises:
            ValueError: there is no piece, days do not ascend, or there are other patterns than days.
        """
        if not self.days or any(b <= a for a, b in pairwise(self.days)) or len(self.days) != len(self.patterns):
            raise ValueError(f"{len(self.patterns)} patterns of stress for the days {self.days}")

    def on(self, day: float) -> Values:
        """Return the patterns of the piece that holds a day, shape (1 + modes, n); the first one's before it."""
        return np.asarray(self.patterns[max(int(np.searchsorted(self.days, day, side="right")) - 1, 0)])


def frozen_stress(
    problem: CalibrationProblem,
    stress: Stress,
    elastic_system: Mechanics,
    xi: Values,
    density: Values,
    events: Events,
    until: float,
) -> FrozenStress:
    """Return the stress of the past and, along the growth of one tumour, of the time to come.

    Args:
        problem: calibration's problem.
        stress: stress of the past.
        elastic_system: elastic system of the tissue.
        xi: unknowns of the tumour that is followed, in the layout of the problem.
        density: its density at the last scan, at the tissue voxels, shape (n,).
        events: treatments of all times.
        until: last day of interest.
    """
    own = problem.dynamics
    drifts = own.drifts(xi)
    last = float(drifts[-1]) if len(drifts) else 0.0
    free = growth_parameters(own.unknowns, xi, own.white, own.growth_shapes, own.kill_1_g, last)
    names = tuple(one.name.removeprefix(KILL) for one in own.unknowns.single if one.name.startswith(KILL))
    settings, slowing = problem.observations.settings, own.unknowns.natural(xi, SLOWING)
    starts = own.days[-1] + FROZEN_DAYS * np.arange(max(1, int(np.ceil((until - own.days[-1]) / FROZEN_DAYS))))
    found = list(stress.patterns)
    for first in map(float, starts):
        model = interval_model(own.place, events, names, (first, first + FROZEN_DAYS), settings)
        mean, density = followed(elastic_system, slowing, model, free, density, own.fronts)
        found.append(pattern(elastic_system, mean, stress.log_moduli[1:]))
    return FrozenStress((*own.days[:-1], *map(float, starts)), np.stack(found))
