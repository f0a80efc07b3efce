"""Output folder of a trial.

trial.json          the trial as it was asked for, what happened in each arm, effects, tests, warnings
effect.tsv          effects of arm against arm, paired by patient
survival.tsv        share without an event by arm and day, numbers at risk, cumulative incidence
patients.tsv        covariates of each virtual patient, and its events and volumes in every arm
heterogeneity.tsv   effects by groups of patients, against the first arm
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from palpate.progress import say
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.twin.events.times import COMPETING, NONE, PROGRESSION
from palpate.twin.products.table_text import table_text
from palpate.twin.trial.block import BlockOutcome, TrialPlan
from palpate.twin.trial.cohort import FromPriors
from palpate.twin.trial.effects import RESTRICTED, PairedEffect, arm_summaries, effects, outcomes
from palpate.twin.trial.heterogeneity import Heterogeneity, heterogeneity
from palpate.twin.trial.survival import SurvivalPoint, curve_days, survival_curve

_DIGITS: Final = 6
FEW_EVENTS: Final = 10
"""Number of progressions of an arm below which its figures hang on single patients."""
_KINDS: Final = {NONE: "none", PROGRESSION: "progression", COMPETING: "operation"}


@dataclass(frozen=True, slots=True, eq=False)
class TrialResult:
    """Effects, curves and warnings of a trial.

    Attributes:
        plan: the trial.
        outcome: outcome of all patients.
        effects: effects of arm against arm.
        curves: curve of each arm, in the arms' order.
        differences: heterogeneity of the restricted mean of each arm against the first, by name; None where there are
            too few patients.
        warnings: warnings.
    """

    plan: TrialPlan
    outcome: BlockOutcome
    effects: tuple[PairedEffect, ...]
    curves: tuple[tuple[SurvivalPoint, ...], ...]
    differences: dict[str, Heterogeneity | None]
    warnings: tuple[QualityWarning, ...]


def trial_result(plan: TrialPlan, found: BlockOutcome) -> TrialResult:
    """Return effects, curves and heterogeneity of a trial.

    Args:
        plan: the trial.
        found: outcome of all patients.
    """
    days = curve_days(plan.settings.outcome.until_day)
    curves = tuple(survival_curve(found.days[at], found.kinds[at], days) for at in range(len(plan.arms)))
    _, restricted = outcomes(plan, found)[RESTRICTED]
    seed = plan.settings.cohort.seed
    differences = {
        arm.name: heterogeneity(plan.covariates, found.covariates, restricted[at] - restricted[0], seed)
        for at, arm in enumerate(plan.arms)
        if at
    }
    return TrialResult(plan, found, effects(plan, found), curves, differences, tuple(_warnings(plan, found)))


def write_trial(folder: Path, found: TrialResult) -> None:
    """Write the files of a trial into an empty folder.

    Args:
        folder: folder to fill.
        found: effects, curves and warnings of the trial.
    """
    for warning in found.warnings:
        say(f"WARNING: {warning}")
    tables = {
        "effect.tsv": table_text(_effect_rows(found), _DIGITS),
        "survival.tsv": table_text(_survival_rows(found), _DIGITS),
        "patients.tsv": table_text(_patient_rows(found), _DIGITS),
        "heterogeneity.tsv": table_text(_heterogeneity_rows(found), _DIGITS),
    }
    for name, text in tables.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "trial.json").write_text(json.dumps(trial_record(found), indent=2) + "\n", encoding="utf-8")


def trial_record(found: TrialResult) -> dict[str, object]:
    """Return the content of trial.json.

    Args:
        found: effects, curves and warnings of the trial.
    """
    plan = found.plan
    return {
        "basis": "virtual patients",
        "model": plan.model.rung,
        "patients": found.outcome.days.shape[1],
        "units": {"days": "since day 0 of the trial", "volumes": "mL"},
        "trial": plan.settings.model_dump(mode="json", exclude={"twin"}),
        "twin": plan.settings.twin.model_dump(mode="json"),
        "volume": f"{plan.volume}_day_{plan.volume_day}",
        "arms": arm_summaries(plan, found.outcome),
        "effects": [_without_nan(asdict(one)) for one in found.effects],
        "heterogeneity": {
            name: None
            if one is None
            else {"against": plan.arms[0].name, "p_value": one.p_value, "slope": one.slope}
            | {"importance": one.importance, "groups": [asdict(group) for group in one.groups]}
            for name, one in found.differences.items()
        },
        "warnings": [one.as_record() for one in found.warnings],
        "versions": versions(),
    }


def _without_nan(values: dict[str, object]) -> dict[str, object]:
    """Return values with None in place of what is not defined: JSON has no such number."""
    return {name: None if isinstance(one, float) and math.isnan(one) else one for name, one in values.items()}


def _effect_rows(found: TrialResult) -> Iterator[Sequence[object]]:
    yield PairedEffect.__slots__
    for one in found.effects:
        yield tuple(asdict(one).values())


def _survival_rows(found: TrialResult) -> Iterator[Sequence[object]]:
    yield "arm", *SurvivalPoint.__slots__
    for arm, curve in zip(found.plan.arms, found.curves, strict=True):
        for point in curve:
            yield arm.name, *asdict(point).values()


def _patient_rows(found: TrialResult) -> Iterator[Sequence[object]]:
    plan, own = found.plan, found.outcome
    quantities = ("event_day", "event", f"{plan.volume}_day_{plan.volume_day}")
    yield "patient", *plan.covariates, *(f"{arm.name}:{name}" for arm in plan.arms for name in quantities)
    volumes = np.exp(own.log_ml)
    for patient in range(own.days.shape[1]):
        cells: list[object] = [patient + 1, *map(float, own.covariates[patient])]
        for at in range(len(plan.arms)):
            kind = _KINDS[int(own.kinds[at, patient])]
            cells += [float(own.days[at, patient]), kind, float(volumes[at, patient])]
        yield cells


def _heterogeneity_rows(found: TrialResult) -> Iterator[Sequence[object]]:
    against = found.plan.arms[0].name
    yield (
        *("arm", "against", "outcome", "kind", "name", "low", "high", "patients"),
        *("estimate", "std", "lower", "upper", "p_value"),
    )
    missing = float("nan")
    for arm, own in found.differences.items():
        if own is None:
            continue
        count = found.outcome.days.shape[1]
        start = (arm, against, RESTRICTED)
        yield (*start, "test", "slope", missing, missing, count, own.slope, missing, missing, missing, own.p_value)
        for one in own.groups:
            ends = (one.low, one.high, one.patients, one.estimate, one.std, one.lower, one.upper)
            yield (*start, one.kind, one.name, *ends, missing)


def _warnings(plan: TrialPlan, found: BlockOutcome) -> Iterator[QualityWarning]:
    if isinstance(plan.source, FromPriors):
        yield QualityWarning(
            "trial-from-priors",
            "All patients and all effects of treatment come from priors: the trial shows what the model implies, and "
            "its intervals are those of the number of virtual patients alone.",
            "Take the file of palpate prior or calibrations of patients as the source where there are any.",
        )
    for at, arm in enumerate(plan.arms):
        count = int((found.kinds[at] == PROGRESSION).sum())
        if count < FEW_EVENTS:
            yield QualityWarning(
                "trial-few-events",
                f"In the arm {arm.name} {count} of {found.days.shape[1]} patients progressed.",
                "Take more patients or a later last day.",
            )
