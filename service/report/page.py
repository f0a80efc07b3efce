"""HTML page of a session."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from palpate.config.report import ReportSettings
from palpate.output_kinds import FileKind, page_kind
from palpate.outputs import claim_file, writing_together
from palpate.service.exam.exam import Exam, exam_of
from palpate.service.exam.record import EXAM_RECORD, exam_record, record_beside
from palpate.service.report import answers, content
from palpate.service.report.assumptions import assumptions
from palpate.service.report.exam_panel import exam_panel
from palpate.service.report.key_picture import key_picture
from palpate.service.report.methods import methods
from palpate.service.report.normal import normal_words
from palpate.service.report.panels import Panels
from palpate.service.report.regions_panel import regions_panel
from palpate.service.report.render import render_page
from palpate.service.report.session import RunView, SessionView, read_session
from palpate.service.report.viewer import viewer_data

PAGE: Final = FileKind("report", "page of a session", (".html",), page_kind("report", "Stiffness of "))
"""Kind of the page."""


def write_report(folder: Path, out: Path, *, truth: Path | None, settings: ReportSettings) -> None:
    """Write the page of a session and, beside it, its exams and assumptions as JSON: both, or none of them.

    Args:
        folder: path of the session folder.
        out: path of the HTML file to write.
        truth: folder of the true maps, kPa; None where the truth is not known.
        settings: settings of the page.

    Raises:
        InputError: the session's files cannot be used, or `out` is one of them or another file.
    """
    inputs = {"session": folder, "truth": truth}
    target, record = claim_file(out, PAGE, inputs), claim_file(record_beside(out), EXAM_RECORD, inputs)
    view = read_session(folder, truth, settings.above_kpa)
    exams = [exam_of(run, settings) for run in view.runs]
    page = render(view, settings, exams)
    told = exam_record([exam for exam in exams if exam is not None], view.runs)
    with writing_together(target, record) as (partial, partial_record):
        partial.write_text(page, encoding="utf-8")
        partial_record.write_text(told, encoding="utf-8")


def render(view: SessionView, settings: ReportSettings, exams: Sequence[Exam | None] | None = None) -> str:
    """Return the page of a session as HTML text; equal sessions give equal text.

    Args:
        view: results of the session.
        settings: settings of the page.
        exams: exams of the runs in their order, None for a run without; computed where they are not given.
    """
    exams = [exam_of(run, settings) for run in view.runs] if exams is None else exams
    still = key_picture(view.runs[0], view.anatomy, settings)
    return render_page(
        "page.html",
        viewer_data=viewer_data(view, settings) if settings.viewer else None,
        viewer_label="Three perpendicular slices through the anatomy with the chosen map.",
        slider=None,
        title=" ".join(["Stiffness of", f"sub-{view.subject}", *([f"ses-{view.session}"] if view.session else [])]),
        key_picture=still,
        poster=still,
        runs=[
            _run_context(run, exam, number, settings)
            for number, (run, exam) in enumerate(zip(view.runs, exams, strict=True), start=1)
        ],
        summary=content.summary_table(view.runs) if len(view.runs) > 1 else None,
        notes=content.all_notes(view.runs, [() if exam is None else exam.warnings for exam in exams]),
        assumptions=[words.replace("G'", "G′") for words in assumptions(view.runs)],
        nothing_informed=content.NOTHING_INFORMED,
        from_dicom=view.from_dicom,
        provenance=[table for run in view.runs for table in content.provenance_tables(run, run.title)],
    )


def _run_context(run: RunView, exam: Exam | None, number: int, settings: ReportSettings) -> dict[str, Any]:
    """Return what the template needs of one run."""
    panels = Panels.of(run, settings)
    beside = panels.beside()
    means = answers.informed_values(run)
    rows = answers.finding_rows(run.findings)
    return {
        "id": f"run-{number}",
        "title": run.title,
        "frequency": f"{run.stiffness.frequency_hz:g} Hz",
        "informed": content.percent("informed_share", run.informed_share, 0),
        "storage": means.get("storagemodulus"),
        "first_finding": answers.first_sentence(run.findings) if run.findings else None,
        "findings": answers.shown_first(rows),
        "findings_sentence": run.findings[0].sentence if run.findings else "",
        "findings_table": answers.findings_table(run.findings) if run.findings else None,
        "normal": normal_words(run),
        "methods": methods(run),
        "verdict": content.verdict(run),
        "exam": None if exam is None else exam_panel(exam),
        "maps": panels.maps(),
        "regions": regions_panel(run.regions, content.recorded(run)),
        "region": content.region_table(run.figures) if run.figures else None,
        "beside": None if beside is None else {"title": beside[0], "picture": beside[1]},
        "scores": None if run.scores is None else content.score_table(run.scores),
        "scatter": panels.scatter(),
        "plots": panels.plots(),
        "residual": panels.residual(),
        "fit": content.fit_table(run),
        "waves": panels.waves(),
        "quality": content.quality_table(run),
    }
