"""Growth limited by oxygen: hypoxia slows proliferation and kills cells, and dead cells keep their space.

    u_t = div(D c^2 grad (u / c)) + k g(o) u (1 - (u + n) / theta) - treatment - nu h(o) u,      c = 1 - n / theta,
    n_t = nu h(o) u,

with o of oxygen_supply. Cells spread through tissue that is not necrotic; without necrosis this is D grad u. On the
graph 0 <= u, 0 <= n and u + n <= theta hold for every step, n falls by resection only, and deaths keep u + n.
Derivatives are of exactly this scheme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.model import COLUMNS, GrowthModel
from palpate.solvers.growth.oxygen.law import Oxygen
from palpate.solvers.growth.oxygen.oxygen_interval import Adjoint, Interval
from palpate.solvers.growth.oxygen.oxygen_run import OCCUPIED, Run, beginning
from palpate.solvers.growth.oxygen.oxygen_supply import OxygenatedTissue, vessels
from palpate.solvers.growth.parameters import Derivative, Directions, Parameters
from palpate.solvers.growth.scheme.diffusion import Work
from palpate.solvers.growth.scheme.operations import Sums

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LimitedTrajectory:
    """Result of a forecast.

    Attributes:
        states: living density u at each observation, shape (n,) each.
        necrosis: density n of necrosis at each observation, shape (n,) each.
        beginning: cells at the beginning.
        intervals: intermediate results for derivatives, with whether each interval begins with an observation; empty if
            they were not kept.
        parameters: parameters of the tumour.
        extremes: least and largest u / (1 - n / theta) over all times and ranks.
        levels: least and largest level of oxygen over all times and ranks.
        products: number of products with a matrix.
    """

    states: tuple[Values, ...]
    necrosis: tuple[Values, ...]
    beginning: OxygenatedTissue
    intervals: tuple[tuple[bool, Interval], ...]
    parameters: Parameters
    extremes: tuple[float, float]
    levels: tuple[float, float]
    products: int


@dataclass(frozen=True, slots=True)
class OxygenLimitedGrowth:
    """Growth model of a tumour that needs oxygen, with the interface of GrowthModel.

    Attributes:
        growth: space, treatment and observations. Its coupling, if any, takes the density u + n and is renewed with the
            oxygen, whatever its own interval.
        oxygen: supply of oxygen and effect of its lack; the level is renewed also at observations and resections.
    """

    growth: GrowthModel
    oxygen: Oxygen

    def forecast(
        self, parameters: Parameters, density: Values, necrosis: Values | None = None, *, keep: bool = False
    ) -> LimitedTrajectory:
        """Run the model forward. Collective.

        Args:
            parameters: parameters of the tumour; ln k is that of well-supplied cells.
            density: living density u at the beginning, in 0..theta, shape (n,).
            necrosis: density n of necrosis at the beginning, u + n in 0..theta, shape (n,); None for none.
            keep: whether to keep the intermediate results that `gradient` needs, a field for each step and some for
                each renewal.

        Raises:
            InputError: there is no living tumour, or cells exceed the capacity; an event outside the forecast.
        """
        run = Run(self.growth, self.oxygen, parameters, density, necrosis)
        first, states, dead = run.tissue, [], []
        kept: list[tuple[bool, Interval]] = []
        for stops, duration_s in run.groups:
            if stops[0].observed:
                states.append(run.tissue.living)
                dead.append(run.tissue.necrosis(self.growth.capacity))
            if duration_s > 0.0:
                interval = run.begun(stops, duration_s)
                values = interval.opened.occupied
                for operation in interval.operations:
                    if keep:
                        interval.densities.append(values)
                    values = operation.apply(values)
                    run.bounds.see(OCCUPIED, values)
                interval.densities.append(values)
                run.end(interval)
                if keep:
                    kept.append((stops[0].observed, interval))
        return LimitedTrajectory(
            tuple(states), tuple(dead), first, tuple(kept), parameters, *run.checked(), run.work.products
        )

    def tangents(
        self,
        parameters: Parameters,
        density: Values,
        directions: Sequence[Directions],
        necrosis: Values | None = None,
    ) -> tuple[tuple[Values, ...], tuple[Values, ...], tuple[Values, ...]]:
        """Return living densities at the observations, their changes along directions, and those of n. Collective.

        Args:
            parameters: parameters of the tumour.
            density: living density u at the beginning, shape (n,).
            directions: directions in blocks, as in GrowthModel.tangents.
            necrosis: density n of necrosis at the beginning, shape (n,); None for none.

        Returns:
            For each observation u, shape (n,), and changes of u and of n in the directions' order, shape (n, p) each.
        """
        run = Run(self.growth, self.oxygen, parameters, density, necrosis)
        parts = [part for one in directions for part in one.parts(COLUMNS)]
        changes, states, living, dead = [run.change(part) for part in parts], [], [], []
        for stops, duration_s in run.groups:
            if stops[0].observed:
                v, c = run.tissue.occupied[:, None], run.tissue.room[:, None]
                states.append(run.tissue.living)
                living.append(np.concatenate([c * (one.occupied + v * one.log_room) for one in changes], axis=1))
                dead.append(np.concatenate([-self.growth.capacity * c * one.log_room for one in changes], axis=1))
            if duration_s > 0.0:
                interval = run.begun(stops, duration_s)
                changes = interval.tangents(changes, parts, self.growth.coupling)
                run.end(interval)
        run.checked()
        return tuple(states), tuple(living), tuple(dead)

    def gradient(
        self,
        trajectory: LimitedTrajectory,
        sources: Sequence[Values],
        necrosis_sources: Sequence[Values] | None = None,
    ) -> Derivative:
        """Return the gradient of a functional of the observed states, by the initial necrosis as well. Collective.

        Args:
            trajectory: result of forecast(..., keep=True).
            sources: derivative of the functional by the living density at each observation, shape (n,) each.
            necrosis_sources: derivative of the functional by n at each observation, shape (n,) each; None if it does
                not depend on n.
        """
        if not trajectory.intervals:
            raise ValueError("the trajectory was not kept; forecast with keep=True")
        growth, size = self.growth, self.growth.space.size
        total, by_diffusivity = Sums(growth.space.volumes_m3, len(growth.treatment.courses)), np.zeros(size)
        by_living = list(sources)
        by_dead = [np.zeros(size)] * len(by_living) if necrosis_sources is None else list(necrosis_sources)

        def observed(tissue: OxygenatedTissue, adjoint: Adjoint) -> Adjoint:
            v, c, y, y_dead = tissue.occupied, tissue.room, by_living.pop(), by_dead.pop()
            by_room = c * (v * y - growth.capacity * y_dead)
            return Adjoint(adjoint.occupied + c * y, adjoint.log_room + by_room, adjoint.log_rates)

        ends = [interval.closing().after() for _, interval in trajectory.intervals]
        adjoint = observed(ends[-1], Adjoint(np.zeros(size), np.zeros(size), np.zeros((2, size))))
        begins = [trajectory.beginning, *ends[:-1]]
        for begin, (seen, interval) in zip(reversed(begins), reversed(trajectory.intervals), strict=True):
            adjoint = interval.pull_back(adjoint, growth.coupling, total, by_diffusivity)
            if seen:
                adjoint = observed(begin, adjoint)
        # v = u / c and c = 1 - n / theta at the beginning.
        v, c = trajectory.beginning.occupied, trajectory.beginning.room
        by_density = adjoint.occupied / c
        found = total.derivative(
            growth.space, trajectory.parameters, by_density / growth.space.volumes_m3, by_diffusivity
        )
        by_log_room = adjoint.log_room - v * adjoint.occupied
        return replace(found, necrosis=-by_log_room / (growth.capacity * c))

    def level(self, density: Values, necrosis: Values | None = None) -> Values:
        """Return the level of oxygen relative to well-perfused tissue, without cavities, shape (n,). Collective.

        Args:
            density: living density u, shape (n,).
            necrosis: density n of necrosis, shape (n,); None for none.
        """
        space = self.growth.space
        passable = np.ones(space.size, dtype=np.bool_)
        supplied = vessels(space, self.oxygen, passable, self.growth.capacity, Work())
        return supplied.supply(beginning(self.growth, density, necrosis)).level
