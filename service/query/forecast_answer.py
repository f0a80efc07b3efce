"""Answer about a forecast: when progression is likely, and which alerts there are, as forecast.json has it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.quality_warning import QualityWarning, recorded_warnings
from palpate.service.query.answer import RESEARCH_USE, beyond_words

RECORD: Final = "forecast.json"
_KEYS: Final = ("subject", "basis", "last_scan_day", "progression", "alerts", "versions")


@dataclass(frozen=True, slots=True)
class ForecastAnswer:
    """Times to progression and alerts of one forecast.

    Attributes:
        subject: label of the subject.
        basis: basis of growth and of the effect of treatment, in words.
        last_scan_day: day of the last scan, days since the first.
        progression: times to each kind of progression, as forecast.json has them.
        alerts: alerts with their states, as forecast.json has them.
        made: modification time of forecast.json.
        digest: SHA-256 of forecast.json.
        warnings: warnings of the forecast.
        versions: programs that took part.
    """

    subject: str
    basis: str
    last_scan_day: float
    progression: Sequence[Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]]
    made: datetime
    digest: str
    warnings: tuple[QualityWarning, ...]
    versions: Mapping[str, str]


def forecast_record(folder: Path) -> Path | None:
    """Return the record of the forecast that a folder is, or that the folder of a tumour holds; None for neither.

    Args:
        folder: folder that a user names.
    """
    found = (folder / RECORD, folder / "forecast" / RECORD)
    return next((one for one in found if one.is_file()), None)


def read_forecast_answer(record: Path) -> ForecastAnswer:
    """Return the answer that a forecast's record holds.

    Args:
        record: forecast.json.

    Raises:
        InputError: it cannot be read, or is of an earlier version, without times to progression.
    """
    advice = "Run palpate forecast again."
    told = read_json(record, what="the record of palpate forecast", advice=advice, record="forecast")
    missing = [key for key in _KEYS if key not in told]
    if missing or not all(isinstance(told[key], list) for key in ("progression", "alerts")):
        found = f"a record without {', '.join(missing)}" if missing else "alerts or progression that are no list"
        raise InputError(record, found=found, expected="times to progression and alerts", advice=advice)
    return ForecastAnswer(
        str(told["subject"]),
        str(told["basis"]),
        float(told["last_scan_day"]),
        told["progression"],
        told["alerts"],
        datetime.fromtimestamp(record.stat().st_mtime, tz=UTC),
        hashlib.sha256(record.read_bytes()).hexdigest(),
        recorded_warnings(told),
        {str(name): str(value) for name, value in told["versions"].items()},
    )


def forecast_json(answer: ForecastAnswer) -> str:
    """Return an answer as one JSON object; numbers keep all their digits.

    Args:
        answer: answer about a forecast.
    """
    told = {
        "subject": answer.subject,
        "basis": answer.basis,
        "last_scan_day": answer.last_scan_day,
        "progression": [
            {**one, "by_day": [{**row, "beyond_draws": _beyond(row)} for row in one["by_day"]]}
            for one in answer.progression
        ],
        "alerts": list(answer.alerts),
        "forecast_made": answer.made.isoformat(),
        "input_sha256": {"forecast": answer.digest},
        "warnings": [one.as_record() for one in answer.warnings],
        "versions": dict(answer.versions),
        "research_use_only": RESEARCH_USE,
    }
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _beyond(row: Mapping[str, Any]) -> str | None:
    return beyond_words(float(row["probability"]), int(row["draws"])) or None
