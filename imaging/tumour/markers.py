"""Reading of a tumour's markers from participants.tsv, and notes on hypoxia and biopsies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palpate.config.participants import NAME, read_participants
from palpate.imaging.tumour.history import TumourHistory, TumourMarkers


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
    known = {name: value for name in ("mgmt", "idh", "age") if (value := getattr(found, name)) is not None}
    if not known:
        return None, ()
    return TumourMarkers(**known), (f"markers from {NAME}: {', '.join(known)}",)


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
