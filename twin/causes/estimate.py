"""Effects of a treatment on history: contrast, back-door adjustment, g-formula, and what a hidden cause would need.

Back door: the outcome is regressed on the treatment, the covariates less their means, and their products with it; the
coefficient of the treatment is the mean effect over all patients (Lin, Ann Appl Stat 7 (2013) 295). Errors are robust,
and by subject where a subject has several rows.

G-formula for several decisions: from the last decision back, the outcome is regressed on history and decision, and its
prediction at the decision of a plan is the outcome of the decision before (iterated conditional expectations; Robins,
Math Modelling 7 (1986) 1393; Bang and Robins, Biometrics 61 (2005) 962).

E-value: least association, as a risk ratio, that a hidden cause needs with both treatment and outcome to explain an
effect away, RR + sqrt(RR (RR - 1)), with RR = exp(0.91 d) for an effect of d standard deviations of the outcome
(VanderWeele and Ding, Ann Intern Med 167 (2017) 268).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CausalEstimate:
    """Effect of a treatment, treated less untreated, or for one unit more of it.

    Attributes:
        estimate: effect in the outcome's unit.
        std: its standard error.
        lower: lower end of the 95 % interval.
        upper: upper end of the 95 % interval.
    """

    estimate: float
    std: float
    lower: float
    upper: float


def adjusted(
    treatment: Values, outcome: Values, covariates: Values, subjects: NDArray[np.int64] | None = None
) -> CausalEstimate:
    """Return the effect with covariates held fixed; without covariates the plain contrast.

    Args:
        treatment: treatment, shape (rows,).
        outcome: outcome, shape (rows,).
        covariates: covariates, shape (rows, covariates); none has zero columns.
        subjects: number of the subject of each row, shape (rows,); None where each row is a subject.

    Raises:
        ValueError: the treatment, or the covariates, leave the effect undetermined.
    """
    away = covariates - covariates.mean(axis=0)
    design = np.column_stack([np.ones(len(treatment)), treatment, away, treatment[:, None] * away])
    coefficients, covariance, count = _least_squares(design, outcome, subjects)
    error = float(np.sqrt(covariance[1, 1]))
    reach = float(stats.t.ppf(0.975, max(count - design.shape[1], 1))) * error
    middle = float(coefficients[1])
    return CausalEstimate(middle, error, middle - reach, middle + reach)


def g_formula(
    histories: Sequence[Values], decisions: Sequence[Values], outcome: Values, plan: Sequence[float]
) -> float:
    """Return the mean outcome under a plan of decisions.

    Args:
        histories: columns that each decision could depend on, in order, those of earlier decisions included, shape
            (patients, columns) each.
        decisions: decisions, shape (patients,) each.
        outcome: outcome after the last one, shape (patients,).
        plan: value of each decision under the plan.

    Raises:
        ValueError: the lengths differ.
    """
    expected = outcome
    for history, decision, value in reversed(list(zip(histories, decisions, plan, strict=True))):
        centre, scale = history.mean(axis=0), np.maximum(history.std(axis=0), 1e-12)
        known = _second_order((history - centre) / scale)
        both = np.column_stack([known, decision[:, None] * known])
        coefficients, *_ = np.linalg.lstsq(both, expected, rcond=None)
        expected = np.column_stack([known, value * known]) @ coefficients
    return float(expected.mean())


def g_formula_contrast(
    histories: Sequence[Values],
    decisions: Sequence[Values],
    outcome: Values,
    plans: tuple[Sequence[float], Sequence[float]],
    resamples: int = 100,
    seed: int = 1,
) -> CausalEstimate:
    """Return the difference of two plans, with an interval from patients that are drawn anew.

    Args:
        histories: see g_formula.
        decisions: see g_formula.
        outcome: see g_formula.
        plans: plan, and the one that is taken away.
        resamples: number of times that patients are drawn anew.
        seed: seed of these draws.
    """

    def gap(rows: NDArray[np.int64]) -> float:
        own = [one[rows] for one in histories], [one[rows] for one in decisions], outcome[rows]
        return g_formula(*own, plans[0]) - g_formula(*own, plans[1])

    rng, count = np.random.default_rng(seed), len(outcome)
    middle = gap(np.arange(count))
    error = float(np.std([gap(rng.integers(count, size=count)) for _ in range(resamples)], ddof=1))
    return CausalEstimate(middle, error, middle - 1.96 * error, middle + 1.96 * error)


def e_value(effect: CausalEstimate, outcome_std: float) -> tuple[float, float]:
    """Return the E-values of an effect and of the end of its interval next to zero; 1 where zero lies within.

    Args:
        effect: effect in the outcome's unit.
        outcome_std: standard deviation of the outcome.
    """
    nearest = 0.0 if effect.lower <= 0.0 <= effect.upper else min(abs(effect.lower), abs(effect.upper))
    found = []
    for size in (abs(effect.estimate), nearest):
        ratio = float(np.exp(0.91 * size / outcome_std))
        found.append(ratio + float(np.sqrt(ratio * (ratio - 1.0))))
    return found[0], found[1]


def _second_order(x: Values) -> Values:
    """Return one, the columns, their squares and products, as columns."""
    pairs = [x[:, a] * x[:, b] for a in range(x.shape[1]) for b in range(a, x.shape[1])]
    return np.column_stack([np.ones(len(x)), x, *pairs])


def _least_squares(design: Values, outcome: Values, subjects: NDArray[np.int64] | None) -> tuple[Values, Values, int]:
    """Return coefficients, their covariance by subject, and the number of subjects."""
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError("columns that follow from each other, or a treatment that is the same in every row")
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ (design.T @ outcome)
    scores = design * (outcome - design @ coefficients)[:, None]
    groups = np.arange(len(outcome)) if subjects is None else subjects
    count = int(groups.max()) + 1
    summed = np.zeros((count, design.shape[1]))
    np.add.at(summed, groups, scores)
    small = count / max(count - design.shape[1], 1)
    return coefficients, small * inverse @ (summed.T @ summed) @ inverse, count
