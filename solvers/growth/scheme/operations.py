"""Operations on a density between two observations, each with its exact derivative and transpose.

Adjoint states are over M: the derivative by u_i is M_i times the adjoint state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.parameters import Derivative, Directions, Parameters
from palpate.solvers.growth.scheme.diffusion import Diffusion, Moments
from palpate.solvers.growth.scheme.reaction import Reaction, growth, growth_under_drugs
from palpate.solvers.growth.space.space import GrowthSpace
from palpate.solvers.growth.treatment.pharmacokinetics import DrugCourse

type Values = NDArray[np.float64]
type Along = Callable[[Values, Directions], Values]
"""Map from changes of the density before an operation, shape (n, p), and their directions to changes after it."""

_KEPT_REACTIONS: Final = 16


class Sums:
    """Sums of the gradient on this rank, gathered over operations.

    Attributes:
        log_proliferation: derivative by ln k at each control volume, over M, shape (n,).
        log_alpha: derivative by ln alpha.
        log_sensitivities: derivatives by ln s_d, shape (d,).
        volumes_m3: volumes M, shape (n,).
    """

    def __init__(self, volumes_m3: Values, courses: int) -> None:
        self.volumes_m3 = volumes_m3
        self.log_proliferation = np.zeros(len(volumes_m3))
        self.log_alpha = 0.0
        self.log_sensitivities = np.zeros(courses)

    def derivative(
        self, space: GrowthSpace, parameters: Parameters, adjoint: Values, by_diffusivity: Values
    ) -> Derivative:
        """Return the gradient, summed over ranks for parameters that are one number. Collective.

        Args:
            space: control volumes.
            parameters: parameters of the tumour.
            adjoint: adjoint state at the beginning, over M, shape (n,).
            by_diffusivity: derivative by ln D, shape (n,).
        """
        by_k = space.volumes_m3 * self.log_proliferation
        if not parameters.log_proliferation.ndim:
            by_k = np.asarray(space.halo.summed(float(by_k.sum())))
        return Derivative(
            space.volumes_m3 * adjoint,
            by_diffusivity,
            by_k,
            space.halo.summed(self.log_alpha),
            np.asarray(space.halo.comm.allreduce(self.log_sensitivities)),
        )


class Operation(Protocol):
    """Event or time step that changes a density."""

    def apply(self, density: Values) -> Values:
        """Return the density after it, shape (n,)."""

    def linearised(self, density: Values) -> tuple[Values, Along]:
        """Return the density after it and its derivative there, for any number of blocks of directions. Collective."""

    def pull_back(self, density: Values, adjoint: Values, sums: Sums, moments: Moments) -> Values:
        """Return the adjoint state before it, and add to the gradient in place.

        Args:
            density: density before it, shape (n,).
            adjoint: adjoint state after it, over M, shape (n,).
            sums: sums of the gradient in all parameters but ln D.
            moments: sums of the gradient in ln D.
        """


@dataclass(frozen=True, slots=True)
class ReactionRates:
    """Rates of growth and death at given parameters.

    Attributes:
        proliferation_1_s: proliferation rate k, shape (n,) or ().
        capacity: largest density theta.
        courses: courses of drugs, d of them.
        sensitivities: sensitivity s to each drug, shape (d,).
    """

    proliferation_1_s: Values
    capacity: float
    courses: tuple[DrugCourse, ...]
    sensitivities: Values
    _kept: dict[float, Reaction] = field(default_factory=dict)

    def reaction(self, start_s: float, duration_s: float) -> Reaction:
        """Return the coefficients of an interval.

        Those without drugs are kept for reuse, since they depend on the interval's length alone.
        """
        end_s = start_s + duration_s
        if any(course.acts(start_s, end_s) for course in self.courses):
            return growth_under_drugs(
                start_s, end_s, self.proliferation_1_s, self.capacity, self.courses, self.sensitivities
            )
        if duration_s not in self._kept:
            if len(self._kept) >= _KEPT_REACTIONS:
                self._kept.clear()
            self._kept[duration_s] = growth(duration_s, self.proliferation_1_s, self.capacity, len(self.courses))
        return self._kept[duration_s]


@dataclass(frozen=True, slots=True)
class React:
    """Growth and death in place.

    Attributes:
        reaction_rates: rates of growth and death.
        start_s: beginning, seconds.
        duration_s: length, seconds.
    """

    reaction_rates: ReactionRates
    start_s: float
    duration_s: float

    def apply(self, density: Values) -> Values:
        """See Operation."""
        return self._reaction().apply(density)

    def linearised(self, density: Values) -> tuple[Values, Along]:
        """See Operation."""
        reaction = self._reaction()
        return reaction.apply(density), reaction.slopes(density).tangent

    def pull_back(self, density: Values, adjoint: Values, sums: Sums, moments: Moments) -> Values:  # noqa: ARG002
        """See Operation."""
        before, by_k, by_drug = self._reaction().slopes(density).pull_back(adjoint)
        sums.log_proliferation += by_k
        for course, some in enumerate(by_drug):
            sums.log_sensitivities[course] += float(sums.volumes_m3 @ some)
        return before

    def _reaction(self) -> Reaction:
        return self.reaction_rates.reaction(self.start_s, self.duration_s)


@dataclass(frozen=True, slots=True)
class Move:
    """Diffusion and the reaction after it, joined so that only the density before both is stored.

    Attributes:
        diffusion: diffusion with the current D.
        duration_s: length of the diffusion, seconds.
        react: reaction after the diffusion.
    """

    diffusion: Diffusion
    duration_s: float
    react: React

    def apply(self, density: Values) -> Values:
        """See Operation."""
        return self.react.apply(self.diffusion.step(density, self.duration_s))

    def linearised(self, density: Values) -> tuple[Values, Along]:
        """See Operation."""
        between, stages = self.diffusion.stages(density, self.duration_s)
        after, reacted = self.react.linearised(between)

        def along(change: Values, by: Directions) -> Values:
            moved = self.diffusion.tangent(stages, change, by.log_diffusivity, self.duration_s, by.log_volumes)
            return reacted(moved, by)

        return after, along

    def pull_back(self, density: Values, adjoint: Values, sums: Sums, moments: Moments) -> Values:
        """See Operation."""
        between, stages = self.diffusion.stages(density, self.duration_s, moments)
        adjoint = self.react.pull_back(between, adjoint, sums, moments)
        return self.diffusion.pull_back(stages, adjoint, self.duration_s, moments)


@dataclass(frozen=True, slots=True)
class Irradiate:
    """Fraction of radiotherapy: u -> S u, with d ln S / d ln alpha = ln S.

    Attributes:
        log_survival: logarithm ln S of the surviving share, shape (n,) or ().
    """

    log_survival: Values

    def apply(self, density: Values) -> Values:
        """See Operation."""
        return np.exp(self.log_survival) * density

    def linearised(self, density: Values) -> tuple[Values, Along]:
        """See Operation."""
        survival, after = np.exp(self.log_survival)[..., None], self.apply(density)
        by_alpha = (self.log_survival * after)[:, None]

        def along(change: Values, by: Directions) -> Values:
            moved = survival * change
            if by.log_alpha is not None:
                moved += by_alpha * by.log_alpha
            return moved

        return after, along

    def pull_back(self, density: Values, adjoint: Values, sums: Sums, moments: Moments) -> Values:  # noqa: ARG002
        """See Operation."""
        after = self.apply(density)
        sums.log_alpha += float(sums.volumes_m3 @ (adjoint * self.log_survival * after))
        return self.apply(adjoint)


@dataclass(frozen=True, slots=True)
class Resect:
    """Removal: u -> 0 in a region.

    Attributes:
        kept: whether tissue is left in each control volume, shape (n,).
    """

    kept: NDArray[np.bool_]

    def apply(self, density: Values) -> Values:
        """See Operation."""
        return density * self.kept

    def linearised(self, density: Values) -> tuple[Values, Along]:
        """See Operation."""
        return density * self.kept, lambda change, by: change * self.kept[:, None]  # noqa: ARG005

    def pull_back(self, density: Values, adjoint: Values, sums: Sums, moments: Moments) -> Values:  # noqa: ARG002
        """See Operation."""
        return adjoint * self.kept
