"""Effect of doses of a drug on tumour cells over time: concentration in closed form, effect integrated exactly.

A dose m at time tau adds m sum_i c_i exp(-r_i (t - tau)) to the concentration (kg/m3, which is mg/mL). Cells die at the
rate s e(C), where the sensitivity s is inferred, with

    log-kill  e(C) = C             (s in m3/kg/s),
    Emax      e(C) = C / (EC50 + C)   (s in 1/s).

The exposure E(t), the integral of e from the beginning to t, has a closed form for log-kill, and for Emax with a single
exponential, where it is ln((EC50 + C(t0)) / (EC50 + C(t1))) / r between doses; otherwise it is integrated with Gauss
points between doses (quadrature.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.solvers.growth.mechanics.quadrature import cumulative, panels
from palpate.units import s_to_days

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pharmacokinetics:
    """Concentration after a dose of 1 kg, sum_i c_i exp(-r_i t).

    Attributes:
        coefficients_1_m3: coefficients c.
        rates_1_s: rates r, positive and distinct.
    """

    coefficients_1_m3: tuple[float, ...]
    rates_1_s: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse rates that are not positive or not one for each coefficient."""
        rates = np.array(self.rates_1_s)
        if len(rates) != len(self.coefficients_1_m3) or not len(rates) or not (rates > 0).all():
            raise ValueError("rates must be positive, one for each coefficient")


def one_compartment(
    volume_m3: float, elimination_1_s: float, absorption_1_s: float | None = None, bioavailability: float = 1.0
) -> Pharmacokinetics:
    """Return the pharmacokinetics of a well-mixed volume, filled at once or through first-order absorption.

    C = F ka / (V (ka - ke)) (exp(-ke t) - exp(-ka t)); without ka, C = F exp(-ke t) / V.

    Args:
        volume_m3: volume V.
        elimination_1_s: rate ke of elimination.
        absorption_1_s: rate ka of absorption; None for an injection.
        bioavailability: bioavailability F, share of the dose that is absorbed, 0..1.

    Raises:
        InputError: a constant is not positive, or ka equals ke.
    """
    _positive("pharmacokinetics", volume=volume_m3, elimination=elimination_1_s)
    injected = Pharmacokinetics((1.0 / volume_m3,), (elimination_1_s,))
    return absorbed(injected, absorption_1_s, bioavailability)


def two_compartment(volume_m3: float, elimination_1_s: float, out_1_s: float, back_1_s: float) -> Pharmacokinetics:
    """Return the pharmacokinetics of an injection into a central volume that exchanges with a peripheral one.

    With rates a > b, the roots of r^2 - (k10 + k12 + k21) r + k10 k21,
    C = ((a - k21) exp(-a t) + (k21 - b) exp(-b t)) / (V (a - b)).

    Args:
        volume_m3: volume V of the central compartment.
        elimination_1_s: rate k10 of elimination.
        out_1_s: rate k12 from the central to the peripheral compartment.
        back_1_s: rate k21 from the peripheral to the central compartment.

    Raises:
        InputError: a constant is not positive.
    """
    _positive("pharmacokinetics", volume=volume_m3, elimination=elimination_1_s, out=out_1_s, back=back_1_s)
    half = 0.5 * (elimination_1_s + out_1_s + back_1_s)
    fast = half + np.sqrt(half**2 - elimination_1_s * back_1_s)
    slow = elimination_1_s * back_1_s / fast  # the other root without cancellation
    scale = 1.0 / (volume_m3 * (fast - slow))
    return Pharmacokinetics(
        (float(scale * (fast - back_1_s)), float(scale * (back_1_s - slow))), (float(fast), float(slow))
    )


def absorbed(
    injected: Pharmacokinetics, absorption_1_s: float | None = None, bioavailability: float = 1.0
) -> Pharmacokinetics:
    """Return the pharmacokinetics of a drug that reaches the blood through first-order absorption.

    Each exponential c exp(-r t) of an injection becomes F c ka / (ka - r) (exp(-r t) - exp(-ka t)).

    Args:
        injected: pharmacokinetics of an injection.
        absorption_1_s: rate ka of absorption; None for an injection, of which a share F reaches the blood.
        bioavailability: bioavailability F, share of the dose that reaches the blood, 0..1.

    Raises:
        InputError: a constant is not positive, or ka equals a rate of the injection.
    """
    _positive("pharmacokinetics", bioavailability=bioavailability)
    shares = bioavailability * np.array(injected.coefficients_1_m3)
    if absorption_1_s is None:
        return Pharmacokinetics(tuple(shares.tolist()), injected.rates_1_s)
    _positive("pharmacokinetics", absorption=absorption_1_s)
    rates = np.array(injected.rates_1_s)
    if (np.abs(absorption_1_s - rates) < 1e-6 * rates).any():
        raise InputError(
            "pharmacokinetics",
            found="a rate of absorption that equals a rate of decline",
            expected="different ones",
            advice="Change the absorption by a thousandth.",
        )
    scaled = shares * absorption_1_s / (absorption_1_s - rates)
    return Pharmacokinetics((*scaled.tolist(), -float(scaled.sum())), (*injected.rates_1_s, absorption_1_s))


@dataclass(frozen=True, slots=True)
class LogKill:
    """Death in proportion to the concentration, e(C) = C."""

    def effect(self, concentration_kg_m3: Values) -> Values:
        """Return e(C), the rate of death but for the sensitivity."""
        return concentration_kg_m3


@dataclass(frozen=True, slots=True)
class Emax:
    """Death that saturates, e(C) = C / (EC50 + C).

    Attributes:
        half_kg_m3: concentration EC50 of half the largest effect.
    """

    half_kg_m3: float

    def __post_init__(self) -> None:
        """Refuse an EC50 that is not positive and finite."""
        _positive("pharmacodynamics", half_effect_concentration=self.half_kg_m3)

    def effect(self, concentration_kg_m3: Values) -> Values:
        """Return e(C), the rate of death but for the sensitivity."""
        return concentration_kg_m3 / (self.half_kg_m3 + concentration_kg_m3)


ACTS: Final = 45.0
"""Time after which nothing of a dose is left, over the time constant of the slowest decay: exp(-45) is below rounding.
"""


@dataclass(frozen=True, slots=True)
class DrugCourse:
    """Course of a drug: doses, kinetics and effect.

    Attributes:
        drug: name of the drug; there is one course for each.
        times_s: times of the doses, ascending, seconds, length d.
        amounts_kg: amounts of the doses, kilograms, length d.
        kinetics: pharmacokinetics, from dose to concentration.
        dynamics: pharmacodynamics, from concentration to the rate of death but for the sensitivity.
        radiosensitisation_m3_kg: radiosensitisation x: alpha becomes alpha (1 + x C) in a fraction at concentration C.
    """

    drug: str
    times_s: tuple[float, ...]
    amounts_kg: tuple[float, ...]
    kinetics: Pharmacokinetics
    dynamics: LogKill | Emax = LogKill()
    radiosensitisation_m3_kg: float = 0.0

    def __post_init__(self) -> None:
        """Refuse doses that cannot have been given.

        Raises:
            InputError: dates out of order, an amount that is negative, numbers that are not finite.
        """
        where = f"course of {self.drug}"
        if len(self.times_s) != len(self.amounts_kg):
            raise ValueError(f"{where}: {len(self.times_s)} times, {len(self.amounts_kg)} amounts")
        ordered(where, self.times_s)
        for amount in (*self.amounts_kg, self.radiosensitisation_m3_kg):
            if not 0.0 <= amount < np.inf:
                raise InputError(
                    where,
                    found=f"{amount}",
                    expected="amounts and sensitisation of at least zero",
                    advice="Correct the table of treatments.",
                )

    def acts(self, start_s: float, end_s: float) -> bool:
        """Return whether any of the drug is present in an interval, to rounding."""
        lasts_s = ACTS / min(self.kinetics.rates_1_s)
        return any(time_s < end_s and start_s < time_s + lasts_s for time_s in self.times_s)

    def concentration(self, times_s: Values) -> Values:
        """Return the concentration C at times, kg/m3, in their shape; at the time of a dose, this dose is included."""
        since = times_s[..., None] - np.array(self.times_s)
        given = np.where(since >= 0.0, np.array(self.amounts_kg), 0.0)
        since = np.maximum(since, 0.0)
        terms = zip(self.kinetics.coefficients_1_m3, self.kinetics.rates_1_s, strict=True)
        return np.asarray(sum((given * c * np.exp(-r * since)).sum(axis=-1) for c, r in terms))

    def exposure(self, start_s: float, times_s: Values) -> Values:
        """Return the integral of e(C) from a start to later times, in their shape; exact, and additive to rounding."""
        if isinstance(self.dynamics, LogKill):
            return self._area(times_s, start_s)
        if len(self.kinetics.rates_1_s) == 1:
            return self._saturating(start_s, times_s, self.dynamics)
        return cumulative(
            lambda at: self.dynamics.effect(self.concentration(at)),
            start_s,
            times_s,
            self.times_s,
            self.kinetics.rates_1_s,
        )

    def _area(self, times_s: Values, start_s: float) -> Values:
        """Area under the curve, sum over doses and exponentials."""
        doses = np.array(self.times_s)
        begin = np.maximum(start_s - doses, 0.0)
        end = np.maximum(times_s[..., None] - doses, begin)
        amounts = np.array(self.amounts_kg)
        terms = zip(self.kinetics.coefficients_1_m3, self.kinetics.rates_1_s, strict=True)
        # expm1: the difference of two exponentials would lose digits over short intervals.
        parts = (c / r * np.exp(-r * begin) * -np.expm1(-r * (end - begin)) for c, r in terms)
        return np.asarray(sum((amounts * part).sum(axis=-1) for part in parts))

    def _saturating(self, start_s: float, times_s: Values, emax: Emax) -> Values:
        """Emax and one exponential, interval by interval between doses."""
        rate = self.kinetics.rates_1_s[0]
        edges = np.unique([start_s, *(time_s for time_s in self.times_s if start_s < time_s), np.inf])
        total = np.zeros_like(times_s)
        for first, last in pairwise(edges):
            length = np.clip(times_s, first, last) - first
            at_first = float(self.concentration(np.array(first)))
            shrunk = -np.expm1(-rate * length) * at_first  # C(first) - C(end)
            total += -np.log1p(-shrunk / (emax.half_kg_m3 + at_first)) / rate
        return total


def reaction_panels(courses: Sequence[DrugCourse], start_s: float, end_s: float) -> Values:
    """Return the edges of Gauss panels on which the effect of every course is smooth, ascending, seconds."""
    edges = [panels(start_s, end_s, course.times_s, course.kinetics.rates_1_s) for course in courses]
    return np.unique(np.concatenate(edges))


def ordered(where: str, times_s: Sequence[float]) -> None:
    """Refuse times that are not finite or not ascending.

    Raises:
        InputError: a time is not finite, or earlier than the one before.
    """
    for before, after in zip((-np.inf, *times_s), times_s, strict=False):
        if not before <= after < np.inf:
            raise InputError(
                where,
                found=f"{s_to_days(after):g} d after {s_to_days(before):g} d",
                expected="dates in order",
                advice="Sort the table of treatments by date and look for mistyped dates.",
            )


def _positive(where: str, **constants: float) -> None:
    for name, value in constants.items():
        if not 0.0 < value < np.inf:
            raise InputError(
                where, found=f"{name} {value:g}", expected="a positive number", advice=f"Correct the {name}."
            )
