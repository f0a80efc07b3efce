"""JSON record beside a tumour's history: courses as they will be applied, notes and warnings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palpate.imaging.tumour.history import TumourHistory
from palpate.output_kinds import FileKind
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning

_COURSES: Final = "radiotherapy_courses"


@dataclass(frozen=True, slots=True)
class Remarks:
    """Remarks made in reading a history; without names or dates.

    Attributes:
        notes: assumptions made in reading, in sentences.
        warnings: findings that a user must check.
        courses: JSON objects of radiotherapy as it will be applied (RadiotherapyCourse.as_record).
    """

    notes: tuple[str, ...] = ()
    warnings: tuple[QualityWarning, ...] = ()
    courses: tuple[dict[str, float], ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Return the JSON object of the remarks."""
        return {
            _COURSES: list(self.courses),
            "notes": list(self.notes),
            "warnings": [one.as_record() for one in self.warnings],
        }


def _is_record(path: Path) -> bool:
    return f'"{_COURSES}"'.encode() in path.read_bytes()


HISTORY_RECORD: Final = FileKind("tumour", "record of a tumour's history", (".json",), _is_record)
"""Kind of the JSON file beside a history."""


def record_beside(history: Path) -> Path:
    """Return the path of a history's record, beside the history's file."""
    return history.with_name(history.name.removesuffix(".h5") + ".json")


def _stream_record(history: TumourHistory, name: str) -> dict[str, Any]:
    own = [one for one in history.streams if one.stream == name]
    days = [one.acquired for one in own]
    return {"stream": name, "unit": own[0].unit, "values": len(own), "first_day": min(days), "last_day": max(days)}


def history_record(history: TumourHistory, remarks: Remarks) -> str:
    """Return the content of a history as JSON, for people and programs that do not open HDF5.

    Args:
        history: history of one subject.
        remarks: remarks made in reading it.
    """
    drugs = sorted({one.drug for one in history.drug_doses})
    record = {
        "subject": history.subject,
        "units": {"doses": "Gy", "drugs": "mg", "days": "since the first scan"},
        "scan_days": [scan.day for scan in history.scans],
        "drugs": [
            {"drug": drug, "doses": len(given), "amount_mg": float(sum(given))}
            for drug in drugs
            if (given := [one.amount_mg for one in history.drug_doses if one.drug == drug])
        ],
        "surgery_days": [one.day for one in history.surgeries],
        "stiffness": history.stiffness is not None,
        "streams": [_stream_record(history, name) for name in sorted({one.stream for one in history.streams})],
        **remarks.as_record(),
        "versions": versions(),
    }
    return json.dumps(record, indent=2) + "\n"
