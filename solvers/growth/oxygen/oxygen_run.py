"""Pass of growth limited by oxygen through a timeline, from renewal to renewal, with a check of bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.solvers.growth.model import ROUNDING, GrowthModel
from palpate.solvers.growth.oxygen.law import Oxygen, response
from palpate.solvers.growth.oxygen.necrosis import Starvation
from palpate.solvers.growth.oxygen.oxygen_interval import Change, Interval
from palpate.solvers.growth.oxygen.oxygen_supply import OxygenatedTissue, Vessels, vessels
from palpate.solvers.growth.parameters import Directions, Parameters
from palpate.solvers.growth.scheme.diffusion import Diffusion, Work, diffusion
from palpate.solvers.growth.scheme.operations import Irradiate, Operation, Resect
from palpate.solvers.growth.scheme.steps import irradiation, reaction_rates, strang
from palpate.solvers.growth.space.space import GrowthSpace
from palpate.solvers.growth.treatment.timeline import Stop, timeline
from palpate.solvers.growth.treatment.treatment import Fraction

type Values = NDArray[np.float64]

LEAST_ROOM: Final = 1e-12
"""Least c at the beginning, reached where necrosis is complete; v = u / c needs c > 0."""
STORED: Final = 1e-6
"""Largest excess of u + n over theta at the beginning, relative to theta: maps are stored in single precision."""
MOST_AHEAD: Final = 1.0
"""Largest weight of the extrapolation, which unevenly spaced renewals would otherwise make large."""
SOLVED: Final = 1e-9
"""Largest excess of oxygen over one: lengths L much larger than voxels make the system ill-conditioned."""
OCCUPIED: Final = "v"
"""Name of the living density over its room among the checked quantities."""
LEVEL: Final = "oxygen"
"""Name of the level of oxygen among the checked quantities."""
_LEFT: Final = "share of c that deaths leave"
_MOVED: Final = "u + n moved by deaths"
_CHECKED: Final = (OCCUPIED, LEVEL, _LEFT, _MOVED)


def beginning(growth: GrowthModel, density: Values, necrosis: Values | None) -> OxygenatedTissue:
    """Convert densities to the variables of the scheme, v and c. Collective.

    Args:
        growth: space and capacity.
        density: living density u, shape (n,).
        necrosis: density n of necrosis, shape (n,); None for none.

    Raises:
        InputError: cells are fewer than none or more than fit.
    """
    if necrosis is None:
        return OxygenatedTissue(density, np.ones_like(density))
    capacity = growth.capacity
    low, high = growth.space.extremes(necrosis)[0], growth.space.extremes(density + necrosis)[1]
    if not (low >= 0.0 and high <= (1.0 + STORED) * capacity):  # also true of what is not a number
        raise InputError(
            "necrosis",
            found=f"values from {low:g}, with living cells up to {high:g}",
            expected=f"values from 0, with living cells up to {capacity:g}",
            advice="Scale both maps; they share one capacity.",
        )
    room = np.maximum(1.0 - necrosis / capacity, LEAST_ROOM)
    return OxygenatedTissue(np.minimum(density / room, capacity), room)


class Bounds:
    """Least and largest values seen on this rank, by name."""

    def __init__(self) -> None:
        self._low, self._high = dict.fromkeys(_CHECKED, np.inf), dict.fromkeys(_CHECKED, -np.inf)

    def see(self, name: str, values: Values) -> None:
        """Include values in the extremes of a name.

        Args:
            name: name of a quantity that is checked.
            values: values of it, shape (n,).
        """
        self._low[name] = float(values.min(initial=self._low[name]))
        self._high[name] = float(values.max(initial=self._high[name]))

    def death(self, before: OxygenatedTissue, after: OxygenatedTissue, capacity: float) -> None:
        """Include the effect of deaths: v, the remaining share of c, and the change of u + n.

        Args:
            before: cells before the deaths.
            after: cells after the deaths.
            capacity: largest density theta.
        """
        self.see(OCCUPIED, after.occupied)
        self.see(_LEFT, after.room / before.room)
        moved = after.living - before.living + after.necrosis(capacity) - before.necrosis(capacity)
        self.see(_MOVED, moved / capacity)

    def checked(self, space: GrowthSpace, capacity: float) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the extremes of u / c and of oxygen over all ranks, and refuse those out of bounds. Collective.

        Args:
            space: control volumes.
            capacity: largest density theta.

        Raises:
            RuntimeError: an extreme is out of bounds, necrosis fell, or deaths changed u + n, so that the scheme is
            wrong.
        """
        comm = space.halo.comm
        low = {name: float(comm.allreduce(value, op=MPI.MIN)) for name, value in self._low.items()}
        high = {name: float(comm.allreduce(value, op=MPI.MAX)) for name, value in self._high.items()}
        cells, levels = (low[OCCUPIED], high[OCCUPIED]), (low[LEVEL], high[LEVEL])
        if max(-low[_MOVED], high[_MOVED]) > ROUNDING or (space.monotone and high[_LEFT] > 1.0):
            raise RuntimeError(f"necrosis fell by {high[_LEFT] - 1.0}, or deaths moved cells by {high[_MOVED]}")
        slack = ROUNDING * capacity
        if space.monotone and not (cells[0] >= -slack and cells[1] <= capacity + slack):
            raise RuntimeError(f"density left its bounds: {cells}")
        if not levels[0] > 0.0 or (space.monotone and not levels[1] <= 1.0 + SOLVED):
            raise RuntimeError(f"oxygen left its bounds: {levels}")
        return cells, levels


@dataclass(slots=True)
class _Last:
    """Values of the previous renewal."""

    log_rates: Values
    duration_s: float


class Run:
    """Pass through the timeline, during which the caller moves v through every interval."""

    def __init__(
        self, growth: GrowthModel, oxygen: Oxygen, parameters: Parameters, density: Values, necrosis: Values | None
    ) -> None:
        growth.demand_tumour(density)
        self._growth, self._oxygen, self._parameters = growth, oxygen, parameters
        self._reaction_rates = reaction_rates(parameters, growth.capacity, growth.treatment.courses)
        self.work, self.bounds = Work(), Bounds()
        self.tissue = beginning(growth, density, necrosis)
        self._passable = np.ones(growth.space.size, dtype=np.bool_)
        self._last: _Last | None = None
        self._vessels: Vessels | None = None
        self._free: Diffusion | None = None
        self.groups = _groups(timeline(growth.treatment, growth.observations_s, growth.step_s, oxygen.every_s))

    def change(self, part: Directions) -> Change:
        """Return the changes of cells at the beginning along a block of directions."""
        v, c = self.tissue.occupied[:, None], self.tissue.room[:, None]
        log_room = np.zeros_like(part.density)
        if part.necrosis is not None:
            log_room = -part.necrosis / (self._growth.capacity * c)
        return Change(part.density / c - v * log_room, log_room, np.zeros((2, *part.density.shape)))

    def begun(self, stops: Sequence[Stop], duration_s: float) -> Interval:
        """Begin an interval.

        Apply resections and fractions, renew oxygen, apply the first half of the deaths, and prepare the operations
        until the next renewal.
        """
        growth, oxygen = self._growth, self._oxygen
        cut = self._cut(stops[0])
        fractions = []
        for fraction in stops[0].fractions:
            irradiate = self._irradiation(fraction)
            fractions.append((irradiate, self.tissue.occupied))
            self.tissue = replace(self.tissue, occupied=irradiate.apply(self.tissue.occupied))
        renewed = self.tissue
        if self._vessels is None:
            self._vessels = vessels(growth.space, oxygen, self._passable, growth.capacity, self.work)
        supply = self._vessels.supply(renewed)
        self.bounds.see(LEVEL, supply.level)
        answer = response(oxygen, supply.level)
        weight, rates = 0.0, answer.log_rates
        if self._last is not None:
            weight = min(0.5 * duration_s / self._last.duration_s, MOST_AHEAD)
            rates = (1.0 + weight) * rates - weight * self._last.log_rates
        self._last = _Last(answer.log_rates, duration_s)
        exponent = 0.5 * duration_s * oxygen.death_1_s * np.exp(rates[1])
        opening = Starvation(renewed, exponent, growth.capacity)
        opened = opening.after()
        self._died(opening, opened)
        spreading = self._spreading(renewed).within(opened.room)
        growing = replace(
            self._reaction_rates,
            proliferation_1_s=self._reaction_rates.proliferation_1_s * np.exp(rates[0]) * opened.room,
            _kept={},
        )
        operations: list[Operation] = []
        for number, stop in enumerate(stops):
            operations += [self._irradiation(one) for one in stop.fractions if number > 0]
            operations += strang(stop, growing, spreading)
        return Interval(
            cut,
            tuple(fractions),
            renewed,
            supply,
            answer,
            weight,
            opening,
            opened,
            spreading,
            tuple(operations),
            [],
        )

    def end(self, interval: Interval) -> None:
        """Apply the second half of the deaths."""
        closing = interval.closing()
        self._died(closing, closing.after())

    def checked(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the extremes of u / c and of oxygen, see Bounds. Collective."""
        return self.bounds.checked(self._growth.space, self._growth.capacity)

    def _cut(self, stop: Stop) -> Resect | None:
        """Remove living and dead cells of the resected region."""
        if not stop.resections:
            return None
        for resection in stop.resections:
            self._passable &= ~resection.removed
        cut = Resect(self._passable.copy())
        self.tissue = OxygenatedTissue(cut.apply(self.tissue.occupied), np.where(cut.kept, self.tissue.room, 1.0))
        self._vessels = self._free = self._last = None  # what was before says nothing of what follows
        return cut

    def _died(self, death: Starvation, after: OxygenatedTissue) -> None:
        self.bounds.death(death.before, after, death.capacity)
        self.tissue = after

    def _irradiation(self, fraction: Fraction) -> Irradiate:
        growth = self._growth
        return irradiation(fraction, growth.treatment.courses, self._parameters.log_alpha, growth.alpha_beta_gy)

    def _spreading(self, tissue: OxygenatedTissue) -> Diffusion:
        """Diffusion where nothing is necrotic, made anew only where D or the cavity changes."""
        growth, log_diffusivity = self._growth, self._parameters.log_diffusivity
        if growth.coupling is not None:
            log_diffusivity = log_diffusivity + growth.coupling.shift(tissue.living + tissue.necrosis(growth.capacity))
        elif self._free is not None:
            return self._free
        made = diffusion(growth.space, np.exp(log_diffusivity) * self._passable, growth.tolerance)
        self._free = replace(made, work=self.work)
        return self._free


def _groups(stops: Sequence[Stop]) -> tuple[tuple[tuple[Stop, ...], float], ...]:
    """Return the stops from one renewal to the next and their duration.

    Observations renew too, so that n is known there.
    """
    begins = [number for number, stop in enumerate(stops) if stop.renewed or stop.observed]
    found = []
    for first, after in pairwise([*begins, len(stops)]):
        end_s = stops[after].time_s if after < len(stops) else stops[-1].time_s
        found.append((tuple(stops[first:after]), end_s - stops[first].time_s))
    return tuple(found)
