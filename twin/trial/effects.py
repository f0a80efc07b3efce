"""Effects of one arm against another, paired by patient, with intervals.

Every patient is in every arm and meets the same chances there, so that the effect is the mean of the patients' own
differences. Its variance is that of the differences over their number, less than that of two groups of as many
patients, and the ratio of both is stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from palpate.twin.events.times import PROGRESSION
from palpate.twin.trial.block import BlockOutcome, TrialPlan

type Values = NDArray[np.float64]

LEVEL: Final = 0.95
"""Probability of intervals."""
RESTRICTED: Final = "restricted_mean_days"
"""Outcome: time without an event until the last day, days."""
PROGRESSED: Final = "progressed"
"""Outcome: whether progression was the first event until the last day."""
HAZARD_RATIO: Final = "ln_hazard_ratio"
"""Outcome: logarithm of the ratio of hazards, by Cox's partial likelihood."""


@dataclass(frozen=True, slots=True)
class PairedEffect:
    """Effect of an arm against another.

    Attributes:
        arm: name of the arm.
        against: name of the arm with which it is compared.
        outcome: name of the outcome.
        unit: unit of the figures.
        estimate: mean over patients of arm less against.
        std: its standard error.
        lower: lower end of the 95 % interval.
        upper: upper end of the 95 % interval.
        variance_ratio: variance of the comparison of two groups of as many patients over the paired one's; NaN where it
            is not defined.
        patients: number of patients.
    """

    arm: str
    against: str
    outcome: str
    unit: str
    estimate: float
    std: float
    lower: float
    upper: float
    variance_ratio: float
    patients: int


def outcomes(plan: TrialPlan, found: BlockOutcome) -> dict[str, tuple[str, Values]]:
    """Return the outcomes that are compared by patient: unit and values, shape (arms, patients), by their names.

    Args:
        plan: the trial.
        found: outcome of all patients.
    """
    progressed = (found.kinds == PROGRESSION).astype(np.float64)
    volume = f"ln_{plan.volume}_day_{plan.volume_day}"
    return {RESTRICTED: ("days", found.days), PROGRESSED: ("share", progressed), volume: ("ln ml", found.log_ml)}


def paired(one: Values, other: Values) -> tuple[float, float, float, float, float]:
    """Return mean difference, standard error, both ends of the 95 % interval, and the variance ratio.

    Args:
        one: values of the patients in one arm, shape (patients,).
        other: values of the same patients in the other, shape (patients,).
    """
    gap, count = one - other, len(one)
    spread = float(gap.var(ddof=1))
    error = float(np.sqrt(spread / count))
    reach = float(stats.t.ppf(0.5 + 0.5 * LEVEL, count - 1)) * error
    apart = float(one.var(ddof=1) + other.var(ddof=1))
    middle = float(gap.mean())
    return middle, error, middle - reach, middle + reach, apart / spread if spread > 0.0 else float("nan")


def paired_shares(one: Values, other: Values) -> tuple[float, float, float, float, float]:
    """Return what `paired` does for values of 0 and 1, with an interval that holds for few differences.

    One patient is added to either kind of difference (Bonett and Price, J Educ Behav Stat 37 (2012) 479): where few
    patients differ, the interval of the mean difference is too narrow.

    Args:
        one: values of the patients in one arm, shape (patients,).
        other: values of the same patients in the other, shape (patients,).
    """
    middle, error, _, _, ratio = paired(one, other)
    more, fewer, count = float((one > other).sum()) + 1.0, float((one < other).sum()) + 1.0, len(one) + 2.0
    centre = (more - fewer) / count
    reach = float(stats.norm.ppf(0.5 + 0.5 * LEVEL)) * float(np.sqrt(((more + fewer) / count - centre**2) / count))
    return middle, error, centre - reach, centre + reach, ratio


def effects(plan: TrialPlan, found: BlockOutcome) -> tuple[PairedEffect, ...]:
    """Return the effects of every arm against every earlier one.

    Args:
        plan: the trial.
        found: outcome of all patients.
    """
    count, result = found.days.shape[1], []
    for before, after in combinations(range(len(plan.arms)), 2):
        names = plan.arms[after].name, plan.arms[before].name
        for outcome, (unit, values) in outcomes(plan, found).items():
            compared = paired_shares if outcome == PROGRESSED else paired
            result.append(PairedEffect(*names, outcome, unit, *compared(values[after], values[before]), count))
        ratio = log_hazard_ratio(found.days[[before, after]], found.kinds[[before, after]] == PROGRESSION)
        if ratio is not None:
            result.append(PairedEffect(*names, HAZARD_RATIO, "ln", *ratio, count))
    return tuple(result)


def log_hazard_ratio(days: Values, progressed: NDArray[np.bool_]) -> tuple[float, float, float, float, float] | None:
    """Return the logarithm of the hazard ratio of the second arm, with error, interval and variance ratio.

    Cox's partial likelihood with one covariate, ties by Breslow. The error is the robust one by patient: both arms hold
    the same patients (Lin and Wei, J Am Stat Assoc 84 (1989) 1074).

    Args:
        days: days of the first events, shape (2, patients).
        progressed: whether the event is progression, shape (2, patients).

    Returns:
        None where an arm has no event, or the likelihood has no maximum.
    """
    if not progressed.any(axis=1).all():
        return None
    count = days.shape[1]
    time, event, treated = days.ravel(), progressed.ravel(), np.repeat([0.0, 1.0], count)
    order = np.argsort(-time, kind="stable")
    time, event, treated = time[order], event[order], treated[order]
    last = np.searchsorted(-time, -time, side="right") - 1  # all who are at risk at a time stand up to there
    beta = 0.0
    for _ in range(50):
        weight = np.exp(beta * treated)
        at_risk, of_treated = np.cumsum(weight)[last], np.cumsum(weight * treated)[last]
        share = of_treated / at_risk
        information = float((share * (1.0 - share))[event].sum())
        if information <= 0.0:
            return None
        step = float((treated - share)[event].sum()) / information
        beta += float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-10:
            break
    else:
        return None
    # Score residuals: own event, less the expected one at all event times until the own time.
    each = np.where(event, 1.0 / at_risk, 0.0)
    ascending = np.cumsum(each[::-1])[::-1], np.cumsum((each * share)[::-1])[::-1]
    first = np.searchsorted(-time, -time, side="left")
    hazard, weighted = ascending[0][first], ascending[1][first]
    score = np.where(event, treated - share, 0.0) - weight * (treated * hazard - weighted)
    own = np.zeros(2 * count)
    own[order] = score
    by_patient = own.reshape(2, count).sum(axis=0)
    error = float(np.sqrt((by_patient**2).sum())) / information
    reach = float(stats.norm.ppf(0.5 + 0.5 * LEVEL)) * error
    apart = float((own**2).sum() / (by_patient**2).sum())
    return beta, error, beta - reach, beta + reach, apart


def arm_summaries(plan: TrialPlan, found: BlockOutcome) -> list[dict[str, object]]:
    """Return what happened in each arm, with intervals that come from the number of patients.

    Args:
        plan: the trial.
        found: outcome of all patients.
    """
    result: list[dict[str, object]] = []
    until = float(plan.settings.outcome.until_day)
    for at, arm in enumerate(plan.arms):
        days, kinds, volume = found.days[at], found.kinds[at], np.exp(found.log_ml[at])
        lost = _mean(until - days)
        result.append(
            {
                "name": arm.name,
                "fractions": len(arm.regimen.fractions),
                "dose_gy": float(sum(one.dose_gy for one in arm.regimen.fractions)),
                "drug_doses": len(arm.regimen.drug_doses),
                "operations": len(arm.regimen.operations),
                "progressed": _share(int((kinds == PROGRESSION).sum()), len(kinds)),
                "restricted_mean_days": _mean(days),
                "time_lost_days": lost,
                f"{plan.volume}_day_{plan.volume_day}": _median(volume),
            }
        )
    return result


def _mean(values: Values) -> dict[str, float]:
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    reach = float(stats.t.ppf(0.5 + 0.5 * LEVEL, len(values) - 1)) * error
    middle = float(values.mean())
    return {"mean": middle, "std": error, "lower": middle - reach, "upper": middle + reach}


def _share(count: int, total: int) -> dict[str, float]:
    found = stats.binomtest(count, total).proportion_ci(LEVEL, method="wilson")
    return {"mean": count / total, "lower": float(found.low), "upper": float(found.high)}


def _median(values: Values) -> dict[str, float]:
    """Return the median with its distribution-free interval, and the range that holds 95 % of patients."""
    ordered, count = np.sort(values), len(values)
    low = int(stats.binom.ppf(0.5 - 0.5 * LEVEL, count, 0.5))
    ends = ordered[max(low - 1, 0)], ordered[min(count - low, count - 1)]
    spread = np.quantile(values, [0.025, 0.975])
    named: Sequence[float] = (float(np.median(values)), *map(float, ends), *map(float, spread))
    return dict(zip(("median", "lower", "upper", "patients_lower", "patients_upper"), named, strict=True))
