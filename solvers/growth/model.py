"""Forecast of a tumour, u_t = div(D grad u) + k u (1 - u / theta) - treatment, and its exact derivatives.

Strang splitting: half a reaction, diffusion, half a reaction, the halves of neighbouring steps joined. Reaction and
treatment are solved in closed form, diffusion by a mean over random walks, so that 0 <= u <= theta holds always on a
monotone space. Tangent and gradient are those of exactly this scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.solvers.growth.coupling import Coupling
from palpate.solvers.growth.parameters import Derivative, Directions, Parameters
from palpate.solvers.growth.scheme.diffusion import Diffusion, Moments, Work, diffusion
from palpate.solvers.growth.scheme.operations import Operation, Resect, Sums
from palpate.solvers.growth.scheme.steps import irradiation, reaction_rates, strang
from palpate.solvers.growth.space.space import GrowthSpace
from palpate.solvers.growth.treatment.timeline import timeline
from palpate.solvers.growth.treatment.treatment import Treatment
from palpate.units import days_to_s

type Values = NDArray[np.float64]

STEP_S: Final = days_to_s(2.0)
"""Longest time step by default, s; see TOLERANCE for its error."""
TOLERANCE: Final = 1e-2
"""Largest error of a diffusion step's weights.

With this and STEP_S, the error in time of a brain's forecast of 300 days through treatment is 2e-5 (decision 0050)."""
COLUMNS: Final = 16
"""Number of directions in a block. 16 to 64 take equally long on 12,000 voxels, 8 or 16 are the fastest on 217,000
(decision 0061)."""
ROUNDING: Final = 1e-12
"""Largest distance of a density from 0..theta on a monotone space, relative to theta."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a forecast with one field D.

    Attributes:
        diffusion: diffusion with this D.
        before: density from which a coupling computed D, shape (n,); None without a coupling.
        entries: operations with the density before each, in order; None in place of an operation is an observation.
    """

    diffusion: Diffusion
    before: Values | None
    entries: list[tuple[Operation | None, Values]]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Result of a forecast.

    Attributes:
        states: density u at each observation, shape (n,) each.
        segments: intermediate results for derivatives; empty if they were not kept.
        parameters: parameters of the tumour.
        extremes: least and largest density over all times and ranks.
        products: number of products with a matrix.
    """

    states: tuple[Values, ...]
    segments: tuple[Segment, ...]
    parameters: Parameters
    extremes: tuple[float, float]
    products: int


@dataclass(frozen=True, slots=True)
class GrowthModel:
    """Growth model of a tumour: its space, treatment and dates of observation.

    Attributes:
        space: control volumes in which it grows.
        observations_s: times at which the density is returned, ascending, seconds; the forecast begins at 0 and ends
            with the last.
        treatment: treatment of the tumour.
        capacity: largest density theta.
        alpha_beta_gy: ratio alpha / beta of the tumour, gray.
        step_s: longest time step, seconds.
        tolerance: largest error of a diffusion step, in the maximum norm relative to the data's range (see stages).
        coupling: coupling of D with the density; None for none.
    """

    space: GrowthSpace
    observations_s: tuple[float, ...]
    treatment: Treatment = field(default_factory=Treatment)
    capacity: float = 1.0
    alpha_beta_gy: float = 10.0
    step_s: float = STEP_S
    tolerance: float = TOLERANCE
    coupling: Coupling | None = None

    def forecast(self, parameters: Parameters, density: Values, *, keep: bool = False) -> Trajectory:
        """Run the model forward. Collective.

        Args:
            parameters: parameters of the tumour.
            density: density u at the beginning, in 0..theta, shape (n,).
            keep: whether to keep the intermediate results that `gradient` needs, a field for each step.

        Raises:
            InputError: there is no tumour, or it exceeds the capacity; an event outside the forecast.
        """
        self.demand_tumour(density)
        run = _Run(self, parameters)
        low, high = np.inf, -np.inf
        states: list[Values] = []
        segments: list[Segment] = []
        for segment, operation in run.course(density):
            if not segments or segments[-1] is not segment:
                segments.append(segment)
            if keep:
                segment.entries.append((operation, run.density))
            if operation is None:
                states.append(run.density)
                continue
            run.density = operation.apply(run.density)
            low, high = min(low, float(run.density.min(initial=low))), max(high, float(run.density.max(initial=high)))
        extremes = self._checked(low, high)
        kept = tuple(segments) if keep else ()
        return Trajectory(tuple(states), kept, parameters, extremes, run.work.products)

    def observed(self, parameters: Parameters, density: Values) -> Iterator[Values]:
        """Yield the density at each observation as the run reaches it, shape (n,). Collective.

        A caller that stops after an observation saves the rest of the run, and what it got does not depend on it.

        Args:
            parameters: parameters of the tumour.
            density: density u at the beginning, in 0..theta, shape (n,).

        Raises:
            InputError: there is no tumour, or it exceeds the capacity; an event outside the forecast.
        """
        self.demand_tumour(density)
        run = _Run(self, parameters)
        for _, operation in run.course(density):
            if operation is None:
                self._checked(float(run.density.min(initial=np.inf)), float(run.density.max(initial=-np.inf)))
                yield run.density
            else:
                run.density = operation.apply(run.density)

    def tangents(
        self, parameters: Parameters, density: Values, directions: Sequence[Directions]
    ) -> tuple[tuple[Values, ...], tuple[Values, ...]]:
        """Return states at the observations, and J V, their derivatives along directions. Collective.

        Args:
            parameters: parameters of the tumour.
            density: density u at the beginning, shape (n,).
            directions: directions V in blocks, at least one block. Directions of one block should change the same
                unknowns, since an unknown that none of them changes costs nothing.

        Returns:
            The density at each observation, shape (n,), and its changes in the directions' order, shape (n, p).
        """
        run = _Run(self, parameters)
        parts = [part for one in directions for part in one.parts(COLUMNS)]
        states, found = [], []
        changes, current, by = [part.density for part in parts], None, parts
        for segment, operation in run.course(density):
            if segment is not current:
                current, by = segment, self._coupled(parts, segment, changes)
            if operation is None:
                states.append(run.density)
                found.append(np.concatenate(changes, axis=1))
            else:
                run.density, along = operation.linearised(run.density)
                changes = [along(change, part) for change, part in zip(changes, by, strict=True)]
        return tuple(states), tuple(found)

    def gradient(self, trajectory: Trajectory, sources: Sequence[Values]) -> Derivative:
        """Return J^T y, the gradient of a functional of the observed states. Collective.

        Args:
            trajectory: result of forecast(..., keep=True).
            sources: derivative y of the functional by the density at each observation, shape (n,) each.
        """
        if not trajectory.segments:
            raise ValueError("the trajectory was not kept; forecast with keep=True")
        volumes, remaining = self.space.volumes_m3, list(sources)
        sums, moments = Sums(volumes, len(self.treatment.courses)), Moments(self.space.size)
        adjoint, by_diffusivity = np.zeros(self.space.size), np.zeros(self.space.size)
        for segment in reversed(trajectory.segments):
            moments.clear()
            for operation, density in reversed(segment.entries):
                if operation is None:
                    adjoint = adjoint + remaining.pop() / volumes
                else:
                    adjoint = operation.pull_back(density, adjoint, sums, moments)
            by_shift = moments.gradient(segment.diffusion)
            by_diffusivity += by_shift
            if self.coupling is not None and segment.before is not None:
                adjoint = adjoint + self.coupling.pull_back(segment.before, by_shift) / volumes
        return sums.derivative(self.space, trajectory.parameters, adjoint, by_diffusivity)

    def demand_tumour(self, density: Values) -> None:
        """Refuse a density from which nothing can grow. Collective.

        Raises:
            InputError: it is zero everywhere, leaves 0..theta or is not finite.
        """
        low, high = self.space.extremes(density)
        if not (low >= 0.0 and high <= self.capacity):  # also true of what is not a number
            raise InputError(
                "cellularity",
                found=f"values from {low:g} to {high:g}",
                expected=f"values from 0 to {self.capacity:g}",
                advice="Scale the map, or check that it is one of cell density.",
            )
        if high == 0.0:
            raise InputError(
                "cellularity",
                found="no tumour in the brain",
                expected="a positive density somewhere in tissue",
                advice="Check that tumour and brain mask are of the same place (RAS, mm).",
            )

    def _coupled(self, parts: list[Directions], segment: Segment, changes: list[Values]) -> list[Directions]:
        """Return the directions, with the change of ln D by the coupling added."""
        if self.coupling is None or segment.before is None:
            return parts
        moved = []
        for part, change in zip(parts, changes, strict=True):
            shift = self.coupling.tangent(segment.before, change)
            own = 0.0 if part.log_diffusivity is None else part.log_diffusivity
            moved.append(replace(part, log_diffusivity=own + shift))
        return moved

    def _checked(self, low: float, high: float) -> tuple[float, float]:
        """Return extremes of all ranks; on a monotone space they keep the bounds, or the scheme is wrong."""
        comm = self.space.halo.comm
        low, high = float(comm.allreduce(low, op=MPI.MIN)), float(comm.allreduce(high, op=MPI.MAX))
        slack = ROUNDING * self.capacity
        if self.space.monotone and not (low >= -slack and high <= self.capacity + slack):
            raise RuntimeError(f"density left its bounds: {low} to {high}")
        return low, high


class _Run:
    """One pass through the timeline, during which the caller moves the density on."""

    def __init__(self, model: GrowthModel, parameters: Parameters) -> None:
        self._model, self._parameters = model, parameters
        self.work = Work()
        self.density = np.zeros(0)
        self._reaction_rates = reaction_rates(parameters, model.capacity, model.treatment.courses)
        self._open = np.ones(model.space.size, dtype=np.bool_)

    def course(self, density: Values) -> Iterator[tuple[Segment, Operation | None]]:
        """Yield operations in order, None for an observation, each with the segment that it belongs to."""
        self.density = density
        model = self._model
        renewal_s = None if model.coupling is None else model.coupling.every_s
        segment = self._segment()
        for stop in timeline(model.treatment, model.observations_s, model.step_s, renewal_s):
            if stop.observed:
                yield segment, None
            for resection in stop.resections:
                self._open &= ~resection.removed
                yield segment, Resect(self._open.copy())
            for fraction in stop.fractions:
                courses, log_alpha = model.treatment.courses, self._parameters.log_alpha
                yield segment, irradiation(fraction, courses, log_alpha, model.alpha_beta_gy)
            if stop.resections or (stop.renewed and stop.time_s > 0.0):
                segment = self._segment()
            for operation in strang(stop, self._reaction_rates, segment.diffusion):
                yield segment, operation

    def _segment(self) -> Segment:
        model, log_diffusivity = self._model, self._parameters.log_diffusivity
        before = None
        if model.coupling is not None:
            before = self.density
            log_diffusivity = log_diffusivity + model.coupling.shift(before)
        spreading = diffusion(model.space, np.exp(log_diffusivity) * self._open, model.tolerance)
        return Segment(replace(spreading, work=self.work), before, [])
