"""Study page, table or JSON file, by the ending of its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from palpate.config.study import read_study
from palpate.errors import InputError
from palpate.output_kinds import FileKind, json_kind, page_kind
from palpate.outputs import claim_file
from palpate.service.study.page import render_study
from palpate.service.study.progress import study_progress
from palpate.service.study.states import StageState, StageStatus, StudyProgress, StudyUnit
from palpate.service.study.time_left import time_left
from palpate.service.study.usage import requested_amounts, usage_by_stage

COLUMNS: Final = (
    *("subject", "session", "step", "state", "reason", "warnings", "ranks", "host", "finished"),
    *("wall_s", "cpu_s", "peak_memory_mb", "requested_wall_s", "requested_threads", "requested_memory_mb"),
)
"""Columns of the table: one row for each step of each session."""


def _is_table(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        return file.readline().rstrip("\n").split("\t") == list(COLUMNS)


KINDS: Final = {
    ".html": FileKind("status", "page of a study", (".html",), page_kind("status", "Progress of the study")),
    ".tsv": FileKind("status", "table of a study's steps", (".tsv",), _is_table),
    ".json": FileKind("status", "record of a study's steps", (".json",), json_kind("study", "time_left", "usage")),
}
"""Kinds of files by the ending of their names."""


def write_study(results: Path, out: Path, table: Path | None = None) -> StudyProgress:
    """Write the progress of a study as a page, a table or JSON, and return it.

    Args:
        results: folder of results, as the workflow writes it.
        out: file to write; its ending, .html, .tsv or .json, says which.
        table: table of sessions; None for the sessions that have results.

    Raises:
        InputError: there are no results, the table cannot be read, or `out` is another file or has another ending.
    """
    target = claim_file(out, KINDS.get(out.suffix, KINDS[".html"]), {"results": results, "sessions": table})
    if out.suffix not in KINDS:
        advice = "Write --out study.html, study.tsv or study.json."
        raise InputError("--out", found=f"the ending {out.suffix!r}", expected=".html, .tsv or .json", advice=advice)
    progress = study_progress(results, None if table is None else read_study(table))
    if out.suffix == ".html":
        text = render_study(progress, results, target.path)
    else:
        text = study_table(progress) if out.suffix == ".tsv" else study_json(progress)
    with target.writing() as partial:
        partial.write_text(text, encoding="utf-8")
    return progress


def study_table(progress: StudyProgress) -> str:
    """Return the state of each step as tab-separated text; unknown figures are n/a.

    Args:
        progress: progress of the study.
    """
    lines = ["\t".join(COLUMNS)]
    lines += [
        "\t".join(_cell(_step(unit, one).get(column)) for column in COLUMNS) for unit, one in _asked_steps(progress)
    ]
    return "\n".join(lines) + "\n"


def study_json(progress: StudyProgress) -> str:
    """Return the state of each step, the time left and the use of resources as JSON.

    Args:
        progress: progress of the study.
    """
    told = {
        "seen": progress.seen.isoformat(timespec="seconds"),
        "workflow": progress.workflow or None,
        "time_left": asdict(time_left(progress)),
        "usage": [asdict(one) for one in usage_by_stage(progress)],
        "alerts": [{"subject": unit.subject, **asdict(alert)} for unit in progress.tumours for alert in unit.alerts],
        "study": [_step(unit, one) for unit, one in _asked_steps(progress)],
    }
    return json.dumps(told, indent=1) + "\n"


def _asked_steps(progress: StudyProgress) -> Iterator[tuple[StudyUnit, StageStatus]]:
    for unit in progress.units:
        yield from ((unit, one) for one in unit.stages if one.state is not StageState.UNASKED)


def _step(unit: StudyUnit, status: StageStatus) -> dict[str, Any]:
    """Return the figures of one step by the names of the columns; those that nobody knows are left out."""
    told: dict[str, Any] = {
        "subject": unit.subject,
        "session": unit.session,
        "step": status.stage.name,
        "state": status.state.value,
        "reason": status.reason,
        "warnings": list(status.codes),
    }
    if status.used is None:
        return told
    used = status.used
    return told | {
        "ranks": len(used.ranks),
        "host": list(dict.fromkeys(one.host for one in used.ranks)),
        "finished": used.finished,
        "wall_s": used.wall_s,
        "cpu_s": round(used.cpu_s, 3),
        "peak_memory_mb": round(used.peak_memory_mb, 1),
        **{f"requested_{name}": value for name, value in requested_amounts(used.requested).items()},
    }


def _cell(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return " ".join(text.split()) or "n/a"
