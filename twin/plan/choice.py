"""Answer of a plan: the schedule that is named, or the reason why none is.

A schedule is better than standard care where it keeps the limits and its paired gain in time is more than chance and
more than MEANINGFUL_DAYS. Where the images do not tell alpha, or the twin is out of step with the patient, there is no
personal optimum: schedules are compared under the population's prior, or standard care is named. Where standard care
does not keep the limits, the best schedule that does is named, by the population where alpha is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.plan.candidates import Candidate
from palpate.twin.plan.outcome import Waiting
from palpate.twin.priors import ALPHA

type Values = NDArray[np.float64]

MEANINGFUL_DAYS: Final = 1.0
"""Least mean gain in time that is called one, days: no visit tells a day."""
_TWO_ERRORS: Final = 2.0


class PlanAnswer(StrEnum):
    """Kind of the answer."""

    BETTER = "a schedule is better than standard care"
    WITHIN_LIMITS = "standard care does not keep the limits: the best schedule that does"
    NOTHING_TO_GAIN = "nothing to gain"
    UNIDENTIFIED = "alpha is unidentified: no personal optimum"
    OUT_OF_STEP = "the twin is out of step with the patient: standard care"


@dataclass(frozen=True, slots=True)
class Gain:
    """Paired gain in time over standard care.

    Attributes:
        mean: mean over draws, days.
        lower: 2.5 % quantile over draws, days.
        upper: 97.5 % quantile over draws, days.
        error: standard error of the mean that comes from the number of draws, days.
    """

    mean: float
    lower: float
    upper: float
    error: float

    @property
    def real(self) -> bool:
        """Whether the mean is more than chance and than MEANINGFUL_DAYS."""
        return self.mean > max(MEANINGFUL_DAYS, _TWO_ERRORS * self.error)


@dataclass(frozen=True, slots=True)
class Choice:
    """Answer of a plan.

    Attributes:
        answer: kind of the answer.
        chosen: number of the schedule that is named: standard care where nothing is gained.
        personal: number of the best schedule by the patient's draws.
        one_size: number of the best schedule by the population.
        equal_load: number of the best schedule by the patient's draws with no larger load than standard care.
        front: numbers of the schedules that no other one beats in both time and load of organs, by load.
        scan_days: largest mean gain that knowing alpha and all else exactly would bring, days: no scan in the middle of
            the course can be worth more.
        standard_keeps: whether standard care itself keeps the limits.
    """

    answer: PlanAnswer
    chosen: int
    personal: int
    one_size: int
    equal_load: int
    front: tuple[int, ...]
    scan_days: float
    standard_keeps: bool


def gain(times: Values, number: int, standard: int = 0) -> Gain:
    """Return the paired gain of a schedule over standard care.

    Args:
        times: times without progression, days, shape (schedules, draws).
        number: number of the schedule.
        standard: number of standard care.
    """
    apart = times[number] - times[standard]
    lower, upper = np.quantile(apart, [0.025, 0.975])
    error = float(apart.std(ddof=1)) / float(np.sqrt(len(apart)))
    return Gain(float(apart.mean()), float(lower), float(upper), error)


def choose(schedules: Sequence[Candidate], times: Waiting, chance: float, *, identified: bool, in_step: bool) -> Choice:
    """Return the answer of a plan.

    Args:
        schedules: schedules, standard care first.
        times: times without progression under each.
        chance: probability with which limits must hold.
        identified: whether the images tell the patient's alpha.
        in_step: whether the patient's scans were as the twin predicted, on the recorded dates.
    """
    keeps = [at for at, one in enumerate(schedules) if one.holds(chance)]
    patient, population = times.patient.mean(axis=1), times.population.mean(axis=1)
    personal, one_size = _best(keeps, patient, schedules), _best(keeps, population, schedules)
    lighter = [at for at in keeps if schedules[at].load <= schedules[0].load * (1.0 + 1e-12)]
    equal = _best(lighter, patient, schedules) if lighter else personal
    known = float(times.patient[keeps].max(axis=0).mean() - patient[personal])
    usual = schedules[0].holds(chance)
    if not in_step:
        answer, chosen = PlanAnswer.OUT_OF_STEP, 0
    elif not identified:
        answer, chosen = PlanAnswer.UNIDENTIFIED, 0 if usual else one_size
    elif not usual:
        answer, chosen = PlanAnswer.WITHIN_LIMITS, personal
    elif gain(times.patient, personal).real:
        answer, chosen = PlanAnswer.BETTER, personal
    else:
        answer, chosen = PlanAnswer.NOTHING_TO_GAIN, 0
    return Choice(answer, chosen, personal, one_size, equal, _front(keeps, patient, schedules), known, usual)


def alpha_identified(calibration: Calibration) -> bool:
    """Return whether the images tell the patient's alpha.

    Args:
        calibration: calibration of the tumour.
    """
    return any(one.name == ALPHA and one.identified for one in calibration.estimates())


def _best(among: Sequence[int], mean_days: Values, schedules: Sequence[Candidate]) -> int:
    """Return the schedule with the longest mean time; of equal ones, that with the smallest load of organs."""
    return max(among, key=lambda at: (round(float(mean_days[at]), 9), -schedules[at].load))


def _front(among: Sequence[int], mean_days: Values, schedules: Sequence[Candidate]) -> tuple[int, ...]:
    """Return the schedules that no other one beats in both time and load, by ascending load."""
    found: list[int] = []
    for at in sorted(among, key=lambda at: (schedules[at].load, -float(mean_days[at]))):
        if not found or mean_days[at] > mean_days[found[-1]]:
            found.append(at)
    return tuple(found)
