"""Differences of an effect between patients by covariates of day 0, and a test of whether there are any.

Patients are split in two halves. A forest that was grown on one half predicts the effects of the other, and there the
patients' own differences are regressed on the prediction: a slope above zero says that the covariates tell who gains.
Each half has a test that is valid whatever the other half's forest is, so that twice the smaller p-value is one for
both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from palpate.twin.trial.effects import LEVEL
from palpate.twin.trial.forest import honest_forest

type Values = NDArray[np.float64]

FEWEST: Final = 60
"""Least number of patients for which a forest is grown."""
GROUPS: Final = 4
"""Number of groups of equal size by predicted effect."""
THIRDS: Final = 3
"""Number of groups of equal size by each covariate."""


@dataclass(frozen=True, slots=True)
class EffectGroup:
    """Effect in one group of patients.

    Attributes:
        kind: "predicted" for groups by the forest's prediction, "covariate" for groups by one covariate.
        name: name of the covariate, or "predicted effect".
        low: lowest value in the group, in its own unit.
        high: highest value in the group.
        patients: number of patients.
        estimate: mean effect.
        std: its standard error.
        lower: lower end of the 95 % interval.
        upper: upper end of the 95 % interval.
    """

    kind: str
    name: str
    low: float
    high: float
    patients: int
    estimate: float
    std: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, eq=False)
class Heterogeneity:
    """Differences of one effect between patients.

    Attributes:
        p_value: probability of such a finding where the effect does not depend on the covariates.
        slope: regression of effects on the forest's predictions, mean of both halves: 1 where it predicts well.
        groups: effects by group.
        importance: share of each covariate in the forests' splits, by name.
    """

    p_value: float
    slope: float
    groups: tuple[EffectGroup, ...]
    importance: dict[str, float]


def heterogeneity(names: Sequence[str], covariates: Values, effect: Values, seed: int) -> Heterogeneity | None:
    """Return how an effect differs between patients; None for fewer than FEWEST patients or without covariates.

    Args:
        names: names of the covariates.
        covariates: covariates of day 0, shape (patients, covariates).
        effect: difference of each patient between two arms, shape (patients,).
        seed: seed of the split and the forests.
    """
    if len(effect) < FEWEST or not names:
        return None
    rng = np.random.default_rng([seed, 2026])
    halves = np.array_split(rng.permutation(len(effect)), 2)
    predicted, tests, importance = np.zeros(len(effect)), [], np.zeros(len(names))
    for mine, others in (halves, halves[::-1]):
        forest = honest_forest(covariates[others], effect[others], rng)
        predicted[mine] = forest.predict(covariates[mine])
        tests.append(_slope(predicted[mine], effect[mine]))
        importance += 0.5 * forest.importance
    p = min(1.0, 2.0 * min(p for _, p in tests))
    groups = _groups("predicted", "predicted effect", predicted, effect, GROUPS)
    for at, name in enumerate(names):
        groups += _groups("covariate", name, covariates[:, at], effect, THIRDS)
    slope = float(np.mean([slope for slope, _ in tests]))
    return Heterogeneity(p, slope, tuple(groups), dict(zip(names, map(float, importance), strict=True)))


def _slope(predicted: Values, effect: Values) -> tuple[float, float]:
    """Return the regression slope and the one-sided p-value of a slope of zero, robust to unequal variances (HC3)."""
    away = predicted - predicted.mean()
    total = float((away**2).sum())
    if total <= 0.0:
        return 0.0, 1.0
    slope = float((away * effect).sum()) / total
    residual = effect - effect.mean() - slope * away
    leverage = 1.0 / len(effect) + away**2 / total
    error = float(np.sqrt(((away * residual / (1.0 - np.minimum(leverage, 0.99))) ** 2).sum())) / total
    return slope, float(stats.t.sf(slope / error, len(effect) - 2)) if error > 0.0 else 1.0


def _groups(kind: str, name: str, by: Values, effect: Values, count: int) -> list[EffectGroup]:
    """Return the mean effect in groups of equal size by a value."""
    found = []
    for mine in np.array_split(np.argsort(by, kind="stable"), count):
        own = effect[mine]
        error = float(own.std(ddof=1) / np.sqrt(len(own)))
        reach = float(stats.t.ppf(0.5 + 0.5 * LEVEL, len(own) - 1)) * error
        middle, low, high = float(own.mean()), float(by[mine].min()), float(by[mine].max())
        found.append(EffectGroup(kind, name, low, high, len(own), middle, error, middle - reach, middle + reach))
    return found
