"""A cohort of simulated patients as benchmarks use it: made once, and judged by `palpate verify calibration`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.command_line import run

MODULI = {"storagemodulus": "G'", "lossmodulus": "G''"}
"""Names in files, and symbols."""


def made(folder: Path, patients: int, settings: Mapping[str, Any]) -> Path:
    """The study of so many patients, unless it is there; returns its table of sessions.

    Args:
        folder: of the study.
        patients: how many.
        settings: of the phantom, what all have in common.
    """
    table = folder / "sessions.tsv"
    if not table.exists():
        run("palpate", "phantom", "--patients", patients, "--settings", json.dumps(settings), "--out", folder)
    return table


def judged(results: Path, sessions: Path, page: Path) -> dict[str, Any]:
    """The figures of `palpate verify calibration`, which also writes the page."""
    run("palpate", "verify", "calibration", results, "--sessions", sessions, "--out", page)
    return dict(json.loads(page.with_suffix(".json").read_text(encoding="utf-8")))


def share_percent(found: Mapping[str, Any], modulus: str, kind: str) -> float:
    """How many of the 95 % intervals of one kind hold the truth."""
    return 100.0 * float(found[modulus][kind]["coverage"]["0.95"]["share"])
