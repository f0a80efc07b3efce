"""Formats of an answer that are text: one JSON object, and CSV with the columns of regions.tsv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Final

from palpate.service.query.answer import RESEARCH_USE, Answer, QueryFigure, RegionFacts, RunAnswer, StifferFigure

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
    *("volume_ml", "informed_share", "draws", "covered_share", "mean_error", "lower_error", "upper_error"),
    *("number", "run"),
    *("threshold_kpa", "probability_above", "probability_above_error", "registration", "registration_mm"),
)
"""Header of the CSV: the columns of regions.tsv, then those of a query."""


def as_json(answer: Answer) -> str:
    """Return an answer as one JSON object; numbers keep all their digits.

    Args:
        answer: answer to a query.
    """
    told: dict[str, Any] = {
        "subject": answer.subject,
        "session": answer.session,
        "region": _region(answer.region, answer.region_digest),
        **({} if answer.than is None else {"than": _region(answer.than, answer.than_digest)}),
        "results": [_run(one) for one in answer.runs],
        "warnings": [one.as_record() for one in answer.warnings],
        "versions": dict(answer.versions),
        "research_use_only": RESEARCH_USE,
    }
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_draws(answer: Answer) -> str:
    """Return the mean over the region in each joint draw as one JSON object, from which a histogram can be drawn.

    Args:
        answer: answer to a query.
    """
    told = {
        "subject": answer.subject,
        "session": answer.session,
        "results": [
            {
                "run": run.run,
                "frequency_hz": run.frequency_hz,
                "draws": {
                    one.quantity.key: {"unit": one.quantity.unit, "values": one.draws.tolist()} for one in run.figures
                },
            }
            for run in answer.runs
        ],
        "research_use_only": RESEARCH_USE,
    }
    return json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n"


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


def _region(region: RegionFacts, digest: str | None) -> dict[str, Any]:
    return {
        "kind": region.kind,
        "name": region.name or None,
        "number": region.number,
        "volume_ml": region.volume_ml,
        "centre_ras_mm": region.centre_mm,
        "radius_mm": region.radius_mm,
        "sha256": digest,
    }


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
        **({"stiffer": {one.quantity.key: _stiffer(one) for one in run.stiffer}} if run.stiffer else {}),
        "inverted": run.made.isoformat(),
        "input_sha256": dict(run.digests),
        "warnings": [one.as_record() for one in run.warnings],
    }


def _figure(figure: QueryFigure) -> dict[str, Any]:
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
        "beyond_draws": above.words or None,
    }
    return {"words": figure.quantity.words, "unit": figure.quantity.unit, **numbers, "above": told}


def _stiffer(figure: StifferFigure) -> dict[str, Any]:
    end = SUFFIX.get(figure.quantity.unit, "")
    names = ("difference", "std", "lower", "upper", "lower_error", "upper_error")
    return {
        "words": f"{figure.quantity.words} of the region less that of the other one",
        "unit": figure.quantity.unit,
        **{f"{name}{end}": getattr(figure, name) for name in names},
        "probability": figure.probability,
        "probability_error": figure.probability_error,
        "beyond_draws": figure.words or None,
    }


def _row(answer: Answer, run: RunAnswer, figure: QueryFigure) -> tuple[object, ...]:
    above, quantity, region = figure.above, figure.quantity, answer.region
    return (
        *(answer.subject, answer.session, run.frequency_hz, region.title, quantity.key, quantity.unit),
        *(figure.mean, figure.std, figure.lower, figure.upper, region.volume_ml, run.informed_share, run.draws),
        *(run.covered_share, figure.mean_error, figure.lower_error, figure.upper_error, region.number, run.run),
        *((above.threshold_kpa, above.probability, above.error) if above else (None, None, None)),
        *(run.registration.state, run.registration.uncertainty_mm),
    )
