"""Credibility report in the shape of V&V 40: what was asked, how far it can be believed, and what is missing.

Source of the shape: ASME V&V 40-2018, Assessing credibility of computational modeling through verification and
validation: application to medical devices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palpate.config.credibility import CredibilitySettings
from palpate.provenance import versions
from palpate.records.benchmark import BenchmarkFacts, known_limitations, read_records
from palpate.service.credibility.evidence import EvidenceRecord, EvidenceSection, MissedGoal, evidence
from palpate.service.credibility.plan import LAWS, UNCERTAINTY
from palpate.service.credibility.study_records import StudyEvidence, study_evidence
from palpate.twin.trust.tried import validated

_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class CredibilityReport:
    """Credibility of the program, and of one study where its records were given.

    Attributes:
        context: question of interest, context of use and what rests on it.
        sections: evidence by section.
        limits: known limitations by the part that they concern.
        study: records of a study; None for the program alone.
    """

    context: CredibilitySettings
    sections: tuple[EvidenceSection, ...]
    limits: Mapping[str, tuple[str, ...]]
    study: StudyEvidence | None

    @property
    def missed(self) -> tuple[MissedGoal, ...]:
        """Goals that were missed, in the order of the sections."""
        return tuple(one for section in self.sections for one in section.missed())

    @property
    def not_measured(self) -> tuple[EvidenceRecord, ...]:
        """Benchmarks of the plan that have no record."""
        return tuple(one for section in self.sections for one in section.records if one.facts is None)

    @property
    def judged(self) -> int:
        """Number of goals that a program can judge."""
        every = (one.facts for section in self.sections for one in section.records)
        return sum(len(facts.judged) for facts in every if facts is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, goals missed first."""
        return {
            "goals_missed": [one.as_record() for one in self.missed],
            "not_measured": [{"record": one.name, "shows": one.shows} for one in self.not_measured],
            "goals": self.judged,
            "context": self.context.model_dump(mode="json") | {"risk": self.context.risk},
            "sections": [
                {
                    "section": one.plan.key,
                    "title": one.plan.title,
                    "about": one.plan.about,
                    "records": [record.as_record() for record in one.records],
                }
                for one in self.sections
            ],
            "laws": [{"file": path, "law": law} for path, law in LAWS.items()],
            "uncertainty": [{"source": source, "carried": carried} for source, carried in UNCERTAINTY],
            "domain": validated(),
            "known_limits": {area: list(limits) for area, limits in self.limits.items()},
            "study": None if self.study is None else self.study.as_record(),
            "versions": versions(),
        }


def credibility(
    context: CredibilitySettings | None = None, records: Path | None = None, results: Path | None = None
) -> CredibilityReport:
    """Make the report.

    Args:
        context: question of interest and context of use; None for research.
        records: folder of records of benchmarks; None for those that came with this palpate.
        results: results folder of a study; None for a report on the program alone.

    Raises:
        InputError: a folder holds no such records.
    """
    known: Mapping[str, BenchmarkFacts] = read_records(records)
    study = None if results is None else study_evidence(results)
    return CredibilityReport(context or CredibilitySettings(), evidence(known), limitations(), study)


def limitations() -> dict[str, tuple[str, ...]]:
    """Return the known limitations by part, without Markdown."""
    found: dict[str, list[str]] = {}
    area = ""
    for line in known_limitations().splitlines():
        if line.startswith("## "):
            area = line.removeprefix("## ").strip()
            found[area] = []
        elif area and line.startswith("- "):
            found[area].append(line.removeprefix("- "))
        elif area and found[area] and line.startswith("  "):
            found[area][-1] += f" {line.strip()}"
    return {area: tuple(map(_plain, lines)) for area, lines in found.items() if lines}


def _plain(text: str) -> str:
    return _LINK.sub(r"\1", text).replace("**", "").replace("`", "").replace("\\*", "*")
