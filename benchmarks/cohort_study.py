"""Cohort of simulated patients for benchmarks: made once, and scored by `palpate verify calibration`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.command_line import run

MODULI = {"storagemodulus": "G'", "lossmodulus": "G''"}
"""Names of the moduli in files, and their symbols."""


def made(folder: Path, patients: int, settings: Mapping[str, Any]) -> Path:
    """Make the study of simulated patients unless it is there; return its table of sessions.

    Args:
        folder: folder of the study.
        patients: number of patients.
        settings: settings of the phantom that all patients have in common.
    """
    table = folder / "sessions.tsv"
    if not table.exists():
        run("palpate", "phantom", "--patients", patients, "--settings", json.dumps(settings), "--out", folder)
    return table


def judged(results: Path, sessions: Path, page: Path) -> dict[str, Any]:
    """Run `palpate verify calibration`, which writes a page, and return its figures."""
    run("palpate", "verify", "calibration", results, "--sessions", sessions, "--out", page)
    return dict(json.loads(page.with_suffix(".json").read_text(encoding="utf-8")))


def share_percent(found: Mapping[str, Any], modulus: str, kind: str) -> float:
    """Return the share of the 95 % intervals of one kind that hold the truth, percent."""
    return 100.0 * float(found[modulus][kind]["coverage"]["0.95"]["share"])
