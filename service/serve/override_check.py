"""Check of overrides against the audit trail, whose lines name each of them by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from palpate.errors import InputError
from palpate.service.serve.audit_check import events_of
from palpate.service.serve.override_store import OverrideStore

ANSWER: Final = "answer "
OVERRIDE: Final = "override "
SHOWN: Final = "shown "
"""Beginnings of the names of things in a line of the trail; a digest follows."""


@dataclass(frozen=True, slots=True)
class OverridesState:
    """State of a folder of overrides.

    Attributes:
        number: number of overrides whose file has its digest.
        faults: sentences about what is wrong; empty where every override is as it was kept.
        notes: sentences about what a killed service may leave, and about answers that the trail does not name.
    """

    number: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def check_overrides(folder: Path, audit: Path) -> OverridesState:
    """Return whether every override that the trail names is there as it was kept.

    Args:
        folder: folder of overrides.
        audit: folder of the audit trails; that they hold is another check.

    Raises:
        InputError: one of them is no folder.
    """
    for where, role in ((folder, "overrides"), (audit, "audit trails")):
        if not where.is_dir():
            advice = "Name the folders overrides and audit of palpate serve."
            raise InputError(where, found="no folder", expected=f"the folder of the {role}", advice=advice)
    found = OverrideStore(folder).find()
    answers, kept = set(), set()
    for event in events_of(audit):
        for name in _names(event):
            if name.startswith(ANSWER):
                answers.add(name.removeprefix(ANSWER))
            elif name.startswith(OVERRIDE):
                kept.add(name.removeprefix(OVERRIDE))
    there = {one.sha256 for one in found.kept}
    damaged = {Path(one).stem for one in found.damaged}
    faults = [f"{one} is not as it was kept" for one in found.damaged]
    faults += [f"override {one} is gone; the trail names it" for one in sorted(kept - there - damaged)]
    notes = [
        f"override {one} has no line: the service was killed, or it was added later" for one in sorted(there - kept)
    ]
    notes += [
        f"override {one.sha256}: no line names the answer that was shown; it came from elsewhere"
        for one in found.kept
        if one.override.form.shown not in answers
    ]
    return OverridesState(len(there), tuple(faults), tuple(notes))


def _names(event: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the things in an event that ended well."""
    entities = event.get("entity")
    if event.get("outcome") == "0" and isinstance(entities, list):
        yield from (str(one.get("name", "")) for one in entities if isinstance(one, dict))
