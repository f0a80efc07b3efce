"""Growth and death of cells at the parameters of many draws, in closed form between events.

With the density u over its largest value, p, growth under drugs of concentrations C_d and sensitivities s_d is

    p' = k p (1 - p) - sum_d s_d C_d(t) p,

    p(t1) = a p / (1 + b p),     a = exp(k tau - sum_d K_d),     b = c + a - 1,
    c = integral over t0..t1 of K'(t) exp(k (t - t0) - K(t)) dt,     K(t) = sum_d s_d E_d(t0, t).

Without a drug c = 0. In the logit z = ln(p / (1 - p)) the same is z(t1) = z + ln a - ln(1 + c exp(z)). Since a > 0 and
c >= 0, p stays within 0..1. A fraction of dose d leaves the share exp(-alpha d (1 + x C + d / (alpha / beta))), with
x C summed over the drugs that sensitise.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.twin import TwinSettings
from palpate.solvers.growth.mechanics.quadrature import gauss
from palpate.solvers.growth.treatment.pharmacokinetics import ACTS, DrugCourse, reaction_panels
from palpate.twin.dynamics import CENTURY_DAYS, kills_1_g
from palpate.twin.pharmacology import course
from palpate.twin.priors import ALPHA, KILL, PROLIFERATION, Unknown, kill_prior
from palpate.twin.rungs.regimen import Regimen
from palpate.units import days_to_s, per_s_to_per_day, s_to_days

type Values = NDArray[np.float64]

DRIFT: Final = "proliferation_drift"
"""Name of the entry of the state with the drift b: the rate of growth is k exp(b)."""
PROLIFERATION_NOISE: Final = "ln k"
"""Name of the source of noise that moves the drift."""
_NODES: Final = 12
_POINTS: Final = np.polynomial.legendre.leggauss(24)
"""Gauss points and weights of an integral up to a time of each draw's own; they integrate exp(-40 t) over a day to
rounding."""
_SMOOTH: Final = 1.0
"""Largest exponent of growth and of kill in a piece for which _NODES nodes interpolate exponentials to rounding."""


@dataclass(frozen=True, slots=True)
class CellRates:
    """Rates of growth and death of every draw.

    Attributes:
        growth_1_day: rate k exp(b), 1/day, shape (draws,).
        alpha_1_gy: radiosensitivity alpha, 1/Gy, shape (draws,).
        kill_1_g: kill by one gram of each drug, 1/g, shape (draws, drugs).
        alpha_beta_gy: ratio alpha / beta, gray.
        courses: course of each drug, of those that were given.
        drugs: column of `kill_1_g` of each course.
        unit_kg_s_m3: exposure to one gram of each course's drug (pharmacology.gram_exposure).
    """

    growth_1_day: Values
    alpha_1_gy: Values
    kill_1_g: Values
    alpha_beta_gy: float
    courses: tuple[DrugCourse, ...]
    drugs: tuple[int, ...]
    unit_kg_s_m3: tuple[float, ...]

    def of(self, draws: NDArray[np.int64]) -> CellRates:
        """Return the rates of some draws.

        Args:
            draws: numbers of the draws, shape (some,).
        """
        return replace(
            self,
            growth_1_day=self.growth_1_day[draws],
            alpha_1_gy=self.alpha_1_gy[draws],
            kill_1_g=self.kill_1_g[draws],
        )

    def log_survival(self, dose_gy: Values, day: float) -> Values:
        """Return the logarithm of the surviving share after a fraction, shape (places, draws).

        Args:
            dose_gy: dose d at each place, gray, shape (places,).
            day: day of the fraction, at which drugs sensitise by what is left of them.
        """
        by_drugs = self.sensitisation(day)
        return -(dose_gy * (1.0 + by_drugs + dose_gy / self.alpha_beta_gy))[:, None] * self.alpha_1_gy

    def sensitisation(self, day: float) -> float:
        """Return the sum over drugs of x C, by which alpha is larger on a day."""
        at = np.array(days_to_s(day))
        acting = (one for one in self.courses if one.radiosensitisation_m3_kg > 0.0)
        return float(sum(one.radiosensitisation_m3_kg * float(one.concentration(at)) for one in acting))

    def acting(self, t0: float, t1: float) -> bool:
        """Return whether any drug is present between two days."""
        return any(course.acts(days_to_s(t0), days_to_s(t1)) for course in self.courses)

    def flow(self, t0: float, t1: float) -> tuple[Values, Values]:
        """Return ln a and c of the time between two days without an event, shape (draws,) each."""
        grown = self.growth_1_day * (t1 - t0)
        if not self.acting(t0, t1):
            return grown, np.zeros_like(grown)
        given = _exposures(self.courses, self.unit_kg_s_m3, t0, t1)
        kill = self.kill_1_g[:, list(self.drugs)]
        if len(self.courses) == 1 and grown.max() <= _SMOOTH and kill.max() * given.whole[0] <= _SMOOTH:
            by_growth = np.exp(np.multiply.outer(self.growth_1_day, given.nodes_days))
            by_kill = kill * np.exp(-kill * given.nodes_g)
            return grown - kill @ given.whole, np.einsum(
                "di,ij,dj->d", by_growth, given.table_g, by_kill, optimize=True
            )
        inner = np.multiply.outer(self.growth_1_day, given.since)
        inner -= kill @ given.until
        np.exp(inner, out=inner)
        inner *= kill @ given.rates
        return grown - kill @ given.whole, inner @ given.weights

    def faded_kill(self, t0: float, t1: float, fading_1_day: Values) -> Values:
        """Return the integral of K'(t) exp(-f (t1 - t)) over the time between two days, shape (draws,).

        Args:
            t0: first day.
            t1: last day, with no event in between.
            fading_1_day: rate f of each draw, 1/day, shape (draws,).
        """
        if not self.acting(t0, t1):
            return np.zeros_like(fading_1_day)
        given = _exposures(self.courses, self.unit_kg_s_m3, t0, t1)
        kill = self.kill_1_g[:, list(self.drugs)] @ given.rates
        fading = np.exp(-np.multiply.outer(fading_1_day, (t1 - t0) - given.since))
        return np.asarray((kill * fading) @ given.weights)

    def flow_to(self, t0: float, times: Values) -> tuple[Values, Values]:
        """Return ln a and c from a day to a time of each draw's own, shape (draws,) each.

        Args:
            t0: day of the beginning.
            times: time of each draw, from t0 on, with no dose of a drug in between, days, shape (draws,).
        """
        grown = self.growth_1_day * (times - t0)
        if not self.acting(t0, float(times.max(initial=t0))):
            return grown, np.zeros_like(grown)
        nodes, weights = _POINTS
        since = 0.5 * (times - t0)[:, None] * (1.0 + nodes)
        inner, total = self.growth_1_day[:, None] * since, self.log_kill(t0, times)
        rate, points_s = np.zeros_like(inner), days_to_s(t0 + since)
        for kill_1_g, given, unit in self._acting(t0, t0 + 1.0):
            inner -= kill_1_g[:, None] * (given.exposure(days_to_s(t0), points_s) / unit)
            now = given.dynamics.effect(given.concentration(points_s))
            rate += kill_1_g[:, None] * (days_to_s(now) / unit)
        return grown - total, 0.5 * (times - t0) * ((np.exp(inner) * rate) @ weights)

    def log_kill(self, t0: float, times: Values) -> Values:
        """Return the exponent K of the kill by all drugs from a day to a time of each draw's own, shape (draws,).

        Args:
            t0: day of the beginning.
            times: time of each draw, from t0 on, days, shape (draws,).
        """
        total = np.zeros_like(times)
        for kill_1_g, given, unit in self._acting(t0, float(times.max(initial=t0))):
            total += kill_1_g * (given.exposure(days_to_s(t0), days_to_s(times)) / unit)
        return total

    def kill_1_day(self, times: Values) -> Values:
        """Return the rate of the kill by all drugs at a time of each draw's own, 1/day, shape (draws,).

        Args:
            times: time of each draw, days, shape (draws,).
        """
        total = np.zeros_like(times)
        for kill_1_g, given, unit in self._acting(float(times.min(initial=np.inf)), float(times.max(initial=-np.inf))):
            now = given.dynamics.effect(given.concentration(days_to_s(times)))
            total += kill_1_g * (days_to_s(now) / unit)
        return total

    def kills_1_day(self, times: Values) -> Values:
        """Return the rate of the kill by all drugs of each draw at shared times, 1/day, shape (times, draws).

        Args:
            times: times, ascending, days, shape (times,).
        """
        total = np.zeros((len(times), len(self.growth_1_day)))
        for kill_1_g, given, unit in self._acting(float(times[0]), float(times[-1])):
            now = given.dynamics.effect(given.concentration(days_to_s(times)))
            total += np.multiply.outer(days_to_s(now) / unit, kill_1_g)
        return total

    def _acting(self, t0: float, t1: float) -> Iterator[tuple[Values, DrugCourse, float]]:
        """Yield kill by a gram, course and exposure to a gram of each drug that is present between two days.

        Of a course only the doses are kept that still act, to rounding.
        """
        for one, at, unit in zip(self.courses, self.drugs, self.unit_kg_s_m3, strict=True):
            lasts_s = ACTS / min(one.kinetics.rates_1_s)
            first = bisect_right(one.times_s, days_to_s(t0) - lasts_s)
            last = bisect_right(one.times_s, days_to_s(t1))
            if first < last:
                own = replace(one, times_s=one.times_s[first:last], amounts_kg=one.amounts_kg[first:last])
                yield self.kill_1_g[:, at], own, unit


@dataclass(frozen=True, slots=True)
class _Exposures:
    """Exposures over an interval, in grams: an exposure of one gram is that to one gram from dose to infinity.

    Attributes:
        since: Gauss points after the beginning, days, shape (q,).
        weights: weights of the Gauss points, days, shape (q,).
        rates: exposure a day at each point, grams a day, shape (drugs, q).
        until: exposure from the beginning to each point, grams, shape (drugs, q).
        whole: exposure over the interval, grams, shape (drugs,).
        nodes_days: Chebyshev nodes of the time since the beginning, days, shape (m,).
        nodes_g: Chebyshev nodes of the exposure to the first drug, grams, shape (m,).
        table_g: integral of the first drug's rate times both nodes' Lagrange polynomials, grams, shape (m, m). With it
            the integral of exp(k t - s E) over E takes 2 m exponentials instead of q.
    """

    since: Values
    weights: Values
    rates: Values
    until: Values
    whole: Values
    nodes_days: Values
    nodes_g: Values
    table_g: Values


@lru_cache(maxsize=4096)
def _exposures(courses: tuple[DrugCourse, ...], units: tuple[float, ...], t0: float, t1: float) -> _Exposures:
    start_s, end_s = days_to_s(t0), days_to_s(t1)
    times_s, weights_s = gauss(reaction_panels(courses, start_s, end_s))
    per = np.array(units)[:, None]
    rates = np.stack([one.dynamics.effect(one.concentration(times_s)) for one in courses]) / per
    until = np.stack([one.exposure(start_s, times_s) for one in courses]) / per
    whole = np.array([float(one.exposure(start_s, np.array(end_s))) for one in courses]) / np.array(units)
    since, weights, rates = s_to_days(times_s - start_s), s_to_days(weights_s), days_to_s(rates)
    nodes_days, by_time = _lagrange(since, t1 - t0)
    nodes_g, by_exposure = _lagrange(until[0], float(whole[0]))
    table = by_time.T @ ((weights * rates[0])[:, None] * by_exposure)
    return _Exposures(since, weights, rates, until, whole, nodes_days, nodes_g, table)


def _lagrange(points: Values, length: float) -> tuple[Values, Values]:
    """Return Chebyshev nodes of 0..length, shape (m,), and their Lagrange polynomials at points, shape (points, m)."""
    angles = np.pi * (np.arange(_NODES) + 0.5) / _NODES
    orders = np.arange(_NODES)
    if length <= 0.0:  # less than the smallest number of an exposure
        return np.zeros(_NODES), np.full((len(points), _NODES), 1.0 / _NODES)
    at = np.arccos(np.clip(2.0 * points / length - 1.0, -1.0, 1.0))
    scale = np.where(orders, 2.0, 1.0) / _NODES
    values = np.cos(np.multiply.outer(at, orders)) * scale @ np.cos(np.multiply.outer(orders, angles))
    return 0.5 * length * (1.0 + np.cos(angles)), values


def cell_priors(first: Sequence[Unknown], settings: TwinSettings) -> tuple[Unknown, ...]:
    """Return parameters, followed by the radiosensitivity and the kill by every drug of the settings.

    A small rung has them whether the treatment was given or not, since it may be planned.

    Args:
        first: parameters of growth.
        settings: settings of the twin, with the priors.
    """
    alpha = Unknown(ALPHA, float(np.log(settings.alpha_1_gy.median)), settings.alpha_1_gy.log_std)
    return (*first, alpha, *(kill_prior(drug, settings) for drug in sorted(settings.drugs)))


def natural(parameters: Sequence[Unknown], theta: Values, name: str) -> Values:
    """Return one parameter of every draw, in its own unit, shape (draws,).

    Args:
        parameters: parameters in the order of theta.
        theta: parameters as standard normal numbers, shape (draws, parameters).
        name: name of the parameter.
    """
    at = [one.name for one in parameters].index(name)
    return parameters[at].natural(parameters[at].mean + parameters[at].std * theta[:, at])


def cell_rates(
    parameters: Sequence[Unknown], theta: Values, drift: Values, u: Regimen, settings: TwinSettings
) -> CellRates:
    """Return the rates of every draw.

    Args:
        parameters: parameters in the order of theta.
        theta: parameters as standard normal numbers, shape (draws, parameters).
        drift: drift b, shape (draws,).
        u: treatment.
        settings: settings of the twin.

    Raises:
        InputError: a drug is not in the settings.
    """
    names = tuple(sorted(settings.drugs))
    for drug in u.drugs:
        kill_prior(drug, settings)
    kills = [natural(parameters, theta, KILL + drug) for drug in names]
    return CellRates(
        per_s_to_per_day(natural(parameters, theta, PROLIFERATION)) * np.exp(drift),
        natural(parameters, theta, ALPHA),
        np.stack(kills, axis=1) if kills else np.zeros((len(theta), 0)),
        settings.alpha_beta_gy,
        tuple(course(drug, u.doses_of(drug), settings.drugs[drug]) for drug in u.drugs),
        tuple(names.index(drug) for drug in u.drugs),
        tuple(map(float, kills_1_g(u.drugs, settings))),
    )


def drifted(drift: Values, noise: Values, days: float, settings: TwinSettings) -> tuple[Values, Values]:
    """Return the drift within a step and at its end, shape (draws,) each.

    Within the step it is the mean of a Brownian motion whose ends are known, the middle of both.

    Args:
        drift: drift b at the beginning, shape (draws,).
        noise: increment of the Brownian motion over the root of the step's length, shape (draws,).
        days: length of the step.
        settings: settings of the twin, with the drift after a hundred days.
    """
    moved = settings.proliferation_log_std_per_100_days * np.sqrt(days / CENTURY_DAYS) * noise
    return drift + 0.5 * moved, drift + moved
