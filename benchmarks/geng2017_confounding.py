"""Confounded treatment of simulated lung tumours (Geng et al., Sci Rep 7 (2017) 13542): contrast, adjustment, do().

    V+ = V (1 + rho ln(K / V) - beta_c C - alpha d - beta d^2 + e)

Larger tumours are treated more often, the more so the larger gamma is. On day 28 each patient gets one fraction of 2 Gy
and one dose of chemotherapy, or nothing, after three decisions of the same kind on days 7, 14 and 21. The outcome is
ln V on the next day. Compared with the true mean effect on the same patients are the plain contrast, the contrast with
the last ln V held fixed, the back-door set that the graph gives, the g-formula, and a twin: each patient's rho, alpha
and beta_c from its own past and the prior, by Bayes, under both decisions. A second question is that of the plan of
days 21 and 28. A cause that nobody measured is tried too.

    python benchmarks/geng2017_confounding.py --out folder [--short]
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from numpy.typing import NDArray
from scipy.stats import truncnorm

from palpate.twin.causes.estimate import CausalEstimate, adjusted, e_value, g_formula_contrast
from palpate.twin.causes.graph import CausalGraph

type Values = NDArray[np.float64]

PATIENTS: Final = 20_000
SHORT_PATIENTS: Final = 2000
GAMMAS: Final = (0.0, 5.0, 10.0)
DECISIONS: Final = (7, 14, 21, 28)
LAST: Final = 29
"""Day of the outcome."""
RHO: Final = (7e-5, 7.23e-3)
ALPHA: Final = (0.0398, 0.168)
CHEMO: Final = (0.028, 0.0007)
TOGETHER: Final = 0.87
"""Correlation of alpha and rho."""
NOISE: Final = 0.01
CAPACITY: Final = np.pi / 6.0 * 30.0**3
LEAST_CM: Final = 0.3
STAGES: Final = (
    (1.72, 4.70, 5.0, 1432),
    (1.96, 1.63, 13.0, 128),
    (1.91, 9.40, 13.0, 1306),
    (2.76, 6.87, 13.0, 7248),
    (3.86, 8.82, 13.0, 12840),
)
"""Stages I to IV: mean and standard deviation of ln diameter (cm) before it is cut off at LEAST_CM and at the third
number, and the number of patients by which a stage is chosen, as later users of the model have them."""
DOSE_GY: Final = 2.0
DRUG: Final = 5.0
WINDOW: Final = 15
"""Days over which the policy looks at the mean diameter."""
LEAST_CM3: Final = 1e-3
GRAPH: Final = CausalGraph(
    frozenset(
        {
            ("mean_diameter", "treatment"),
            ("ln_volume", "mean_diameter"),
            ("growth", "ln_volume"),
            ("growth", "ln_volume_after"),
            ("growth", "mean_diameter"),
            ("ln_volume", "ln_volume_after"),
            ("treatment", "ln_volume_after"),
            ("treatment", "shrinkage"),
            ("shrinkage", "ln_volume_after"),
        }
    ),
    frozenset({"growth"}),
)
"""Graph of the last decision: the policy sees the mean diameter and nothing else."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Patients and their chances.

    Attributes:
        rho: rate of growth, 1/day.
        alpha: radiosensitivity, 1/Gy.
        chemo: effect of the drug.
        start_cm3: volume on day 0.
        noise: noise e, shape (days, patients).
        chance: uniform numbers that decide, shape (decisions, patients).
        frailty: cause that nobody measured.
    """

    rho: Values
    alpha: Values
    chemo: Values
    start_cm3: Values
    noise: Values
    chance: Values
    frailty: Values


def cohort(count: int, seed: int) -> Cohort:
    """Return patients of the published distributions."""
    rng = np.random.default_rng(seed)
    found: list[Values] = []
    while sum(len(one) for one in found) < count:
        z = rng.standard_normal((4 * count, 2))
        other = TOGETHER * z[:, 0] + np.sqrt(1.0 - TOGETHER**2) * z[:, 1]
        both = np.stack([ALPHA[0] + ALPHA[1] * z[:, 0], RHO[0] + RHO[1] * other], axis=1)
        # One minus a day's kill must stay positive: a fraction that removes all has no logarithm.
        kept = (both > 0.0).all(axis=1) & (both[:, 0] * DOSE_GY * (1.0 + DOSE_GY / 10.0) < 0.8)
        found.append(both[kept])
    alpha, rho = np.concatenate(found)[:count].T
    chemo = CHEMO[0] + CHEMO[1] * rng.standard_normal(count)
    kind = rng.integers(3, size=count)
    alpha, chemo = np.where(kind == 1, 1.1 * alpha, alpha), np.where(kind == 2, 1.1 * chemo, chemo)
    counts = np.array([stage[3] for stage in STAGES])
    middle, spread, most = np.array([stage[:3] for stage in STAGES])[
        rng.choice(len(STAGES), count, p=counts / counts.sum())
    ].T
    ends = (np.log(LEAST_CM) - middle) / spread, (np.log(most) - middle) / spread
    diameter = np.exp(middle + spread * truncnorm.rvs(*ends, random_state=rng))
    noise = NOISE * rng.standard_normal((LAST, count))
    chance = rng.random((len(DECISIONS), count))
    return Cohort(rho, alpha, chemo, np.pi / 6.0 * diameter**3, noise, chance, rng.standard_normal(count))


@dataclass(frozen=True, slots=True)
class History:
    """Volumes, drug levels and decisions of a cohort.

    Attributes:
        volume: volume by day, cm3, shape (days + 1, patients).
        drug: concentration C by day, shape (days, patients).
        treated: decisions, shape (decisions, patients).
        diameter: mean diameter that each decision saw, cm, shape (decisions, patients).
    """

    volume: Values
    drug: Values
    treated: Values
    diameter: Values


def followed(own: Cohort, gamma: float, plan: dict[int, float] | None = None, frailty: float = 0.0) -> History:
    """Return what happens under the policy, or where some decisions are set.

    Args:
        own: the patients.
        gamma: strength with which size decides.
        plan: decisions that are set, by number.
        frailty: strength with which the hidden cause decides and acts.
    """
    volume, level = [own.start_cm3], np.zeros(len(own.rho))
    drug, treated, seen = [], [], []
    for day in range(LAST):
        dose = np.zeros(len(own.rho))
        if day in DECISIONS:
            number = DECISIONS.index(day)
            diameter = np.mean([np.cbrt(6.0 * v / np.pi) for v in volume[-WINDOW:]], axis=0)
            share = 1.0 / (1.0 + np.exp(-gamma / 13.0 * (diameter - 6.5) - 2.0 * frailty * own.frailty))
            chosen = (own.chance[number] < share).astype(np.float64)
            if plan and number in plan:
                chosen = np.full(len(own.rho), plan[number])
            treated.append(chosen)
            seen.append(diameter)
            dose = DOSE_GY * chosen
            level = level + DRUG * chosen
        v = volume[-1]
        kill = own.chemo * level + own.alpha * dose * (1.0 + dose / 10.0)
        worse = frailty * 0.1 * own.frailty * (day >= DECISIONS[-1])
        drug.append(level)
        volume.append(np.maximum(v * (1.0 + own.rho * np.log(CAPACITY / v) - kill + own.noise[day] + worse), LEAST_CM3))
        level = 0.5 * level
    return History(np.stack(volume), np.stack(drug), np.stack(treated), np.stack(seen))


def twin_effect(own: Cohort, past: History, rng: np.random.Generator, draws: int = 8) -> float:
    """Return the mean effect of the last decision by twins that know each patient's past until it.

    The relative change of a day is linear in rho, alpha and beta_c with normal noise, so that the posterior under the
    normal prior is in closed form; draws below zero are lifted to zero.
    """
    until, count = DECISIONS[-1], len(own.rho)
    v = past.volume[: until + 1]
    change = v[1:] / v[:-1] - 1.0
    dose = np.zeros((until, count))
    for number, day in enumerate(DECISIONS[:-1]):
        dose[day] = DOSE_GY * past.treated[number]
    columns = np.stack([np.log(CAPACITY / v[:-1]), -dose * (1.0 + dose / 10.0), -past.drug[:until]], axis=-1)
    cross = TOGETHER * RHO[1] * ALPHA[1]
    prior = np.diag([RHO[1] ** 2, ALPHA[1] ** 2, (0.0015) ** 2])
    prior[0, 1] = prior[1, 0] = cross
    mean = np.array([RHO[0], ALPHA[0], CHEMO[0] * 1.033])
    inverse = np.linalg.inv(prior)
    precision = inverse + np.einsum("tni,tnj->nij", columns, columns) / NOISE**2
    covariance = np.linalg.inv(precision)
    middle = np.einsum("nij,nj->ni", covariance, inverse @ mean + np.einsum("tni,tn->ni", columns, change) / NOISE**2)
    root = np.linalg.cholesky(covariance)
    total = 0.0
    for _ in range(draws):
        drawn = _positive(middle, root, rng)
        noise = NOISE * rng.standard_normal((LAST - until, count))
        ends = [_ahead(drawn, v[-1], past.drug[until - 1] * 0.5, noise, one) for one in (1.0, 0.0)]
        total += float(np.mean(ends[0] - ends[1])) / draws
    return total


def _positive(middle: Values, root: Values, rng: np.random.Generator) -> Values:
    """Return draws of the posteriors that the truncated prior allows, drawn again where they are outside."""
    drawn = middle + np.einsum("nij,nj->ni", root, rng.standard_normal(middle.shape))
    for _ in range(200):
        outside = (drawn[:, :2] <= 0.0).any(axis=1) | (drawn[:, 1] * DOSE_GY * (1.0 + DOSE_GY / 10.0) >= 0.88)
        if not outside.any():
            break
        again = rng.standard_normal((int(outside.sum()), 3))
        drawn[outside] = middle[outside] + np.einsum("nij,nj->ni", root[outside], again)
    return np.clip(drawn, [0.0, 0.0, 0.0], [1.0, 0.36, 1.0])


def _ahead(drawn: Values, volume: Values, level: Values, noise: Values, treated: float) -> Values:
    """Return ln V on the last day where the last decision is set."""
    rho, alpha, chemo = drawn.T
    for day, e in enumerate(noise):
        dose = DOSE_GY * treated if day == 0 else 0.0
        level = level + (DRUG * treated if day == 0 else 0.0)
        kill = chemo * level + alpha * dose * (1.0 + dose / 10.0)
        volume = np.maximum(volume * (1.0 + rho * np.log(CAPACITY / volume) - kill + e), LEAST_CM3)
        level = 0.5 * level
    return np.log(volume)


def estimates(own: Cohort, gamma: float) -> dict[str, Any]:
    """Return all answers to both questions, and the truth."""
    past = followed(own, gamma)
    y, a = np.log(past.volume[-1]), past.treated[-1]
    ln_v, diameter = np.log(past.volume[DECISIONS[-1]]), past.diameter[-1]
    true = np.log(followed(own, gamma, {3: 1.0}).volume[-1]) - np.log(followed(own, gamma, {3: 0.0}).volume[-1])
    sets = GRAPH.back_door_sets("treatment", "ln_volume_after")
    nothing = np.zeros((len(y), 0))
    histories = [
        np.stack([np.log(past.volume[day]), past.diameter[at], np.log(past.volume[day - 6])], axis=1)
        for at, day in enumerate(DECISIONS)
    ]
    before = np.column_stack([histories[2], past.treated[1], past.drug[20]])
    last = np.column_stack([histories[3], np.log(past.volume[21]), past.treated[2], past.drug[27]])
    plan = {2: 1.0, 3: 1.0}, {2: 0.0, 3: 0.0}
    pair = [np.log(followed(own, gamma, one).volume[-1]) for one in plan]
    both, neither = (past.treated[2:] == 1.0).all(axis=0), (past.treated[2:] == 0.0).all(axis=0)
    rng = np.random.default_rng(7)
    return {
        "true": float(true.mean()),
        "naive": told(adjusted(a, y, nothing)),
        "last_volume": told(adjusted(a, y, ln_v[:, None])),
        "back_door_sets": [sorted(one) for one in sets],
        "back_door": told(adjusted(a, y, np.log(diameter)[:, None] ** [1, 2])),
        "g_formula": told(g_formula_contrast([last], [a], y, ([1.0], [0.0]), resamples=20)),
        "twin": twin_effect(own, past, rng),
        "plan_true": float(np.mean(pair[0] - pair[1])),
        "plan_naive": float(y[both].mean() - y[neither].mean()),
        "plan_g_formula": told(
            g_formula_contrast([before, last], [past.treated[2], a], y, ([1.0, 1.0], [0.0, 0.0]), resamples=20)
        ),
    }


def hidden_cause(own: Cohort) -> dict[str, Any]:
    """Return what is said where a cause that nobody measured decides and acts."""
    graph = CausalGraph(
        GRAPH.arrows | {("frailty", "treatment"), ("frailty", "ln_volume_after")}, GRAPH.hidden | {"frailty"}
    )
    past = followed(own, 5.0, frailty=1.0)
    y, a, diameter = np.log(past.volume[-1]), past.treated[-1], past.diameter[-1]
    effect = adjusted(a, y, np.stack([diameter, diameter**2], axis=1))
    true = [np.log(followed(own, 5.0, {3: one}, 1.0).volume[-1]) for one in (1.0, 0.0)]
    return {
        "sets": [sorted(one) for one in graph.back_door_sets("treatment", "ln_volume_after")],
        "adjusted": told(effect),
        "true": float(np.mean(true[0] - true[1])),
        "e_value": e_value(effect, float(y.std())),
    }


def told(one: CausalEstimate) -> list[float]:
    """Return estimate and interval."""
    return [one.estimate, one.lower, one.upper]


def rows(found: dict[str, dict[str, Any]]) -> list[Row]:
    """Return the rows of the record: errors first, then each answer beside the truth."""
    last = []
    for gamma, one in found.items():
        true, plan = one["true"], one["plan_true"]
        wrong = "<= 0" if float(gamma) == 0.0 else ">= 0"
        last += [
            Row(
                f"effect of the last decision on ln V, gamma {gamma}: g-formula over true",
                "",
                one["g_formula"][0] / true,
                None,
                {"back-door set": one["back_door"][0] / true, "last volume held": one["last_volume"][0] / true},
                "0.9..1.1",
            ),
            Row(
                f"the same, gamma {gamma}: the twin's own do() over true", "", one["twin"] / true, None, {}, "0.9..1.1"
            ),
            Row(f"the same, gamma {gamma}: plain contrast", "ln", one["naive"][0], None, {"true": true}, wrong),
            Row(
                f"plan of days 21 and 28, gamma {gamma}: g-formula over true",
                "",
                one["plan_g_formula"][0] / plan,
                None,
                {"plain contrast over true": one["plan_naive"] / plan},
                "0.9..1.1",
            ),
        ]
    return last


def main() -> None:
    """Measure and record the figures."""
    chosen = options(__doc__)
    began = time.perf_counter()
    chosen.out.mkdir(parents=True, exist_ok=True)
    own = cohort(SHORT_PATIENTS if chosen.short else PATIENTS, 11)
    hidden = hidden_cause(own)
    found = rows({f"{gamma:g}": estimates(own, gamma) for gamma in GAMMAS})
    found.append(
        Row(
            "sets that close the back doors where a hidden cause decides",
            "",
            float(len(hidden["sets"])),
            None,
            {},
            "<= 0",
        )
    )
    told_hidden = (
        f"Hidden cause at gamma 5: adjusted {hidden['adjusted'][0]:.3f}, true {hidden['true']:.3f}, not identified by "
        f"the graph; E-values of effect and interval {hidden['e_value'][0]:.2f} and {hidden['e_value'][1]:.2f}."
    )
    write_record(
        "geng2017_confounding",
        found,
        published="none: Geng et al. 2017 give the model; the policy by size is that of later papers that use it",
        notes=[
            f"{len(own.rho)} patients; alpha such that a fraction leaves some cells.",
            told_hidden,
        ],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
