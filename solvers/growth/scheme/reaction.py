"""Growth and death of cells in place, solved exactly: a logistic law under a drug is a Bernoulli equation.

    u' = k u (1 - u / theta) - sum_d s_d e_d(t) u     has the solution     u(t1) = a u(t0) / (1 + b u(t0)),

    a = exp(k (t1 - t0) - sum_d s_d E_d(t0, t1)),    b = (k / theta) I,
    I = integral over t0..t1 of exp(k (t - t0) - sum_d s_d E_d(t0, t)) dt.

Without a drug b = (exp(k tau) - 1) / theta. With one, I is integrated on Gauss panels placed after the doses, and its
dependence on k, which varies over voxels, is summed as a Taylor series around the middle of its range.
Since a <= 1 + k I wherever no rate of death is negative, 0 <= u <= theta is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.polynomial.polynomial import polyder
from numpy.typing import NDArray

from palpate.solvers.growth.mechanics.quadrature import gauss
from palpate.solvers.growth.parameters import Directions
from palpate.solvers.growth.treatment.pharmacokinetics import DrugCourse, reaction_panels

type Values = NDArray[np.float64]

_NEGLIGIBLE: Final = 1e-15


@dataclass(frozen=True, slots=True)
class Changes:
    """Derivatives of ln a and b: fields of shape (n,), or () where k is one number.

    Attributes:
        growth_by_k, crowding_by_k: derivatives of ln a and b by ln k.
        growth_by_drug, crowding_by_drug: derivatives of ln a and b by ln s_d, one for each course.
    """

    growth_by_k: Values
    crowding_by_k: Values
    growth_by_drug: tuple[float, ...]
    crowding_by_drug: tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class Reaction:
    """Coefficients of u -> a u / (1 + b u): fields of shape (n,), or () where k is one number.

    Attributes:
        factor: factor a.
        crowding: coefficient b of crowding.
        changes: function that returns the derivatives of both; it is called on demand, since a forecast needs none.
    """

    factor: Values
    crowding: Values
    changes: Callable[[], Changes]

    def apply(self, density: Values) -> Values:
        """Return u(t1), shape (n,).

        Args:
            density: density u(t0), shape (n,).
        """
        after, left = self.factor * density, self.crowding * density
        left += 1.0
        after /= left
        return after

    def slopes(self, density: Values) -> Slopes:
        """Return derivatives of u(t1) = a u / (1 + b u), from those of ln a and b.

        Args:
            density: density u(t0), shape (n,).
        """
        by, crowded = self.changes(), self.crowding * density
        crowded += 1.0
        share, by_density = density / crowded, self.factor / crowded
        after = self.factor * share
        by_density /= crowded

        def changed(growth: Values | float, crowding: Values) -> Values:
            slope = share * crowding
            np.subtract(growth, slope, out=slope)
            slope *= after
            return slope

        return Slopes(
            by_density,
            changed(by.growth_by_k, by.crowding_by_k),
            tuple(changed(a, b) for a, b in zip(by.growth_by_drug, by.crowding_by_drug, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Slopes:
    """Derivatives of u(t1) at every control volume, shape (n,) each.

    Attributes:
        by_density: derivative by u(t0).
        by_k: derivative by ln k.
        by_drug: derivatives by ln s_d, one for each course.
    """

    by_density: Values
    by_k: Values
    by_drug: tuple[Values, ...]

    def tangent(self, change: Values, by: Directions) -> Values:
        """Return the changes of u(t1) along a block of directions, shape (n, p).

        Args:
            change: changes of u(t0), shape (n, p).
            by: block of directions.
        """
        total = self.by_density[:, None] * change
        if by.log_proliferation is not None:
            total += self.by_k[:, None] * by.log_proliferation
        if by.log_sensitivities is not None:
            for slope, log_drug in zip(self.by_drug, by.log_sensitivities, strict=True):
                total += slope[:, None] * log_drug
        return total

    def pull_back(self, adjoint: Values) -> tuple[Values, Values, tuple[Values, ...]]:
        """Return the adjoint of u(t0), and the contributions to the derivatives by ln k and each ln s_d, shape (n,)."""
        return adjoint * self.by_density, adjoint * self.by_k, tuple(adjoint * slope for slope in self.by_drug)


def growth(duration_s: float, proliferation_1_s: Values, capacity: float, courses: int) -> Reaction:
    """Return the coefficients of logistic growth without a drug.

    Args:
        duration_s: duration tau, seconds.
        proliferation_1_s: proliferation rate k, shape (n,) or ().
        capacity: largest density theta.
        courses: number of drugs, none of which is present.
    """
    exponent = proliferation_1_s * duration_s
    factor = np.exp(exponent)

    def changes() -> Changes:
        return Changes(exponent, exponent * factor / capacity, (0.0,) * courses, (np.zeros(()),) * courses)

    return Reaction(factor, np.expm1(exponent) / capacity, changes)


def growth_under_drugs(
    start_s: float,
    end_s: float,
    proliferation_1_s: Values,
    capacity: float,
    courses: tuple[DrugCourse, ...],
    sensitivities: Values,
) -> Reaction:
    """Return the coefficients of logistic growth while drugs kill cells.

    Args:
        start_s: beginning t0, seconds.
        end_s: end t1, seconds.
        proliferation_1_s: proliferation rate k, shape (n,) or ().
        capacity: largest density theta.
        courses: courses of drugs.
        sensitivities: sensitivity s to each course's drug, shape (d,).
    """
    k, exponent = proliferation_1_s, proliferation_1_s * (end_s - start_s)
    given = _exposures(courses, start_s, end_s)
    kills = [s * one for s, one in zip(sensitivities, given.until, strict=True)]
    at_end = [s * one for s, one in zip(sensitivities, given.whole, strict=True)]
    series = _Series(k, given.since_s)
    survival = given.weights_s * np.exp(series.middle * given.since_s - sum(kills))
    scale = k / capacity
    crowding = series.total(survival)
    crowding *= scale

    def changes() -> Changes:
        by_k = series.slope(survival)
        by_k *= k
        by_k *= scale
        by_k += crowding
        by_drug = tuple(scale * series.total(-survival * kill) for kill in kills)
        return Changes(exponent, by_k, tuple(-kill for kill in at_end), by_drug)

    return Reaction(np.exp(exponent - sum(at_end)), crowding, changes)


@dataclass(frozen=True, slots=True)
class _Exposures:
    """Exposures to drugs over an interval, which its integral needs whatever the sensitivities are.

    Attributes:
        since_s: Gauss points after the interval's beginning, shape (q,).
        weights_s: weights of the Gauss points, shape (q,).
        until: exposure to each drug from the beginning to each point, shape (q,) each.
        whole: exposure to each drug from the beginning to the end.
    """

    since_s: Values
    weights_s: Values
    until: tuple[Values, ...]
    whole: tuple[float, ...]


@lru_cache(maxsize=1024)
def _exposures(courses: tuple[DrugCourse, ...], start_s: float, end_s: float) -> _Exposures:
    """Return the exposures; they are kept, since every draw and every step of a calibration uses the same intervals."""
    times, weights = gauss(reaction_panels(courses, start_s, end_s))
    until = tuple(course.exposure(start_s, times) for course in courses)
    whole = tuple(float(course.exposure(start_s, np.array(end_s))) for course in courses)
    return _Exposures(times - start_s, weights, until, whole)


class _Series:
    """Sums over quadrature points f_q exp((k - middle) t_q) for many k near their middle."""

    def __init__(self, k: Values, times: Values) -> None:
        low, high = (float(k.min()), float(k.max())) if k.size else (0.0, 0.0)
        self.middle = 0.5 * (low + high)
        self._x = k - self.middle
        reach = 0.5 * (high - low) * float(times.max(initial=0.0))
        powers, term = [np.ones_like(times)], 1.0
        while term * reach > 0.0 and (term > _NEGLIGIBLE or len(powers) < 2):
            powers.append(powers[-1] * times / len(powers))  # t^j / j!
            term *= reach / (len(powers) - 1)
        powers.append(powers[-1] * times / len(powers))
        self._powers = np.stack(powers)

    def total(self, values: Values) -> Values:
        """Return the sum, in the shape of k."""
        return self._polynomial(self._powers @ values)

    def slope(self, values: Values) -> Values:
        """Return the derivative of the sum by k, in the shape of k."""
        return self._polynomial(polyder(self._powers @ values))

    def _polynomial(self, coefficients: NDArray[np.floating]) -> Values:
        """Horner's scheme in one array: NumPy's takes two more for every coefficient."""
        value = np.full(self._x.shape, coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value *= self._x
            value += coefficient
        return value
