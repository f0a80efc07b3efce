"""Reading of a tumour's markers from participants.tsv, and notes on hypoxia and biopsies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from palpate.config.participants import NAME, Participant, read_participants
from palpate.imaging.tumour.history import TumourHistory, TumourMarkers

_UMOL_L_A_MG_DL: Final = 88.4
_FEMALE: Final = 0.85
_OLDEST: Final = 139.0
"""Age beyond which the formula has no meaning, years."""


def read_markers(table: Path, subject: str) -> tuple[TumourMarkers | None, tuple[str, ...]]:
    """Return the markers of a subject from the table of participants beside that of sessions, and notes.

    Args:
        table: table of sessions.
        subject: BIDS label.

    Returns:
        The markers, None where none is known, and a sentence on them.

    Raises:
        InputError: the table of participants cannot be used.
    """
    path = table.parent / NAME
    if not path.is_file():
        return None, ()
    found = read_participants(path).get(subject)
    if found is None:
        return None, (f"{NAME} has no line of this subject",)
    names = ("mgmt", "idh", "age", "weight_kg")
    known = {name: value for name in names if (value := getattr(found, name)) is not None}
    cleared = creatinine_clearance(found)
    known |= {} if cleared is None else {"creatinine_clearance_ml_min": cleared}
    if not known:
        return None, ()
    return TumourMarkers(**known), (f"markers from {NAME}: {', '.join(known)}",)


def creatinine_clearance(patient: Participant) -> float | None:
    """Return the clearance of creatinine by Cockcroft and Gault, mL/min; None where a fact is not known.

    It is (140 - age) w / (72 S), times 0.85 in women, with the weight w in kg and the creatinine S of serum in mg/dL.

    Args:
        patient: age, sex, weight and creatinine.

    Source: Cockcroft and Gault 1976, Nephron 16:31.
    """
    if patient.age is None or patient.weight_kg is None or patient.creatinine is None or patient.sex is None:
        return None
    factor = _FEMALE if patient.sex == "female" else 1.0
    serum_mg_dl = patient.creatinine / _UMOL_L_A_MG_DL
    return factor * (140.0 - min(patient.age, _OLDEST)) * patient.weight_kg / (72.0 * serum_mg_dl)


def biology_notes(history: TumourHistory) -> tuple[str, ...]:
    """Return a sentence on each map of hypoxia and on each date's biopsies.

    Args:
        history: history of the tumour.
    """
    sampled = [(scan.day, len(scan.biopsies)) for scan in history.scans if scan.biopsies]
    return (*_hypoxia_notes(history), *(f"biopsies of day {day:g}: {count}" for day, count in sampled))


def _hypoxia_notes(history: TumourHistory) -> tuple[str, ...]:
    return tuple(
        f"hypoxia of day {scan.day:g}: {100.0 * float(scan.hypoxia[scan.tumour].mean()):.0f} % of the visible tumour"
        if scan.tumour.any()
        else f"hypoxia of day {scan.day:g}: no visible tumour, {100.0 * float(np.max(scan.hypoxia)):.0f} % at most"
        for scan in history.scans
        if scan.hypoxia is not None
    )
