"""Time to progression: are probabilities by a date calibrated, and better than the cohort's Kaplan-Meier curve?

Patients of the radial rung, drawn from its priors, get 30 x 2 Gy from day 14 on. Their visible volume is measured on
day 0, before the first fraction and on day 60, each with an error of 15 %. On day 60 the probability is forecast that
the visible volume rises 40 % above its nadir from then on within 14, 28 and 56 days. The posterior of a patient is that
of Bayes' rule: a pool of other patients from the same priors, weighted by the likelihood of the three measurements,
each member with its own future. The truth is the patient's own future, which no forecast has seen.

The slope is that of a logistic regression of what happened on the logit of the forecast: 1 is calibrated, below 1 is
too sure. The baseline is the cohort's Kaplan-Meier estimate, one number for all. Truth and forecast have the same law
of growth: this measures whether the way from draws to probabilities is right, not whether the law is. Rows "by
logistic" forecast the same patients from a pool of the logistic rung, a law that is not theirs.

    python benchmarks/event_calibration.py --out folder [--short]

Blocks of patients are kept in the folder: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from numpy.typing import NDArray

from palpate.config.section import checked_settings
from palpate.config.trial import TrialSettings
from palpate.provenance import atomic_file
from palpate.twin.alerts.probability import DrawnProbability
from palpate.twin.events.follow import VISIBLE, FollowUp
from palpate.twin.events.rules import LEAST_ML, VISIBLE_RISE, RiseAboveNadir
from palpate.twin.events.times import NONE, EventTimes, first_events
from palpate.twin.state_space.chances import Chances
from palpate.twin.trial.arms import arm_of
from palpate.twin.trial.cohort import FromPriors, noise, trial_model
from palpate.twin.trial.survival import survival_curve

type Values = NDArray[np.float64]

PATIENTS: Final = 10_000
POOL: Final = 40_000
BLOCK: Final = 500
SCANS: Final = (0, 14, 60)
AHEAD: Final = (14, 28, 56)
ERROR: Final = 0.15
LAST: Final = SCANS[-1] + AHEAD[-1]
RADIOTHERAPY: Final = {"date": 14, "kind": "radiotherapy", "dose_gy": 2, "fractions": 30, "days_a_week": 5}


def trial(seed: int, rung: str) -> TrialSettings:
    """Return the settings of the cohort and of its one treatment."""
    content: dict[str, Any] = {
        "cohort": {"size": PATIENTS, "seed": seed},
        "arms": [
            {"name": "treated", "schedule": {"add": [RADIOTHERAPY]}},
            {"name": "unused", "schedule": {"add": []}},
        ],
        "outcome": {"event": "visible", "until_day": LAST, "from_day": SCANS[-1]},
        "covariates": [],
        "model": rung,
    }
    return checked_settings(TrialSettings, content)


def block(settings: TrialSettings, patients: range) -> tuple[Values, Values]:
    """Return ln V on the days of the scans, shape (patients, scans), and the day of progression, shape (patients,)."""
    model, chances = trial_model(settings), Chances(settings.cohort.seed, tuple(patients))
    own = FollowUp(model, FromPriors().theta(model, chances), noise(chances, LAST))
    rule = RiseAboveNadir(len(patients), VISIBLE_RISE, least_ml=LEAST_ML)
    treated = arm_of(settings.arms[0], Path("trial.yaml"), settings.twin)
    kept = own.run(treated.regimen, VISIBLE, (rule,), SCANS, SCANS[-1])
    return np.stack([kept[day] for day in SCANS], axis=1), rule.days


def simulated(seed: int, count: int, folder: Path, rung: str = "radial") -> tuple[Values, Values]:
    """Return the volumes and days of all patients of a seed; blocks that the folder holds are read."""
    settings, found = trial(seed, rung), []
    for first in range(0, count, BLOCK):
        patients = range(first, min(first + BLOCK, count))
        path = folder / f"{rung}-seed-{seed}_{patients.start}-{patients.stop}.npz"
        if not path.is_file():
            log_ml, days = block(settings, patients)
            with atomic_file(path) as partial, partial.open("wb") as file:
                np.savez(file, log_ml=log_ml, days=days)
            print(f"{rung}, seed {seed}: {patients.stop} of {count} patients", flush=True)
        with np.load(path) as kept:
            found.append((kept["log_ml"], kept["days"]))
    return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])


def forecasts(measured: Values, pool: Values, happened: NDArray[np.bool_]) -> tuple[Values, Values]:
    """Return probabilities by each date, shape (patients, dates), and effective numbers of draws, shape (patients,).

    Args:
        measured: measured ln V, shape (patients, scans).
        pool: ln V of the pool's members, shape (members, scans).
        happened: whether a member has progressed by each date, shape (members, dates).
    """
    shares, effective = [], []
    for one in measured:
        log_weights = -0.5 * (((pool - one) / ERROR) ** 2).sum(axis=1)
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        number = 1.0 / float(weights @ weights)
        # As with whole draws of which half a one more has the event and half a one more has not (Jeffreys).
        shares.append((number * (weights @ happened) + 0.5) / (number + 1.0))
        effective.append(number)
    return np.stack(shares), np.array(effective)


def slope(probability: Values, outcome: Values) -> tuple[float, float, float]:
    """Return the slope of outcomes on logits of probabilities by logistic regression, with its 95 % interval."""
    design = np.stack([np.ones(len(outcome)), np.log(probability) - np.log1p(-probability)], axis=1)
    # Newton's steps from no slope: those from a slope of one can diverge on forecasts of a foreign law.
    beta = np.array([np.log(outcome.mean()) - np.log1p(-outcome.mean()), 0.0])
    for _ in range(50):
        fitted = 1.0 / (1.0 + np.exp(-design @ beta))
        information = design.T @ (design * (fitted * (1.0 - fitted))[:, None])
        step = np.linalg.solve(information, design.T @ (outcome - fitted))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    error = float(np.sqrt(np.linalg.inv(information)[1, 1]))
    return float(beta[1]), float(beta[1] - 1.96 * error), float(beta[1] + 1.96 * error)


def kaplan_meier(times: EventTimes, day: float) -> float:
    """Return the cohort's probability of the event by a day."""
    (point,) = survival_curve(times.days, times.kinds, (day,))
    return 1.0 - point.survival


def rows(folder: Path, patients: int, members: int) -> tuple[list[Row], Values]:
    """Return the rows of the record, and the effective number of draws of each patient."""
    pool, pool_days = simulated(1, members, folder)
    truth, days = simulated(2, patients, folder)
    measured = truth + ERROR * np.random.default_rng(3).standard_normal(truth.shape)
    dates = np.array([SCANS[-1] + after for after in AHEAD], dtype=np.float64)
    times = first_events(days, float(LAST))
    probability, effective = forecasts(measured, pool, pool_days[:, None] <= dates)
    found = [row for at in range(len(AHEAD)) for row in judged(at, probability[:, at], times)]
    other, other_days = simulated(1, members, folder, "logistic")
    foreign, _ = forecasts(measured, other, other_days[:, None] <= dates)
    return found + [
        row for at in range(len(AHEAD)) for row in judged(at, foreign[:, at], times, " by logistic")
    ], effective


def judged(at: int, probability: Values, times: EventTimes, by: str = "") -> list[Row]:
    """Return the rows of one date.

    Args:
        at: number of the date.
        probability: forecast of each patient, shape (patients,).
        times: true first event of each patient.
        by: law of the forecast in words, where it is not that of the truth: then no goal is set.
    """
    day, within = float(SCANS[-1] + AHEAD[at]), f"within {AHEAD[at]} days{by}"
    outcome = ((times.kinds != NONE) & (times.days <= day)).astype(np.float64)
    steep, lower, upper = slope(probability, outcome)
    cohort = kaplan_meier(times, day)
    brier, of_cohort = (float(np.mean((one - outcome) ** 2)) for one in (probability, cohort))
    share = float(outcome.mean())
    ends, error = {"at least": lower, "at most": upper}, {"error": DrawnProbability.by(times, day).error}
    baselines = {"Kaplan-Meier of the cohort": of_cohort, "share that progressed": share}
    goals = ("", "") if by else ("0.9..1.1", f"<= {of_cohort:.4f}")
    return [
        Row(f"calibration slope, progression {within}", "", steep, None, ends, goals[0]),
        Row(f"Brier score, progression {within}", "", brier, None, baselines, goals[1]),
        Row(f"mean forecast less share, {within}", "", float(probability.mean()) - share, None, error),
    ]


def main() -> None:
    """Simulate the patients and record the figures."""
    chosen = options(__doc__)
    began = time.perf_counter()
    chosen.out.mkdir(parents=True, exist_ok=True)
    patients, members = (60, 200) if chosen.short else (PATIENTS, POOL)
    found, effective = rows(chosen.out, patients, members)
    few = 100.0 * float(np.mean(effective < 20.0))
    tried = (
        f"{patients:,} patients of the radial rung, forecast from a pool of {members:,} others; the effective number "
        f"of draws is {np.median(effective):.0f} in the median patient and below 20 in {few:.1f} % of patients."
    )
    laws = "Truth and forecast have one law and one prior, but for rows by logistic. No patient of the lattice has a "
    left = f"{laws}forecast here."
    kept = "Seconds are those of the last run; blocks of patients may come from runs before it."
    seconds = time.perf_counter() - began
    write_record(
        "event_calibration", found, published="none", notes=[tried, left, kept], seconds=seconds, out=chosen.record
    )


if __name__ == "__main__":
    main()
