"""JSON record of a session's exams, beside its page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import palpate
from palpate.imaging.draw_summary import DrawSummary
from palpate.output_kinds import FileKind, json_kind
from palpate.quality_warning import QualityWarning, recorded_warnings
from palpate.service.exam.exam import Exam
from palpate.service.exam.figures import CHANGE_PERCENT, ExamFigures, RegionMean, Spread
from palpate.service.exam.region import ReportedRegion
from palpate.service.report.assumptions import Isotropy
from palpate.service.report.session import RunView

EXAM_RECORD: Final = FileKind("report", "record of a session's exams", (".json",), json_kind("exams", "versions"))
"""Kind of the JSON file beside a page."""


def record_beside(page: Path) -> Path:
    """Return the path of the record beside a page."""
    return page.with_name(page.name.removesuffix(".html") + ".json")


def exam_record(exams: Sequence[Exam], runs: Sequence[RunView] = ()) -> str:
    """Return the JSON text of a session's exams and of what its runs assume; without exams their list is empty.

    Args:
        exams: exams of the session's runs.
        runs: all runs of the session.
    """
    found = {
        "exams": [_exam(one) for one in exams],
        "assumptions": [Isotropy.of(run).as_record() for run in runs],
        "versions": {"palpate": palpate.__version__},
    }
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def all_warnings(exam: Exam) -> list[QualityWarning]:
    """Return the warnings about data, fit and region of an exam, each once."""
    records = (exam.run.stiffness.inversion, exam.run.ingest, exam.run.frequency_record)
    found = [one for record in records for one in recorded_warnings(record)]
    return list(dict.fromkeys([*found, *exam.warnings]))


def flags(exam: Exam) -> list[str]:
    """Return the codes of an exam's warnings, each once."""
    return list(dict.fromkeys(one.code for one in all_warnings(exam)))


def _exam(exam: Exam) -> dict[str, Any]:
    reported, figures = exam.reported, exam.figures
    run = exam.run.stiffness
    return {
        "label": run.label,
        "frequency_hz": run.frequency_hz,
        "region": {
            "source": exam.source,
            "description": exam.label,
            "organ_segmentation": exam.organ,
            "edge_mm": reported.edge_mm,
            "least_confidence": exam.least_confidence,
            "left_out_voxels": reported.left_out,
        },
        **({"coverage": None, "magnitude": None} if figures is None else _figures(figures, exam)),
        "warnings": [one.as_record() for one in all_warnings(exam)],
    }


def _figures(figures: ExamFigures, exam: Exam) -> dict[str, Any]:
    mean = figures.whole.magnitude.mean
    return {
        "coverage": {
            "region_voxels": figures.region_voxels,
            "region_ml": figures.region_ml,
            "reported_ml": figures.whole.volume_ml,
            "covered_share": figures.covered_share,
            "reported_share": figures.reported_share,
            "informed_share": figures.informed_share,
            "confident_share": figures.confident_share,
        },
        "magnitude": _part(figures.whole),
        "within_edge": None if exam.inner is None else _within_edge(*exam.inner),
        "slices": [
            {"slice": k, "position_mm": _position_mm(exam, k), **_part(part)} for k, part in figures.slices.items()
        ],
        "heterogeneity": _spread(figures.spread),
        "scanner_heterogeneity": _spread(figures.scanner_spread),
        "change": {
            "percent": CHANGE_PERCENT,
            "below_kpa": mean * (1.0 - CHANGE_PERCENT / 100.0),
            "above_kpa": mean * (1.0 + CHANGE_PERCENT / 100.0),
            "source": "QIBA profile, MR elastography of the liver",
        },
    }


def _within_edge(reported: ReportedRegion, figures: ExamFigures) -> dict[str, Any]:
    return {"edge_mm": reported.edge_mm, "left_out_voxels": reported.left_out, **_part(figures.whole)}


def _part(part: RegionMean) -> dict[str, Any]:
    drawn = part.magnitude
    return {
        "mean_kpa": drawn.mean,
        "std_kpa": drawn.std,
        "lower_kpa": drawn.lower,
        "upper_kpa": drawn.upper,
        "mean_error_kpa": drawn.mean_error,
        "lower_error_kpa": drawn.lower_error,
        "upper_error_kpa": drawn.upper_error,
        "draws": drawn.draws,
        "voxels": part.voxels,
        "volume_ml": part.volume_ml,
        "area_cm2": part.area_cm2,
        "algebraic_kpa": part.direct_kpa,
        "scanner_kpa": part.scanner_kpa,
        "difference_from_scanner_percent": _interval(part.over_scanner),
    }


def _interval(drawn: DrawSummary | None) -> dict[str, float] | None:
    return None if drawn is None else {"mean": drawn.mean, "lower": drawn.lower, "upper": drawn.upper}


def _spread(spread: Spread | None) -> dict[str, float] | None:
    if spread is None:
        return None
    low, high = spread.quartiles_kpa
    return {"std_kpa": spread.std_kpa, "iqr_kpa": spread.iqr_kpa, "quartile_25_kpa": low, "quartile_75_kpa": high}


def _position_mm(exam: Exam, k: int) -> list[float]:
    """Return the centre of a slice, world RAS, mm."""
    affine_mm = exam.run.stiffness.affine_mm
    shape = exam.reported.region.shape
    middle = [(shape[0] - 1) / 2.0, (shape[1] - 1) / 2.0, float(k)]
    return [round(float(one), 3) for one in affine_mm[:3, :3] @ middle + affine_mm[:3, 3]]
