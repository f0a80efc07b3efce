"""The test on hidden scans over a study's results, its record and its table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from palpate.config.participants import Participant
from palpate.config.twin import TwinSettings
from palpate.errors import InputError
from palpate.imaging.tumour.history_file import read_history
from palpate.output_kinds import FileKind, json_kind
from palpate.progress import say
from palpate.provenance import versions
from palpate.twin.trust.forecast_scores import LEVELS, GroupScore
from palpate.twin.trust.heldout import HeldoutSubject, grouped, held_out, remembered, why_left_out
from palpate.twin.trust.shift import PatientShift

HELDOUT: Final = FileKind("verify heldout", "scores on hidden scans", (".json",), json_kind("subjects", "groups"))
"""Kind of the record."""
HISTORY: Final = "history.h5"
"""Name of a subject's history in its folder twin/."""


@dataclass(frozen=True, slots=True)
class HeldoutStudy:
    """Scores of a study.

    Attributes:
        subjects: scores of the subjects that could be tested.
        left_out: reason for each other subject, by label.
        groups: scores overall and by fact.
    """

    subjects: tuple[HeldoutSubject, ...]
    left_out: dict[str, str]
    groups: tuple[GroupScore, ...]


def heldout_study(results: Path, settings: TwinSettings, facts: dict[str, Participant]) -> HeldoutStudy:
    """Test the twin on every subject's last scan.

    Args:
        results: results folder of a study, with sub-*/twin/history.h5.
        settings: settings of the twin.
        facts: participants by their labels.

    Raises:
        InputError: the folder holds no history, or none that can be tested.
    """
    files = sorted(results.glob(f"sub-*/twin/{HISTORY}"))
    subjects: list[HeldoutSubject] = []
    left_out: dict[str, str] = {}
    for number, path in enumerate(files, start=1):
        history = read_history(path)
        reason = why_left_out(history)
        if reason:
            left_out[history.subject] = reason
            continue
        say(f"sub-{history.subject}: subject {number} of {len(files)}")
        try:
            subjects.append(remembered(path, settings, partial(held_out, history, settings)))
        except InputError as error:
            left_out[history.subject] = str(error)
    if not subjects:
        told = "; ".join(f"sub-{name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise InputError(
            results,
            found=told or "no history of a tumour",
            expected="sub-*/twin/history.h5 with three scans or more",
            advice="Run the workflow first, or name the results folder of a study with tumours.",
        )
    return HeldoutStudy(tuple(subjects), left_out, grouped(subjects, facts))


def heldout_text(study: HeldoutStudy, settings: TwinSettings, shift: PatientShift | None = None) -> str:
    """Return the record.

    Args:
        study: scores of a study.
        settings: settings of the twin.
        shift: comparison with a reference; None where there was none.
    """
    record = {
        "model": "lattice",
        "levels": list(LEVELS),
        "units": {"volumes": "mL", "score": "mL", "days": "since the scan before the hidden one"},
        "groups": [asdict(one) for one in study.groups],
        "subjects": [asdict(one) for one in study.subjects],
        "left_out": study.left_out,
        "shift": None if shift is None else asdict(shift) | {"verdict": shift.verdict},
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
    }
    return json.dumps(record, indent=2) + "\n"


def heldout_table(groups: Sequence[GroupScore]) -> str:
    """Return the scores as lines for a terminal.

    Args:
        groups: scores overall and by fact.
    """
    lines = [
        f"{'group':<26}{'quantity':<15}{'n':>4}  {'90 % interval holds':<24}{'ECE':>6}{'CRPS':>8}{'no change':>11}"
    ]
    at = LEVELS.index(0.9)
    for one in groups:
        low, high = one.wilson[at]
        held = f"{100 * one.coverage[at]:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
        lines.append(
            f"{one.group[:25]:<26}{one.quantity:<15}{one.subjects:>4}  {held:<24}{one.ece:>6.2f}{one.score:>8.2f}"
            f"{one.score_of_last:>11.2f}"
        )
    return "\n".join(lines)
