"""Folder of overrides, to which files are only added; each is called by the SHA-256 of its content."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from palpate.file_once import write_once
from palpate.service.query.answer import RESEARCH_USE
from palpate.service.serve.override import Override, OverrideForm, override_of
from palpate.service.serve.refusals import RequestRefusal

ENDING: Final = ".json"
MOST: Final = 1000
"""Most overrides of one subject."""
_MOST_BYTES: Final = 64 << 10
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""Beginnings of a cell that spreadsheets take for a formula."""


@dataclass(frozen=True, slots=True)
class KeptOverride:
    """Override in the folder.

    Attributes:
        sha256: SHA-256 of its file, by which it is called.
        override: the override.
    """

    sha256: str
    override: Override

    def told(self) -> dict[str, Any]:
        """Return the JSON object that tells of it."""
        record: dict[str, Any] = self.override.record()
        return {"override": self.sha256, **record, "session": record["session"] or None}


@dataclass(frozen=True, slots=True)
class FoundOverrides:
    """Overrides that were found, in order of time.

    Attributes:
        kept: overrides whose file has its digest.
        damaged: names of files that have another digest than their name, or hold no override.
    """

    kept: tuple[KeptOverride, ...]
    damaged: tuple[str, ...]


class OverrideStore:
    """Folder of overrides.

    Args:
        folder: the folder; it is made, and nobody else may read it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def keep(self, override: Override) -> KeptOverride:
        """Keep an override; it is on the disk when this returns, and no file is replaced.

        Args:
            override: the override.

        Raises:
            RequestRefusal: the subject has as many as may be kept.
        """
        place = self._folder / f"sub-{override.subject}"
        place.mkdir(mode=0o700, exist_ok=True)
        if sum(1 for _ in place.glob(f"*{ENDING}")) >= MOST:
            raise RequestRefusal(
                413,
                "the overrides",
                found="as many of this subject as are kept",
                expected=f"at most {MOST}",
                advice="Ask whoever runs the service to move older ones away.",
            )
        content = override.content()
        digest = sha256(content).hexdigest()
        write_once(place / f"{digest}{ENDING}", content, mode=0o400)  # there already: the same within a millisecond
        for folder in (place, self._folder):
            _sync(folder)
        return KeptOverride(digest, override)

    def find(self, subject: str = "") -> FoundOverrides:
        """Return the overrides of a subject, or of all.

        Args:
            subject: label of the subject; empty for all.
        """
        kept, damaged = [], []
        for path in sorted(self._folder.glob(f"sub-{subject or '*'}/*{ENDING}")):
            found = _read(path)
            if found is None or f"sub-{found.override.subject}" != path.parent.name:
                damaged.append(f"{path.parent.name}/{path.name}")
            else:
                kept.append(found)
        return FoundOverrides(tuple(sorted(kept, key=lambda one: (one.override.recorded, one.sha256))), tuple(damaged))


def overrides_json(found: FoundOverrides) -> str:
    """Return overrides as one JSON object.

    Args:
        found: the overrides.
    """
    listed = [one.told() for one in found.kept]
    told = {"overrides": listed, "damaged": list(found.damaged), "research_use_only": RESEARCH_USE}
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def overrides_csv(found: FoundOverrides) -> str:
    """Return overrides as CSV; an apostrophe stands before what a spreadsheet would take for a formula.

    Args:
        found: the overrides.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found.kept:
        told = one.told()
        writer.writerow([_cell(told[name]) for name in COLUMNS])
    return text.getvalue()


def _columns() -> Iterator[str]:
    yield from ("override", "recorded", "study", "subject", "session", "person", "purpose", "shown_sha256")
    yield from (one.name for one in fields(OverrideForm) if one.name not in ("shown", "session"))


COLUMNS: Final = tuple(_columns())
"""Header of the CSV."""


TEXTS: Final[Mapping[str, Callable[[FoundOverrides], str]]] = {"json": overrides_json, "csv": overrides_csv}
"""Formats of a list of overrides."""


def _cell(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) else text


def _read(path: Path) -> KeptOverride | None:
    """Return the override of a file; None where the file is another one than was kept."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
        if sha256(content).hexdigest() != path.stem:
            return None
        return KeptOverride(path.stem, override_of(content))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
