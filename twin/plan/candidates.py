"""Schedules that a plan compares: numbers of fractions, doses and first days, with the organs' part in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from palpate.config.limits import LimitsSettings
from palpate.errors import InputError
from palpate.twin.plan.organ_dose import OrganDose
from palpate.twin.rungs.regimen import DatedFraction, Regimen

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Candidate:
    """One schedule of radiotherapy.

    Attributes:
        fractions: number n of fractions.
        dose_gy: dose d of a fraction, Gy.
        first_day: day of the first fraction, from the last scan on.
        days_a_week: fractions a week.
        chances: probability that each organ's limit holds, in the order of the organs.
        loads: each organ's dose over its limit, which it stays below with the chance that is asked for.
    """

    fractions: int
    dose_gy: float
    first_day: int
    days_a_week: int
    chances: tuple[float, ...]
    loads: tuple[float, ...]

    @property
    def name(self) -> str:
        """Name of the schedule, such as "30x2-day0"."""
        return f"{self.fractions}x{self.dose_gy:g}-day{self.first_day}"

    @property
    def load(self) -> float:
        """Largest load of an organ."""
        return max(self.loads)

    def holds(self, chance: float) -> bool:
        """Return whether every limit holds with a chance."""
        return min(self.chances) >= chance

    def days(self) -> tuple[int, ...]:
        """Return the days of the fractions, from the last scan on."""
        week, day = self.days_a_week, self.first_day
        return tuple(day + _WEEK * (number // week) + number % week for number in range(self.fractions))

    def regimen(self, tumour: DatedFraction, others: Regimen) -> Regimen:
        """Return the treatment: these fractions, and the drugs and operations that stay.

        Args:
            tumour: fraction of the prescription as the tumour gets it, by radius.
            others: planned treatment without its fractions, days from the last scan on.
        """
        scaled = replace(
            tumour,
            dose_gy=tumour.dose_gy * self.dose_gy,
            doses_gy=tuple(one * self.dose_gy for one in tumour.doses_gy),
        )
        given = tuple(replace(scaled, day=float(day)) for day in self.days())
        return Regimen(given, others.drug_doses, others.operations)


def candidate(
    limits: LimitsSettings, organs: Sequence[OrganDose], fractions: int, dose_gy: float, first_day: int
) -> Candidate:
    """Return one schedule with the organs' part in it.

    Args:
        limits: limits of the plan.
        organs: organs with their relative doses.
        fractions: number of fractions.
        dose_gy: dose of a fraction, Gy.
        first_day: day of the first fraction, from the last scan on.
    """
    chances = tuple(one.chance(fractions, dose_gy) for one in organs)
    loads = tuple(one.load(fractions, dose_gy, limits.chance) for one in organs)
    return Candidate(fractions, dose_gy, first_day, limits.days_a_week, chances, loads)


def candidates(limits: LimitsSettings, organs: Sequence[OrganDose]) -> tuple[Candidate, ...]:
    """Return all schedules that are compared, the standard one first.

    Args:
        limits: limits of the plan.
        organs: organs with their relative doses.

    Raises:
        InputError: a course would end after the last day that counts, or no schedule keeps the limits.
    """
    usual = limits.standard
    asked = [(usual.fractions, usual.dose_gy, usual.first_day)]
    asked += [(n, d, day) for n in limits.fractions for d in limits.dose_gy for day in limits.days]
    found = tuple(candidate(limits, organs, *one) for one in dict.fromkeys(asked))
    late = next((one for one in found if one.days()[-1] >= limits.until_day), None)
    if late is not None:
        raise InputError(
            "until_day",
            found=f"day {limits.until_day}, before the end of {late.name} on day {late.days()[-1]}",
            expected="a day after every course",
            advice="Take fewer fractions, or a later until_day.",
        )
    if not any(one.holds(limits.chance) for one in found):
        least = max(found, key=lambda one: min(one.chances))
        at = least.chances.index(min(least.chances))
        raise InputError(
            "limits",
            found=f"no schedule that keeps them; {organs[at].limit.name} binds: {least.name} keeps its limit with "
            f"probability {least.chances[at]:.2f}",
            expected=f"at least one schedule that keeps every limit with probability {limits.chance:g}",
            advice="Allow fewer fractions or smaller doses, or check the organ, its dose and its limit.",
        )
    return found
