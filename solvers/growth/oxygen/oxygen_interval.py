"""Step between two renewals of oxygen: half of the deaths, growth and spreading at fixed rates, the other half.

Within it v = u / c obeys the model without necrosis, on control volumes M c, with conductances c_i S_ij c_j and with
k g c in the place of k: crowding is by u + n. Rates are those of the middle, extrapolated in the logarithm from this
renewal and the last. All derivatives are exact and are taken with respect to v, ln c, ln g and ln h.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.coupling import Coupling
from palpate.solvers.growth.oxygen.law import Response
from palpate.solvers.growth.oxygen.necrosis import Starvation
from palpate.solvers.growth.oxygen.oxygen_supply import OxygenatedTissue, Supply
from palpate.solvers.growth.parameters import Directions
from palpate.solvers.growth.scheme.diffusion import Diffusion, VolumeMoments
from palpate.solvers.growth.scheme.operations import Irradiate, Operation, Resect, Sums

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """Changes of cells along a block of directions.

    Attributes:
        occupied: changes dv, shape (n, p).
        log_room: changes d ln c, shape (n, p).
        log_rates: changes of ln g and ln h at the last renewal, shape (2, n, p).
    """

    occupied: Values
    log_room: Values
    log_rates: Values


@dataclass(frozen=True, slots=True)
class Adjoint:
    """Partial derivatives of a functional by each control volume's value, not divided by the volumes M.

    Attributes:
        occupied: derivatives by v, shape (n,).
        log_room: derivatives by ln c, shape (n,).
        log_rates: derivatives by ln g and ln h of the last renewal through later intervals than its own, shape (2, n).
    """

    occupied: Values
    log_room: Values
    log_rates: Values


@dataclass(frozen=True, slots=True)
class Interval:
    """Operations and intermediate results between two renewals of oxygen.

    Attributes:
        cut: resections at its first instant; None without any.
        fractions: fractions of radiotherapy at its first instant, with v before each.
        renewed: cells after these, from which oxygen was computed.
        supply: level of oxygen.
        response: effect of this level on cells.
        weight: weight w of the extrapolation: the logarithms of the rates are (1 + w) times these minus w times the
            last.
        opening: first half of the deaths.
        opened: cells after the first half of the deaths.
        diffusion: diffusion of v.
        operations: operations on v until the second half of the deaths.
        densities: v before each operation, if they are kept, and after the last.
    """

    cut: Resect | None
    fractions: tuple[tuple[Irradiate, Values], ...]
    renewed: OxygenatedTissue
    supply: Supply
    response: Response
    weight: float
    opening: Starvation
    opened: OxygenatedTissue
    diffusion: Diffusion
    operations: tuple[Operation, ...]
    densities: list[Values]

    def closing(self) -> Starvation:
        """Return the second half of the deaths; needs v at the end."""
        return replace(self.opening, before=replace(self.opened, occupied=self.densities[-1]))

    def pressing(self) -> Values:
        """Return the density u + n that exerts pressure in a coupling, shape (n,)."""
        return self.renewed.living + self.renewed.necrosis(self.opening.capacity)

    def tangents(self, changes: list[Change], parts: list[Directions], coupling: Coupling | None) -> list[Change]:
        """Move v to the end, and changes along with it. Collective.

        Args:
            changes: changes of each block at the beginning, before cut and fractions.
            parts: blocks of directions.
            coupling: coupling of D with the density; None for none.

        Returns:
            Changes of each block at the end.
        """
        opened = [self._opened(one, part, coupling) for one, part in zip(changes, parts, strict=True)]
        values, moved = self.opened.occupied, [one.occupied for one, _, _ in opened]
        for operation in self.operations:
            values, along = operation.linearised(values)
            moved = [along(one, by) for one, (_, by, _) in zip(moved, opened, strict=True)]
        self.densities.append(values)
        closing, closed = self.closing(), []
        for occupied, (change, _, log_death) in zip(moved, opened, strict=True):
            closed.append(Change(*closing.tangent(occupied, change.log_room, log_death), change.log_rates))
        return closed

    def _opened(self, change: Change, part: Directions, coupling: Coupling | None) -> tuple[Change, Directions, Values]:
        """Return the change after the first half of the deaths, the interval's directions, and the change of ln h."""
        occupied, log_room = change.occupied, change.log_room
        if self.cut is not None:
            kept = self.cut.kept[:, None]
            occupied, log_room = occupied * kept, log_room * kept
        for irradiate, before in self.fractions:
            occupied = irradiate.linearised(before)[1](occupied, part)
        v, c = self.renewed.occupied[:, None], self.renewed.room[:, None]
        level = self.supply.tangent(c * (occupied + v * log_room), c * log_room)
        log_rates = self.response.slopes[:, :, None] * level
        ahead = (1.0 + self.weight) * log_rates - self.weight * change.log_rates
        own = 0.0 if part.log_diffusivity is None else part.log_diffusivity
        if coupling is not None:
            pressing = c * (occupied + (v - self.opening.capacity) * log_room)
            own = own + coupling.tangent(self.pressing(), pressing)
        occupied, log_room = self.opening.tangent(occupied, log_room, ahead[1])
        by_k = 0.0 if part.log_proliferation is None else part.log_proliferation
        by = replace(
            part,
            log_diffusivity=own + 2.0 * log_room,
            log_volumes=log_room,
            log_proliferation=by_k + ahead[0] + log_room,
        )
        return Change(occupied, log_room, log_rates), by, ahead[1]

    def pull_back(self, after: Adjoint, coupling: Coupling | None, total: Sums, by_diffusivity: Values) -> Adjoint:
        """Return the adjoint before cut and fractions from that at the end. Collective.

        Args:
            after: adjoint at the end.
            coupling: coupling of D with the density; None for none.
            total: sums to which the derivatives by the tumour's other parameters are added in place.
            by_diffusivity: derivative by ln D, shape (n,), to which this interval's is added in place.
        """
        by_v, by_death = self.closing().pull_back(after.occupied, after.log_room)
        volumes, courses = self.diffusion.space.volumes_m3, len(total.log_sensitivities)
        sums, moments = Sums(volumes, courses), VolumeMoments(len(volumes))
        state = by_v / volumes
        for operation, before in zip(reversed(self.operations), reversed(self.densities[:-1]), strict=True):
            state = operation.pull_back(before, state, sums, moments)
        by_d, by_k = moments.gradient(self.diffusion), volumes * sums.log_proliferation
        by_c = after.log_room + by_k + 2.0 * by_d + moments.volume_gradient(self.diffusion)
        by_v, by_more = self.opening.pull_back(volumes * state, by_c)
        ahead = np.stack([by_k, by_death + by_more])
        slopes = self.response.slopes * ((1.0 + self.weight) * ahead + after.log_rates)
        by_living, by_room = self.supply.pull_back(slopes.sum(axis=0))
        v, c = self.renewed.occupied, self.renewed.room
        by_v, by_c = by_v + c * by_living, by_c + c * (v * by_living + by_room)
        if coupling is not None:
            by_all = coupling.pull_back(self.pressing(), by_d)
            by_v, by_c = by_v + c * by_all, by_c + c * (v - self.opening.capacity) * by_all
        before_m3 = c * total.volumes_m3
        first = Sums(before_m3, courses)
        state = by_v / before_m3
        for irradiate, before in reversed(self.fractions):
            state = irradiate.pull_back(before, state, first, moments)
        by_v = before_m3 * state
        if self.cut is not None:
            by_v, by_c = by_v * self.cut.kept, by_c * self.cut.kept
        by_diffusivity += by_d
        total.log_proliferation += by_k / total.volumes_m3
        total.log_alpha += sums.log_alpha + first.log_alpha
        total.log_sensitivities += sums.log_sensitivities
        return Adjoint(by_v, by_c, -self.weight * ahead)
