"""Output folder of a plan.

plan.json       the answer, schedules that are named, limits, reasons, warnings
schedules.tsv   every schedule: organs' loads and chances, time without progression, paired gain over standard care
plan.html       the page
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from palpate.config.limits import LimitsSettings
from palpate.content_digest import digest_of_values
from palpate.progress import say
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning
from palpate.twin.plan.candidates import Candidate
from palpate.twin.plan.choice import Choice, PlanAnswer, gain
from palpate.twin.plan.organ_dose import OrganDose
from palpate.twin.plan.outcome import Waiting
from palpate.twin.products.table_text import table_text

_DIGITS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class PlanResult:
    """Schedules of a plan, their times and the answer.

    Attributes:
        subject: label of the patient.
        limits: limits of the plan.
        organs: organs with their relative doses.
        schedules: schedules, standard care first.
        times: times without progression under each.
        choice: the answer.
        reasons: sentences that say why the twin is out of step, if it is.
    """

    subject: str
    limits: LimitsSettings
    organs: tuple[OrganDose, ...]
    schedules: tuple[Candidate, ...]
    times: Waiting
    choice: Choice
    reasons: tuple[str, ...]

    @property
    def plan_id(self) -> str:
        """Identifier that treatments which follow the plan carry."""
        means = self.times.patient.mean(axis=1).tolist()
        decisive = {"subject": self.subject, "limits": self.limits.model_dump(mode="json"), "days": means}
        return f"{self.limits.name}-{digest_of_values(decisive)[:8]}"


def write_plan(folder: Path, found: PlanResult) -> None:
    """Write plan.json and schedules.tsv into a folder.

    Args:
        folder: folder to fill.
        found: schedules, times and answer of the plan.
    """
    record = plan_record(found)
    for warning in _warnings(found):
        say(f"WARNING: {warning}")
    (folder / "plan.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "schedules.tsv").write_text(table_text(_rows(found), _DIGITS), encoding="utf-8")


def plan_record(found: PlanResult) -> dict[str, object]:
    """Return the content of plan.json.

    Args:
        found: schedules, times and answer of the plan.
    """
    choice = found.choice
    named = {
        "standard": 0,
        "chosen": choice.chosen,
        "personal": choice.personal,
        "one_size": choice.one_size,
        "equal_load": choice.equal_load,
    }
    if choice.answer in (PlanAnswer.UNIDENTIFIED, PlanAnswer.OUT_OF_STEP):
        del named["personal"], named["equal_load"]
    return {
        "subject": found.subject,
        "plan_id": found.plan_id,
        "answer": str(choice.answer),
        "basis": _basis(found),
        "model": found.limits.model,
        "units": {"days": "from the last scan on", "doses": "Gy", "volumes": "mL"},
        "draws": found.times.patient.shape[1],
        "standard_keeps_limits": choice.standard_keeps,
        "named": {role: _row(found, at) for role, at in named.items()},
        "front": [_row(found, at) for at in choice.front],
        "perfect_knowledge_days": choice.scan_days,
        "organs": [
            {
                "organ": one.limit.name,
                "relative_dose": one.relative,
                "volume_ml": one.volume_ml,
                "limit": one.limit.model_dump(mode="json", exclude={"mask", "contour"}),
            }
            for one in found.organs
        ],
        "limits": found.limits.model_dump(mode="json"),
        "reasons": list(found.reasons),
        "warnings": [one.as_record() for one in _warnings(found)],
        "versions": versions(),
    }


def _basis(found: PlanResult) -> str:
    answer = found.choice.answer
    return "population, not this patient" if answer is PlanAnswer.UNIDENTIFIED else "this patient's draws"


def _row(found: PlanResult, at: int) -> dict[str, object]:
    """Return one schedule as plain JSON values."""
    one, names = found.schedules[at], [organ.limit.name for organ in found.organs]
    binding = int(np.argmin(one.chances))
    return {
        "schedule": one.name,
        "fractions": one.fractions,
        "dose_gy": one.dose_gy,
        "first_day": one.first_day,
        "total_gy": one.fractions * one.dose_gy,
        "keeps_limits": one.holds(found.limits.chance),
        "chance": min(one.chances),
        "binding_organ": names[binding],
        "load": one.load,
        "time_days": float(found.times.patient[at].mean()),
        "gain_days": asdict(gain(found.times.patient, at)),
        "population_time_days": float(found.times.population[at].mean()),
        "population_gain_days": asdict(gain(found.times.population, at)),
    }


def _rows(found: PlanResult) -> Iterator[Sequence[object]]:
    """Yield the rows of schedules.tsv, the head first."""
    head: Sequence[str] = (
        *("schedule", "fractions", "dose_gy", "first_day", "total_gy", "keeps_limits", "chance", "binding_organ"),
        *("load", "time_days", "gain_days", "gain_lower", "gain_upper", "gain_error", "population_time_days"),
        *("population_gain_days", "on_front"),
    )
    yield head
    for at in range(len(found.schedules)):
        row = _row(found, at)
        own, population = row.pop("gain_days"), row.pop("population_gain_days")
        assert isinstance(own, dict)
        assert isinstance(population, dict)
        ends = {"gain_days": own["mean"], "gain_lower": own["lower"], "gain_upper": own["upper"]}
        ends |= {"gain_error": own["error"], "population_gain_days": population["mean"]}
        cells = row | ends | {"on_front": at in found.choice.front}
        yield tuple(cells[name] for name in head)


def _warnings(found: PlanResult) -> list[QualityWarning]:
    choice, said = found.choice, []
    if choice.answer is PlanAnswer.OUT_OF_STEP:
        said.append(
            QualityWarning(
                "plan-out-of-step",
                f"No schedule is named but standard care, since the twin is out of step: {' '.join(found.reasons)}",
                "Correct dates, images or treatments, calibrate again, and plan then.",
            )
        )
    if choice.answer is PlanAnswer.UNIDENTIFIED:
        said.append(
            QualityWarning(
                "plan-alpha-unidentified",
                "The images do not tell this patient's radiosensitivity, so that there is no personal optimum: "
                "schedules are compared under the population's prior.",
                f"A scan in the middle of the course could bring {choice.scan_days:.0f} days at most.",
            )
        )
    if not choice.standard_keeps:
        said.append(
            QualityWarning(
                "plan-standard-beyond-limits",
                "Standard care itself does not keep the limits with the probability that is asked for.",
                "Check the organs, their dose and their limits, or state another standard.",
            )
        )
    return said
