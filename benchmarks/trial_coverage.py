"""Trials on virtual patients: are their intervals and their test right, and how long do they take?

400 trials of 200 patients on the logistic rung, 60 Gy with daily temozolomide against 60 Gy alone, patients from the
priors. The truth is the mean over the patients of all trials. Under the null, effects are set against covariates that
have nothing to do with them. One published trial (Stupp et al., N Engl J Med 352 (2005) 987) is simulated from priors
alone, with six cycles of temozolomide after the radiotherapy.

    python benchmarks/trial_coverage.py --out folder [--short]
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from numpy.typing import NDArray
from scipy.stats import binomtest

from palpate.config.section import checked_settings
from palpate.config.trial import TrialSettings
from palpate.twin.events.times import PROGRESSION
from palpate.twin.trial.arms import arm_of
from palpate.twin.trial.block import BlockOutcome, TrialPlan
from palpate.twin.trial.cohort import FromPriors, trial_model
from palpate.twin.trial.covariates import covariate_names
from palpate.twin.trial.effects import HAZARD_RATIO, PROGRESSED, log_hazard_ratio, outcomes, paired, paired_shares
from palpate.twin.trial.heterogeneity import heterogeneity

type Values = NDArray[np.float64]

TRIALS: Final = 400
EACH: Final = 200
RADIOTHERAPY: Final = {"date": 0, "kind": "radiotherapy", "dose_gy": 2, "fractions": 30, "days_a_week": 5}
DAILY: Final = {"date": 0, "kind": "chemotherapy", "drug": "temozolomide", "amount_mg": 140, "times": 42}
CYCLES: Final = tuple(
    {"date": 70 + 28 * n, "kind": "chemotherapy", "drug": "temozolomide", "amount_mg": 300, "times": 5}
    for n in range(6)
)
PUBLISHED: Final = 0.54
"""Hazard ratio of progression or death, with temozolomide against without (95 % interval 0.45 to 0.64)."""
NOTHING: Final = ("age", "noise_1", "noise_2")


def plan(size: int, **changes: object) -> TrialPlan:
    """Return a trial of radiotherapy with and without temozolomide."""
    content: dict[str, Any] = {
        "cohort": {"size": size, "seed": 5, "drawn": [{"name": name, "mean": 0, "std": 1} for name in NOTHING]},
        "arms": [
            {"name": "radiotherapy", "schedule": {"add": [RADIOTHERAPY]}},
            {"name": "with_temozolomide", "schedule": {"add": [RADIOTHERAPY, DAILY]}},
        ],
        "outcome": {"event": "visible", "until_day": 60},
        "covariates": ["visible_ml", "k_1_day", "alpha_1_gy", "kill_1_g_temozolomide", *NOTHING],
    }
    settings = checked_settings(TrialSettings, content | changes)
    model, where = trial_model(settings), Path("trial.yaml")
    arms = tuple(arm_of(one, where, settings.twin) for one in settings.arms)
    return TrialPlan(settings, model, arms, FromPriors(), covariate_names(settings, model, str(where)))


def simulated(own: TrialPlan) -> tuple[BlockOutcome, float]:
    """Return the outcome of all patients, and the processor seconds."""
    began = time.process_time()
    found = BlockOutcome.joined([own.outcome(block) for block in own.blocks])
    return found, time.process_time() - began


def covered(own: TrialPlan, found: BlockOutcome, trials: int) -> dict[str, tuple[int, float]]:
    """Return in how many trials the interval holds the truth, and the median variance ratio, by outcome."""
    told: dict[str, tuple[int, float]] = {}
    parts = np.array_split(np.arange(found.days.shape[1]), trials)
    for name, (_, values) in outcomes(own, found).items():
        truth = float((values[1] - values[0]).mean())
        compared = paired_shares if name == PROGRESSED else paired
        each = [compared(values[1, rows], values[0, rows]) for rows in parts]
        ratios = [one[4] for one in each]
        told[name] = sum(one[2] <= truth <= one[3] for one in each), _median(ratios)
    happened = found.kinds == PROGRESSION
    whole = log_hazard_ratio(found.days, happened)
    assert whole is not None
    own_ratios = [log_hazard_ratio(found.days[:, rows], happened[:, rows]) for rows in parts]
    inside = sum(one is not None and one[2] <= whole[0] <= one[3] for one in own_ratios)
    return told | {HAZARD_RATIO: (inside, _median([one[4] for one in own_ratios if one is not None]))}


def _median(ratios: list[float]) -> float:
    """Return the median of the ratios that are defined; zero where none is."""
    known = [one for one in ratios if np.isfinite(one)]
    return float(np.median(known)) if known else 0.0


def rejected(own: TrialPlan, found: BlockOutcome, trials: int, names: tuple[str, ...]) -> int:
    """Return the number of trials in which the test finds a difference between patients at 5 %."""
    at = [own.covariates.index(name) for name in names]
    effect = found.days[1] - found.days[0]
    count = 0
    for number, rows in enumerate(np.array_split(np.arange(len(effect)), len(effect) // EACH)[:trials]):
        one = heterogeneity(names, found.covariates[np.ix_(rows, at)], effect[rows], number)
        count += one is not None and one.p_value < 0.05
    return count


def rows(trials: int, *, short: bool) -> list[Row]:
    """Return the rows of the record."""
    own = plan(trials * EACH)
    found, _ = simulated(own)
    result = []
    for name, (inside, ratio) in covered(own, found, trials).items():
        interval = binomtest(inside, trials).proportion_ci()
        result.append(
            Row(
                f"95 % intervals of {name} that hold the truth",
                "%",
                100.0 * inside / trials,
                None,
                {"at least": 100.0 * interval.low, "at most": 100.0 * interval.high, "variance ratio": ratio},
                "93..97",
            )
        )
    ratio = paired(found.days[1], found.days[0])[4]
    result.append(Row("pairing narrows the variance of the restricted mean", "-fold", ratio, None, {}, ">= 5"))
    null = rejected(own, found, trials, NOTHING)
    result.append(
        Row("test of heterogeneity under a null, rejected at 5 %", "%", 100.0 * null / trials, None, {}, "<= 7")
    )
    some = max(trials // 8, 1)
    power = rejected(own, found, some, ("k_1_day", "alpha_1_gy", "kill_1_g_temozolomide"))
    result.append(Row(f"the same by rate and sensitivities ({some} trials)", "%", 100.0 * power / some, None))
    result.append(
        Row(
            "10,000 patients x 4 arms, logistic, 365 days: of a core",
            "s",
            _speed("logistic", short=short),
            None,
            {},
            "<= 20",
        )
    )
    result.append(
        Row(
            "10,000 patients x 4 arms, radial, 365 days: of a core",
            "s",
            _speed("radial", short=short),
            None,
            {},
            "<= 360",
        )
    )
    result.append(_published(short=short))
    return result


def _speed(rung: str, *, short: bool) -> float:
    """Return the processor seconds of 10,000 patients in four arms, two with a drug, from one block of them."""
    arms = [
        {"name": name, "schedule": {"add": list(add)}}
        for name, add in (
            ("a", ()),
            ("b", (RADIOTHERAPY,)),
            ("c", (RADIOTHERAPY, DAILY)),
            ("d", (RADIOTHERAPY, DAILY, *CYCLES)),
        )
    ]
    size = 100 if short else {"logistic": 2500, "radial": 500}[rung]
    days = 30 if short else 365
    own = plan(size, arms=arms, model=rung, covariates=[], outcome={"event": "visible", "until_day": days})
    own.outcome(range(10))  # tables of exposures are made once
    _, seconds = simulated(own)
    return seconds * 10_000 / size


def _published(*, short: bool) -> Row:
    """Return the row of the published trial."""
    arms = [
        {"name": "radiotherapy", "schedule": {"add": [RADIOTHERAPY]}},
        {"name": "with_temozolomide", "schedule": {"add": [RADIOTHERAPY, DAILY, *CYCLES]}},
    ]
    outcome = {"event": "enhancing", "until_day": 60 if short else 730, "from_day": 42}
    own = plan(200 if short else 2500, arms=arms, covariates=[], outcome=outcome)
    found, _ = simulated(own)
    ratio = log_hazard_ratio(found.days, found.kinds == PROGRESSION)
    name = "radiotherapy with temozolomide over without, from priors alone: hazard ratio of progression"
    if ratio is None:
        return Row(name, "", None, PUBLISHED)
    ends = {"at least": float(np.exp(ratio[2])), "at most": float(np.exp(ratio[3]))}
    return Row(name, "", float(np.exp(ratio[0])), PUBLISHED, ends, "0.45..0.64")


def main() -> None:
    """Simulate the trials and record the figures."""
    chosen = options(__doc__)
    began = time.perf_counter()
    chosen.out.mkdir(parents=True, exist_ok=True)
    trials = 4 if chosen.short else TRIALS
    found = rows(trials, short=chosen.short)
    write_record(
        "trial_coverage",
        found,
        published="Stupp et al. 2005 (hazard ratio of progression or death); else none",
        notes=[
            f"{trials} trials of {EACH} patients, each patient in one trial; the truth is the mean over all of them.",
            "Goals of speed are 10 s and 3 min on two cores, written as seconds of one.",
        ],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
