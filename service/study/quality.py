"""Codes of the warnings, and alerts, in the records of a session's steps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from palpate.bounded_read import read_bounded
from palpate.quality_warning import recorded_warnings
from palpate.renamed import with_current_keys
from palpate.service.study.states import StudyAlert

_KINDS: Final = {"_ingest.json": "ingest", "_inversion.json": "inversion", "calibration.json": "calibration"}
UNREADABLE: Final = "unreadable-record"
"""Code for a record that cannot be read, in the place of its warnings."""


def warning_codes(folder: Path, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the codes of the warnings in records, each once.

    Args:
        folder: folder of a session or of a tumour.
        patterns: patterns of the records' paths relative to it; the file's name alone may hold a star.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        for path in _matching(folder, pattern):
            try:
                record = json.loads(read_bounded(path))
                found |= dict.fromkeys(_codes(_current(path, record)))
            except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
                found[UNREADABLE] = None
    return tuple(found)


def recorded_alerts(record: Path) -> tuple[StudyAlert, ...]:
    """Return the alerts in a record that are raised or undecided; none where it cannot be read, which is a warning.

    Args:
        record: forecast.json.
    """
    try:
        told = json.loads(read_bounded(record)).get("alerts", ())
        return tuple(
            StudyAlert(str(one["code"]), str(one["state"]), str(one["sentence"]))
            for one in told
            if one["state"] != "not raised"
        )
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ()


def _matching(folder: Path, pattern: str) -> Iterator[Path]:
    inside, _, name = pattern.rpartition("/")
    home = folder / inside
    if "*" not in name:
        yield from [home / name] if (home / name).exists() else []
        return
    try:
        names = os.listdir(home)  # noqa: PTH208 - names are all that is needed of thousands of folders
    except OSError:
        return
    yield from (home / one for one in sorted(names) if fnmatchcase(one, name) and not one.startswith("."))


def _current(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return a record under its new keys; few are of older versions, and to rename keys takes longer than to read."""
    if "warnings" in record or "frequencies" in record:
        return record
    kind = next((kind for end, kind in _KINDS.items() if path.name.endswith(end)), None)
    return record if kind is None else with_current_keys(kind, record)


def _codes(record: dict[str, Any]) -> Iterator[str]:
    """Yield the codes in a record: its own, those of its frequencies and those of its registration."""
    parts = [record, *(one for one in record.get("frequencies") or [] if isinstance(one, dict))]
    anatomy = record.get("anatomy")
    registration = anatomy.get("registration") if isinstance(anatomy, dict) else None
    parts += [registration] if isinstance(registration, dict) else []
    for part in parts:
        yield from (one.code for one in recorded_warnings(part) if one.code)
    if record.get("converged") is False:
        yield "not-converged"
