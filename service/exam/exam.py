"""Exam of a session: its region, what of it counts, its figures, and the flags that say how good they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from palpate.config.report import ReportSettings
from palpate.imaging.anatomy.wave_region import NOT_AN_ORGAN
from palpate.imaging.draw_summary import FEWEST_DRAWS
from palpate.quality_warning import QualityWarning
from palpate.service.exam.counting import Counting
from palpate.service.exam.figures import ExamFigures
from palpate.service.exam.region import EDGE_MM, ReportedRegion
from palpate.service.report.session import RunView

_SOURCES: Final = {
    "user": "region that the user drew",
    "waves": NOT_AN_ORGAN,
    "magnitude": "not an organ segmentation: tissue by its signal",
    "atlas": "brain by an atlas",
}
_LITTLE: Final = 0.5
_MOST_UNCOVERED: Final = 0.1


@dataclass(frozen=True, slots=True)
class Exam:
    """Exam with a region.

    Attributes:
        run: results of the run.
        source: origin of the region: "user", "waves", "magnitude", "atlas", or "other".
        label: origin of the region in words.
        organ: whether the region is meant as an organ; None where only who drew it knows.
        least_confidence: confidence of the scanner above which a pixel counts.
        reported: region, and the part that counts.
        figures: figures of that part; None where there are no joint draws, or nothing counts.
        inner: figures of a drawn region without its edge and vessels, and how many voxels these are; None where the
            exam measured three directions, the settings state an edge, or hardly anything is left.
        warnings: warnings about the region; those about data and fit are in the run's records.
    """

    run: RunView
    source: str
    label: str
    organ: bool | None
    least_confidence: float
    reported: ReportedRegion
    figures: ExamFigures | None
    inner: tuple[ReportedRegion, ExamFigures] | None
    warnings: tuple[QualityWarning, ...]


def exam_of(run: RunView, settings: ReportSettings) -> Exam | None:
    """Return the exam of a run; None where nobody drew a region, none was gated, and the scanner computed nothing.

    Args:
        run: results of one run at one frequency.
        settings: settings of the page.
    """
    mask = run.ingest.get("mask")
    mask = mask if isinstance(mask, Mapping) else {}
    source = str(mask.get("source", "other"))
    gated = mask.get("organ_segmentation") is False
    if source != "user" and not gated and run.pixels is None:
        return None
    covered = run.stiffness.moduli["storagemodulus"].mean.covered
    region = covered if run.drawn is None else run.drawn
    partial = run.field is not None and run.field.directions is not None
    count = Counting(run, region, covered, settings.least_confidence)
    default_mm = EDGE_MM if partial and source != "user" else 0.0
    edge_mm = default_mm if settings.edge_mm is None else settings.edge_mm
    reported = count.part(edge_mm, vessels=settings.vessels != "leave_out")
    figures, inner = count.figures(reported), None
    if partial and source == "user" and settings.edge_mm is None:
        inner = _within_edge(count, vessels=settings.vessels == "keep")
    return Exam(
        run=run,
        source=source,
        label=_label(source, mask, gated=gated),
        organ=False if gated else {"magnitude": False, "atlas": True}.get(source),
        least_confidence=settings.least_confidence,
        reported=reported,
        figures=figures,
        inner=inner,
        warnings=_warnings(reported, figures, edge_mm, settings.least_confidence, has_draws=count.enough),
    )


def _within_edge(count: Counting, *, vessels: bool) -> tuple[ReportedRegion, ExamFigures] | None:
    """Return what is away from the edge, and its figures; None where hardly anything is left."""
    part = count.part(EDGE_MM, vessels=vessels)
    figures = None if part.thin else count.figures(part)
    return None if figures is None else (part, figures)


def _label(source: str, mask: Mapping[str, Any], *, gated: bool) -> str:
    """Return the origin of a region in words."""
    if source == "user":
        name = mask.get("region_name")
        number = mask.get("region_number")
        told = f", {mask.get('kind', 'NIfTI')}" + (f" region {number}" if number is not None else "")
        return _SOURCES["user"] + told + (f" ({name})" if name else "")
    return NOT_AN_ORGAN if gated else _SOURCES.get(source, "mask of the wave field")


def _warnings(
    reported: ReportedRegion, figures: ExamFigures | None, edge_mm: float, least_confidence: float, *, has_draws: bool
) -> tuple[QualityWarning, ...]:
    """Return warnings about the region and its figures."""
    found = []
    if reported.thin:
        sentence = (
            f"Less than a tenth of the region is more than {edge_mm:g} mm away from its edge, so that the edge counts "
            "in its figures."
        )
        found.append(QualityWarning("region-thin", sentence, "Draw a larger region, or read its figures with care."))
    if figures is None:
        cause = (
            _nothing(reported, least_confidence) if has_draws else f"there are fewer than {FEWEST_DRAWS} joint draws"
        )
        sentence = f"The exam has no figures, because {cause}."
        advice = "Look at what was left out." if has_draws else "Invert with more samples."
        return (*found, QualityWarning("exam-without-figures", sentence, advice))
    if figures.covered_share < 1.0 - _MOST_UNCOVERED:
        sentence = (
            f"{100 * (1 - figures.covered_share):.0f} % of the drawn region have no value: their phase is noise, or "
            "they lie in a piece of a few voxels."
        )
        found.append(QualityWarning("region-uncovered", sentence, "The figures are those of the rest of the region."))
    if figures.informed_share < _LITTLE:
        percent = f"{100 * figures.informed_share:.0f}"
        share = "No voxel" if percent == "0" else f"A share of {percent} %"
        sentence = (
            f"{share} of what counts in the region has a value that comes mostly from this scan: "
            "the region's mean leans on the centre of the prior, which was fitted to the same scan."
        )
        advice = "Intervals of exams as weak as this one have not been validated; read them with care."
        found.append(QualityWarning("region-uninformed", sentence, advice))
    if figures.confident_share is not None and figures.confident_share < _LITTLE:
        sentence = (
            f"The scanner's confidence exceeds {least_confidence:g} in only {100 * figures.confident_share:.0f} % of "
            "the region."
        )
        advice = "The figures are those of this part; look whether it stands for the organ."
        found.append(QualityWarning("few-confident-pixels", sentence, advice))
    return tuple(found)


def _nothing(reported: ReportedRegion, least_confidence: float) -> str:
    """Return why nothing of a region counts."""
    if reported.left_out.get("low confidence"):
        return f"the scanner's confidence nowhere exceeds {least_confidence:g} in what is left of the region"
    if reported.left_out.get("no value") == np.count_nonzero(reported.region):
        return "no voxel of the region has a value"
    return "nothing of the region counts"
