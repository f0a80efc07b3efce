"""Credibility report as a page for people, lines for a terminal, and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.output_kinds import FileKind, json_kind, page_kind
from palpate.outputs import OutputFile, claim_file
from palpate.records.goals import figure
from palpate.service.credibility.evidence import EvidenceRecord
from palpate.service.credibility.plan import LAWS, UNCERTAINTY
from palpate.service.credibility.report import CredibilityReport
from palpate.service.credibility.study_records import SubjectEvidence
from palpate.service.report.figures_table import FiguresTable
from palpate.service.report.render import render_page
from palpate.twin.trust.tried import tried_ranges, validated

CREDIBILITY_PAGE: Final = FileKind(
    "verify credibility", "credibility report", (".html",), page_kind("verify credibility", "Credibility</title>")
)
"""Kind of the page."""
CREDIBILITY_JSON: Final = FileKind(
    "verify credibility",
    "file of a credibility report",
    (".json",),
    json_kind("goals_missed", "not_measured", "known_limits"),
)
"""Kind of the JSON file beside the page."""
_FIRST: Final = 12
"""Number of missed goals that the terminal lists; page and file have all."""
_RANGE_HEAD: Final = ("fact", "tried", "record", "of")


@dataclass(frozen=True, slots=True)
class _RecordPart:
    name: str
    summary: str
    published: str
    table: FiguresTable | None
    notes: tuple[str, ...]


def claim_credibility(page: Path, inputs: Mapping[str, Path | None]) -> tuple[OutputFile, OutputFile]:
    """Check that the page and the file beside it may be written, before any work.

    Args:
        page: path of the HTML file.
        inputs: files and folders that the command reads, by role.

    Raises:
        InputError: one of the two is an input or another file.
    """
    return (
        claim_file(page, CREDIBILITY_PAGE, inputs),
        claim_file(page.with_suffix(".json"), CREDIBILITY_JSON, inputs),
    )


def write_credibility(page: Path, report: CredibilityReport) -> None:
    """Write the page and, beside it, the report as JSON; an interrupted run leaves no partial file.

    Args:
        page: path of the HTML file.
        report: the report.
    """
    claimed, content = claim_credibility(page, {})
    with content.writing() as partial:
        partial.write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    with claimed.writing() as partial:
        partial.write_text(render(report), encoding="utf-8")


def credibility_text(report: CredibilityReport) -> str:
    """Return the report in a few lines for a terminal: missed goals first.

    Args:
        report: the report.
    """
    missed, absent = report.missed, report.not_measured
    lines = [headline(report)]
    lines += [f"  {one.record}: {one.figure.quantity}: {one.figure.verdict}" for one in missed[:_FIRST]]
    lines += [f"  ... and {len(missed) - _FIRST} more on the page"] * (len(missed) > _FIRST)
    lines += [f"not measured: {', '.join(one.name for one in absent)}"] if absent else []
    if report.study is not None:
        doubtful = [one.label for one in report.study.subjects if one.warnings]
        lines.append(f"{len(report.study.subjects)} tumours and sessions, {len(doubtful)} with warnings")
    return "\n".join(lines)


def headline(report: CredibilityReport) -> str:
    """Return the tally of goals and the model risk in a sentence.

    Args:
        report: the report.
    """
    return (
        f"{len(report.missed)} of {report.judged} goals are missed, {len(report.not_measured)} benchmarks are not "
        f"measured; the model risk is {report.context.risk}."
    )


def render(report: CredibilityReport) -> str:
    """Return the page as HTML text; equal reports give equal text.

    Args:
        report: the report.
    """
    study = report.study
    return render_page(
        "credibility.html",
        headline=headline(report),
        context=report.context,
        missed=FiguresTable(
            "Goals that were missed",
            ("record", "quantity", "goal", "measured", "verdict", "published"),
            tuple(one.cells() for one in report.missed),
        ),
        absent=[f"{one.name}: {one.shows}." for one in report.not_measured],
        sections=[
            (one.plan.title, one.plan.about, [_part(record) for record in one.records]) for one in report.sections
        ],
        laws=[f"{law} ({path})" for path, law in LAWS.items()],
        uncertainty=FiguresTable("Sources of uncertainty", ("source", "carried"), UNCERTAINTY),
        domain=_ranges(),
        treatments=", ".join(validated()["treatments"]),
        not_recorded=", ".join(validated()["not_recorded"]),
        limits=report.limits,
        study=None if study is None else _study(study.subjects),
        heldout="" if study is None else study.heldout,
        shift="" if study is None else study.shift,
        warned=[] if study is None else _warned(study.subjects),
    )


def _part(record: EvidenceRecord) -> _RecordPart:
    summary = (
        f"{record.tally}{f' ({record.when})' if record.when else ''}. {record.shows[:1].upper()}{record.shows[1:]}"
    )
    facts = record.facts
    if facts is None:
        return _RecordPart(record.name, summary, "", None, ())
    rows = tuple(
        (
            f"{one.quantity}, {one.unit}" if one.unit else one.quantity,
            figure(one.ours),
            figure(one.published),
            ", ".join(f"{name} {figure(value)}" for name, value in one.baselines.items()),
            one.goal,
            one.verdict,
        )
        for one in facts.figures
    )
    head = ("quantity", "measured", "published", "others", "goal", "")
    notes = tuple(note for note in facts.notes if not note.startswith("docs/pictures/"))
    return _RecordPart(
        record.name, summary, facts.published, FiguresTable(f"Figures of {record.name}", head, rows), notes
    )


def _ranges() -> FiguresTable:
    rows = []
    for name, about in validated()["numbers"].items():
        unit = f" {about['unit']}" if about["unit"] else ""
        for one in tried_ranges(name):
            span = f"{one.low:.3g}" if one.low == one.high else f"{one.low:.3g} to {one.high:.3g}"
            rows.append((about["words"], f"{span}{unit}", one.record, one.part or "whole forecasts"))
    return FiguresTable("Ranges over which the twin was tried", _RANGE_HEAD, tuple(rows))


def _study(subjects: tuple[SubjectEvidence, ...]) -> FiguresTable:
    rows = tuple(
        (
            one.label,
            one.kind,
            one.converged,
            one.misfit,
            one.innovations or "-",
            one.clocks or "-",
            one.domain or "-",
            str(len(one.warnings)),
        )
        for one in subjects
    )
    head = ("", "kind", "fit", "misfit a datum", "innovations", "dates", "domain", "warnings")
    return FiguresTable("Records of this study", head, rows)


def _warned(subjects: tuple[SubjectEvidence, ...]) -> list[tuple[str, list[str]]]:
    """Return warnings and shifted priors of each tumour and session that has any."""
    return [
        (one.label, [*(f"{warning.code}: {warning}" for warning in one.warnings), *one.shifts])
        for one in subjects
        if one.warnings or one.shifts
    ]
