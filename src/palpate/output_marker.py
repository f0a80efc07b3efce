"""The marker of an output folder: which step made it, and what it wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from palpate import __version__

MARKER: Final = ".palpate"
"""File that marks a folder as palpate's own and names the step that made it, so that its re-run may replace it."""

_CONTENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "phantom": ("sessions.tsv",),
    "deidentify": ("deidentification.json",),
    "ingest": ("*_wavefield.json",),
    "mesh": ("*_zones.h5", "labels_mesh.json"),
    "invert": ("*_inversion.json",),
    "overlay": ("*_space-T1w_*", "no_maps_on_anatomy.txt"),
    "calibrate": ("calibration.h5",),
    "forecast": ("forecast.json",),
    "maps": ("*.dcm", "no_dicom_source.txt"),
    "fetch": ("series[0-9]*", "series-[0-9]*"),
}
"""Names by which the output of each step is known. Markers of older versions do not name the step."""

_ADDED: Final = ("scores.json", "regions.tsv", "change.tsv", "report.html", "outlook.html", "calibration.html")
"""Names that commands add to results of other steps. They describe these results and go with them."""


def strangers_in(path: Path, files: frozenset[str] | None) -> int:
    """Count the visible files in an output that its step did not write; an output of another step counts once.

    Their names are not told: whoever put them there may have named them after a patient.

    Args:
        path: the output folder.
        files: what the step wrote, relative to it; None where nobody knows, so that only other outputs count.
    """
    found = 0
    for folder, below, names in os.walk(path):
        here = Path(folder)
        if here != path and (here / MARKER).is_file():
            found += 1
            below.clear()
            continue
        below[:] = sorted(name for name in below if not name.startswith("."))
        if files is not None:
            inside = [(here / name).relative_to(path).as_posix() for name in sorted(names) if not name.startswith(".")]
            found += sum(name not in files and Path(name).name not in _ADDED for name in inside)
    return found


def mark(folder: Path, step: str) -> None:
    """Write the marker: which step made the folder, and every file that it wrote."""
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir())
    told = {
        "written_by": f"palpate {__version__}",
        "step": step,
        "note": "A re-run of this step replaces this folder as a whole.",
        "files": sorted(files),
    }
    (folder / MARKER).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def read_mark(path: Path) -> tuple[str | None, frozenset[str] | None]:
    """Return the step that made a folder, and the files that it wrote where the marker lists them."""
    text = (path / MARKER).read_text(encoding="utf-8", errors="replace")
    try:
        told = json.loads(text)
        return str(told["step"]), frozenset(str(name) for name in told["files"])
    except (ValueError, KeyError, TypeError):
        return _step_by_contents(path), None


def _step_by_contents(path: Path) -> str | None:
    """Return the step that made a folder whose marker names none, by the names in it."""
    names = [one.name for one in path.iterdir()]
    made = (step for step, patterns in _CONTENTS.items() if _any_match(names, patterns))
    return next(made, None)


def _any_match(names: Iterable[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name, pattern) for name in names for pattern in patterns)
