"""Evidence of a credibility report: records of benchmarks by section, goals that were missed, what was not measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from palpate.records.benchmark import BenchmarkFacts, RecordedFigure
from palpate.records.goals import figure
from palpate.service.credibility.plan import OTHERS, SECTIONS, PlannedSection


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """One benchmark in a section.

    Attributes:
        name: name of the benchmark.
        shows: purpose of the benchmark, in words.
        facts: its record; None where it was not measured.
    """

    name: str
    shows: str
    facts: BenchmarkFacts | None

    @property
    def tally(self) -> str:
        """Number of goals met out of those that a program can judge, or that there is no record or goal."""
        if self.facts is None:
            return "not measured"
        judged = self.facts.judged
        return f"{sum(not one.missed for one in judged)} of {len(judged)} goals met" if judged else "no goal was set"

    @property
    def when(self) -> str:
        """Day and revision of the measurement in words."""
        if self.facts is None:
            return ""
        unclean = " with changed files" if self.facts.tree_was_dirty else ""
        return f"{self.facts.date}, commit {self.facts.commit[:8]}{unclean}" if self.facts.commit else self.facts.date

    def as_record(self) -> dict[str, Any]:
        """Return the entry of a section in the JSON file."""
        about = {"record": self.name, "shows": self.shows, "measured": self.facts is not None}
        if self.facts is None:
            return about
        told = asdict(self.facts)
        told["figures"] = [asdict(one) | {"verdict": one.verdict} for one in self.facts.figures]
        return about | told


@dataclass(frozen=True, slots=True)
class MissedGoal:
    """Goal that a benchmark missed.

    Attributes:
        record: name of the benchmark.
        section: title of its section.
        figure: the quantity with its goal.
    """

    record: str
    section: str
    figure: RecordedFigure

    def cells(self) -> tuple[str, ...]:
        """Return the cells of a table's row: record, quantity, goal, figure, verdict, published."""
        one = self.figure
        quantity = f"{one.quantity}, {one.unit}" if one.unit else one.quantity
        return self.record, quantity, one.goal, figure(one.ours), one.verdict, figure(one.published)

    def as_record(self) -> dict[str, Any]:
        """Return the entry of `goals_missed` in the JSON file."""
        return {"record": self.record, "section": self.section} | asdict(self.figure) | {"verdict": self.figure.verdict}


@dataclass(frozen=True, slots=True)
class EvidenceSection:
    """Section with its records.

    Attributes:
        plan: the section.
        records: its benchmarks in the plan's order, measured or not.
    """

    plan: PlannedSection
    records: tuple[EvidenceRecord, ...]

    def missed(self) -> tuple[MissedGoal, ...]:
        """Return the goals that its benchmarks missed."""
        return tuple(
            MissedGoal(one.name, self.plan.title, of)
            for one in self.records
            if one.facts is not None
            for of in one.facts.figures
            if of.missed
        )


def evidence(records: Mapping[str, BenchmarkFacts]) -> tuple[EvidenceSection, ...]:
    """Return the sections with their records; one that is not there is part of its section as not measured.

    Args:
        records: records by name.
    """
    sections = [
        EvidenceSection(
            plan, tuple(EvidenceRecord(name, shows, records.get(name)) for name, shows in plan.benchmarks.items())
        )
        for plan in SECTIONS
    ]
    planned = {name for plan in SECTIONS for name in plan.benchmarks}
    others = tuple(EvidenceRecord(name, "", one) for name, one in sorted(records.items()) if name not in planned)
    return (*sections, *([EvidenceSection(OTHERS, others)] if others else []))
