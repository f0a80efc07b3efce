"""Growth and death of cells in place, solved exactly: a logistic law under a drug is a Bernoulli equation.

    u' = k u (1 - u / theta) - sum_d s_d e_d(t) u     has the solution     u(t1) = a u(t0) / (1 + b u(t0)),

    a = exp(k (t1 - t0) - sum_d s_d E_d(t0, t1)),    b = (k / theta) I,
    I = integral over t0..t1 of exp(k (t - t0) - sum_d s_d E_d(t0, t)) dt.

Without a drug b = (exp(k tau) - 1) / theta. With one, I is integrated on Gauss panels that know the doses, and its
dependence on k, which varies over voxels, is summed as a Taylor series around the middle of its range.
Since a <= 1 + k I wherever no rate of death is negative, 0 <= u <= theta is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.growth.parameters import Directions
from palpate.solvers.growth.pharmacokinetics import Course, reaction_panels
from palpate.solvers.growth.quadrature import gauss

type Values = NDArray[np.float64]

_NEGLIGIBLE: Final = 1e-15


@dataclass(frozen=True, slots=True)
class Reaction:
    """Coefficients of u -> a u / (1 + b u) and their derivatives: fields of shape (n,), or () where k is one number.

    Attributes:
        factor: a.
        crowding: b.
        factor_by_k, crowding_by_k: derivatives by ln k.
        factor_by_drug, crowding_by_drug: derivatives by ln s_d, one for each course.
    """

    factor: Values
    crowding: Values
    factor_by_k: Values
    crowding_by_k: Values
    factor_by_drug: tuple[Values, ...]
    crowding_by_drug: tuple[Values, ...]

    def apply(self, density: Values) -> Values:
        """u(t1), shape (n,)."""
        return self.factor * density / (1.0 + self.crowding * density)

    def slopes(self, density: Values) -> Slopes:
        """Derivatives of u(t1).

        Args:
            density: u(t0), shape (n,).
        """
        return Slopes(
            self.factor / (1.0 + self.crowding * density) ** 2,
            self._by(density, self.factor_by_k, self.crowding_by_k),
            tuple(self._by(density, a, b) for a, b in zip(self.factor_by_drug, self.crowding_by_drug, strict=True)),
        )

    def _by(self, density: Values, factor_change: Values, crowding_change: Values) -> Values:
        """Change of u(t1) with changes of a and b."""
        share = density / (1.0 + self.crowding * density)
        return share * (factor_change - self.factor * crowding_change * share)


@dataclass(frozen=True, slots=True)
class Slopes:
    """Derivatives of u(t1) at every control volume, shape (n,) each.

    Attributes:
        by_density: by u(t0).
        by_k: by ln k.
        by_drug: by ln s_d, one for each course.
    """

    by_density: Values
    by_k: Values
    by_drug: tuple[Values, ...]

    def tangent(self, change: Values, by: Directions) -> Values:
        """Changes of u(t1) along a block of directions, shape (n, p).

        Args:
            change: of u(t0), shape (n, p).
            by: the directions.
        """
        total = self.by_density[:, None] * change
        if by.log_proliferation is not None:
            total += self.by_k[:, None] * by.log_proliferation
        if by.log_sensitivities is not None:
            for slope, log_drug in zip(self.by_drug, by.log_sensitivities, strict=True):
                total += slope[:, None] * log_drug
        return total

    def pull_back(self, adjoint: Values) -> tuple[Values, Values, tuple[Values, ...]]:
        """The transpose: adjoint of u(t0), and what ln k and each ln s_d get from every control volume, shape (n,)."""
        return adjoint * self.by_density, adjoint * self.by_k, tuple(adjoint * slope for slope in self.by_drug)


def growth(duration_s: float, proliferation_1_s: Values, capacity: float, courses: int) -> Reaction:
    """Logistic growth without a drug.

    Args:
        duration_s: tau.
        proliferation_1_s: k, shape (n,) or ().
        capacity: theta.
        courses: number of drugs, none of which is there.
    """
    exponent = proliferation_1_s * duration_s
    factor = np.exp(exponent)
    nothing = (np.zeros(()),) * courses
    by_k = exponent * factor
    return Reaction(factor, np.expm1(exponent) / capacity, by_k, by_k / capacity, nothing, nothing)


def growth_under_drugs(
    start_s: float,
    end_s: float,
    proliferation_1_s: Values,
    capacity: float,
    courses: Sequence[Course],
    sensitivities: Values,
) -> Reaction:
    """Logistic growth while drugs kill.

    Args:
        start_s: t0.
        end_s: t1.
        proliferation_1_s: k, shape (n,) or ().
        capacity: theta.
        courses: drugs.
        sensitivities: s, one for each course.
    """
    k, tau = proliferation_1_s, end_s - start_s
    times, weights = gauss(reaction_panels(courses, start_s, end_s))
    kills = [s * course.exposure(start_s, times) for s, course in zip(sensitivities, courses, strict=True)]
    at_end = [
        s * float(course.exposure(start_s, np.array(end_s))) for s, course in zip(sensitivities, courses, strict=True)
    ]
    factor = np.exp(k * tau - sum(at_end))
    middle = 0.5 * (float(k.min(initial=np.inf)) + float(k.max(initial=-np.inf))) if k.size else 0.0
    survival = weights * np.exp(middle * (times - start_s) - sum(kills))
    series = _Series(k - middle, times - start_s)
    integral, by_k = series.sums(survival)
    drugs = [series.sums(survival * kill)[0] for kill in kills]
    scale = k / capacity
    return Reaction(
        factor,
        scale * integral,
        k * tau * factor,
        scale * (integral + k * by_k),
        tuple(-kill * factor for kill in at_end),
        tuple(-scale * drug for drug in drugs),
    )


class _Series:
    """Sums over quadrature points f_q exp(x t_q) and f_q t_q exp(x t_q) for many x near zero."""

    def __init__(self, x: Values, times: Values) -> None:
        self._x = x
        reach = float(np.abs(x).max(initial=0.0)) * float(times.max(initial=0.0))
        powers, term = [np.ones_like(times)], 1.0
        while term * reach > 0.0 and (term > _NEGLIGIBLE or len(powers) < 2):
            powers.append(powers[-1] * times / len(powers))  # t^j / j!
            term *= reach / (len(powers) - 1)
        powers.append(powers[-1] * times / len(powers))
        self._powers = np.stack(powers)

    def sums(self, values: Values) -> tuple[Values, Values]:
        """The sum and its derivative by x, each of x's shape."""
        coefficients = self._powers @ values
        total, slope = np.zeros_like(self._x), np.zeros_like(self._x)
        for coefficient in coefficients[::-1]:  # Horner, value and derivative together
            slope = slope * self._x + total
            total = total * self._x + coefficient
        return total, slope
