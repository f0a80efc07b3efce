"""Cohort of simulated patients for benchmarks: made once, and scored by `palpate verify calibration`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from harness.command_line import run

from palpate.config.phantom import PhantomSettings
from palpate.config.section import parse_settings
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.phantom.cohort import cohort
from palpate.imaging.phantom.study import write_sessions

MODULI = {"storagemodulus": "G'", "lossmodulus": "G''"}
"""Names of the moduli in files, and their symbols."""

PATHS = ("mre", "anatomy", "truth")
"""Columns of the table of sessions that hold paths."""


def made(folder: Path, patients: int, settings: Mapping[str, Any], ranks: int) -> Path:
    """Make the simulated patients that are not there yet, and the table of sessions of all.

    A patient is made by one process in its own folder, so that a stopped cohort goes on and a larger one keeps what a
    smaller one made.

    Args:
        folder: folder of the study.
        patients: number of patients.
        settings: settings of the phantom that all patients have in common.
        ranks: number of processes at a time.
    """
    common = parse_settings(PhantomSettings, json.dumps(settings))
    members = list(cohort(common, load_atlas(), patients))
    with ThreadPoolExecutor(ranks) as pool:  # threads only wait for palpate
        tables = list(pool.map(partial(_made_patient, folder / "patients"), members))
    rows = [row for table in tables for row in _rows(table, Path("patients", table.parent.name))]
    write_sessions(folder, rows)
    return folder / "sessions.tsv"


def _made_patient(folder: Path, member: PhantomSettings) -> Path:
    """Make one patient unless it is there, and return its table of sessions."""
    own = folder / member.subject
    if not (own / "sessions.tsv").exists():
        run("palpate", "phantom", "--settings", member.model_dump_json(), "--out", own)
    return own / "sessions.tsv"


def _rows(table: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a patient's table, with paths that begin with a folder."""
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            yield {
                name: (folder / value).as_posix() if value and name in PATHS else value for name, value in row.items()
            }


def judged(results: Path, sessions: Path, page: Path) -> dict[str, Any]:
    """Run `palpate verify calibration`, which writes a page, and return its figures."""
    run("palpate", "verify", "calibration", results, "--sessions", sessions, "--out", page)
    return dict(json.loads(page.with_suffix(".json").read_text(encoding="utf-8")))


def share_percent(found: Mapping[str, Any], modulus: str, kind: str) -> float:
    """Return the share of the 95 % intervals of one kind that hold the truth, percent."""
    return 100.0 * float(found[modulus][kind]["coverage"]["0.95"]["share"])
