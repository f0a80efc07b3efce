"""Formats of an answer that are text: one JSON object, and CSV with the columns of regions.tsv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Final

from palpate.service.query.answer import RESEARCH_USE, Answer, Figure, RunAnswer

SUFFIX: Final[Mapping[str, str]] = {
    "kPa": "_kpa",
    "1": "",
    "m/s": "_m_per_s",
    "rad": "_rad",
    "Np/m": "_np_per_m",
}
"""Suffix of a key in JSON, by the unit of its value."""
COLUMNS: Final = (
    *("subject", "session", "frequency_hz", "region", "quantity", "unit", "mean", "std", "lower", "upper"),
    *("volume_ml", "informed_share", "draws", "run", "covered_share", "mean_error", "lower_error", "upper_error"),
    *("threshold_kpa", "probability_above", "probability_above_error", "registration", "registration_mm"),
)
"""Header of the CSV: the columns of regions.tsv, then those of a query."""


def as_json(answer: Answer) -> str:
    """Return an answer as one JSON object; numbers keep all their digits.

    Args:
        answer: answer to a query.
    """
    region = answer.region
    told: dict[str, Any] = {
        "subject": answer.subject,
        "session": answer.session,
        "region": {
            "kind": region.kind,
            "name": region.name or None,
            "number": region.number,
            "volume_ml": region.volume_ml,
            "centre_ras_mm": region.centre_mm,
            "radius_mm": region.radius_mm,
            "sha256": answer.region_digest,
        },
        "results": [_run(one) for one in answer.runs],
        "warnings": [one.as_record() for one in answer.warnings],
        "versions": dict(answer.versions),
        "research_use_only": RESEARCH_USE,
    }
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(answer: Answer) -> str:
    """Return an answer as CSV: one header, and a row for each run and quantity.

    Args:
        answer: answer to a query.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for run in answer.runs:
        for figure in run.figures:
            writer.writerow(["" if one is None else one for one in _row(answer, run, figure)])
    return text.getvalue()


def _run(run: RunAnswer) -> dict[str, Any]:
    return {
        "run": run.run,
        "frequency_hz": run.frequency_hz,
        "draws": run.draws,
        "covered_ml": run.covered_ml,
        "covered_share": run.covered_share,
        "informed_share": run.informed_share,
        "registration": {"state": run.registration.state, "uncertainty_mm": run.registration.uncertainty_mm},
        "quantities": {one.quantity.key: _figure(one) for one in run.figures},
        "inverted": run.made.isoformat(),
        "input_sha256": dict(run.digests),
        "warnings": [one.as_record() for one in run.warnings],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    end = SUFFIX.get(figure.quantity.unit, "")
    numbers = {
        f"{name}{end}": getattr(figure, name)
        for name in ("mean", "std", "lower", "upper", "mean_error", "lower_error", "upper_error")
    }
    above = figure.above
    told = above and {
        "threshold_kpa": above.threshold_kpa,
        "probability": above.probability,
        "probability_error": above.error,
    }
    return {"words": figure.quantity.words, "unit": figure.quantity.unit, **numbers, "above": told}


def _row(answer: Answer, run: RunAnswer, figure: Figure) -> tuple[object, ...]:
    above = figure.above
    return (
        *(answer.subject, answer.session, run.frequency_hz, answer.region.title, figure.quantity.key),
        *(figure.quantity.unit, figure.mean, figure.std, figure.lower, figure.upper),
        *(answer.region.volume_ml, run.informed_share, run.draws, run.run, run.covered_share),
        *(figure.mean_error, figure.lower_error, figure.upper_error),
        *((above.threshold_kpa, above.probability, above.error) if above else (None, None, None)),
        *(run.registration.state, run.registration.uncertainty_mm),
    )
