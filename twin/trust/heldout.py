"""A hospital's own test of the twin: hide each subject's last scan, forecast it, and score what it shows.

The twin gets everything up to the scan before, and the treatment that was given until the hidden one, as planned. The
hidden scan is compared by what its regions enclose; a subject whose last scan has no regions, or with fewer than three
scans, is left out and said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from palpate.config.participants import Participant
from palpate.config.twin import TwinSettings
from palpate.content_digest import digest, digest_of_values
from palpate.imaging.tumour.history import TumourHistory
from palpate.provenance import atomic_file
from palpate.twin.calibration.calibrate import calibrate
from palpate.twin.forecast.predict import predict
from palpate.twin.products.figures import THRESHOLDS, observed
from palpate.twin.trust.forecast_scores import GroupScore, HiddenValue, group_score, hidden_value

FEWEST_SCANS: Final = 3
"""Least number of scans: two to calibrate, and one to hide."""
KEPT: Final = "heldout.json"
"""Name of the file of a subject's scores, beside its history."""
AGES: Final = (50.0, 65.0)
"""Ages at which groups end, years."""


@dataclass(frozen=True, slots=True)
class HeldoutSubject:
    """Scores of one subject.

    Attributes:
        subject: BIDS label.
        values: its quantities.
        size_ml: visible volume at the last scan that the twin got, millilitres.
        voxel_mm: largest edge of the images' voxels, mm.
    """

    subject: str
    values: tuple[HiddenValue, ...]
    size_ml: float
    voxel_mm: float


def why_left_out(history: TumourHistory) -> str:
    """Return why a subject cannot be tested; an empty text where it can.

    Args:
        history: history of the tumour on the images' grid.
    """
    if len(history.scans) < FEWEST_SCANS:
        return f"{len(history.scans)} scans, of which one would be hidden; at least {FEWEST_SCANS} are needed"
    if not history.scans[-1].marked or not history.scans[-2].marked:
        return "no regions were drawn at one of the last two scans"
    return ""


def held_out(history: TumourHistory, settings: TwinSettings) -> HeldoutSubject:
    """Hide the last scan of a tumour, forecast it and score the forecast.

    Args:
        history: history of the tumour on the images' grid, with at least three scans.
        settings: settings of the twin.

    Raises:
        InputError: the rest of the history cannot be calibrated.
        ValueError: the history cannot be tested (why_left_out).
    """
    reason = why_left_out(history)
    if reason:
        raise ValueError(reason)
    known = replace(history, scans=history.scans[:-1])
    day, last_day = history.scans[-1].day, known.scans[-1].day
    found = predict(calibrate(known, settings), day)
    voxel_ml = float(np.prod(history.edges_mm)) / 1e3
    before, after = observed(history.scans[-2:], voxel_ml)
    values = []
    for quantity, threshold in THRESHOLDS.items():
        seen, last = after[quantity], before[quantity]
        if seen is not None and last is not None:
            draws = found.volumes_ml(found.thresholds(threshold))
            values.append(hidden_value(history.subject, quantity, day - last_day, draws, seen, last))
    size_ml, voxel_mm = float(before["visible_ml"] or 0.0), float(history.edges_mm.max())
    return HeldoutSubject(history.subject, tuple(values), size_ml, voxel_mm)


def remembered(history: Path, settings: TwinSettings, make: Callable[[], HeldoutSubject]) -> HeldoutSubject:
    """Return a subject's scores from the file beside its history, or make and keep them; a stopped run goes on.

    Args:
        history: file of the history; kept scores of another history or other settings are made anew.
        settings: settings of the twin.
        make: function that makes the scores.
    """
    key = digest_of_values({"history": digest(history), "settings": settings.model_dump(mode="json")})
    path = history.with_name(KEPT)
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        kept = {}
    if kept.get("key") == key:
        return subject_of(kept)
    found = make()
    with atomic_file(path) as partial:
        partial.write_text(json.dumps({"key": key} | asdict(found), indent=2) + "\n", encoding="utf-8")
    return found


def subject_of(record: Mapping[str, Any]) -> HeldoutSubject:
    """Return a subject's scores from their record.

    Args:
        record: JSON object of a HeldoutSubject.
    """
    values = tuple(HiddenValue(**(one | {"held": tuple(one["held"])})) for one in record["values"])
    return HeldoutSubject(str(record["subject"]), values, float(record["size_ml"]), float(record["voxel_mm"]))


def grouped(subjects: Sequence[HeldoutSubject], facts: dict[str, Participant]) -> tuple[GroupScore, ...]:
    """Return the scores overall and by age, sex, scanner and size.

    Args:
        subjects: scores of the subjects.
        facts: participants by their labels; subjects without facts are in no group but "all" and their size.
    """
    middle_ml = float(np.median([one.size_ml for one in subjects])) if subjects else 0.0
    groups: dict[str, list[HeldoutSubject]] = {"all": list(subjects)}
    for one in subjects:
        for name in _groups_of(one, facts.get(one.subject), middle_ml):
            groups.setdefault(name, []).append(one)
    found = []
    for name, members in sorted(groups.items(), key=lambda pair: (pair[0] != "all", pair[0])):
        for quantity in THRESHOLDS:
            values = [value for one in members for value in one.values if value.quantity == quantity]
            if values:
                found.append(group_score(name, values))
    return tuple(found)


def _groups_of(one: HeldoutSubject, fact: Participant | None, middle_ml: float) -> Iterable[str]:
    yield f"size {'above' if one.size_ml > middle_ml else 'up to'} {middle_ml:.3g} mL"
    if fact is None:
        return
    if fact.age is not None:
        low, high = AGES
        middle = f"age {low:g} to {high:g}" if fact.age <= high else f"age above {high:g}"
        yield f"age below {low:g}" if fact.age < low else middle
    if fact.sex is not None:
        yield f"sex {fact.sex}"
    if fact.scanner is not None:
        yield f"scanner {fact.scanner}"
