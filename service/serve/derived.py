"""List of everything that came from a subject: finished outputs, and answers that left the service."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.output_marker import is_marked, read_mark
from palpate.service.query.fhir import SUBJECTS
from palpate.service.serve.audit_check import events_of
from palpate.service.serve.override_check import OVERRIDE

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class DerivedThing:
    """Output of a step, or answers or overrides of one day, that came from a subject.

    Attributes:
        what: noun phrase for it.
        where: place in the results, or the day and the person who was answered.
        count: number of files or answers.
    """

    what: str
    where: str
    count: int


def derived_of(results: Path, subject: str, audit: Path | None) -> tuple[DerivedThing, ...]:
    """Return what was derived from a subject.

    Args:
        results: folder of results.
        subject: label of the subject.
        audit: folder of the audit trails; None for none.
    """
    found = []
    root = results / f"sub-{subject}"
    for folder in sorted(one for one in (root, *root.rglob("*")) if one.is_dir() and not one.is_symlink()):
        names = [one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")]
        if names:
            step = read_mark(folder).step if is_marked(folder) else ""
            what = f"output of palpate {step}" if step else "files"
            found.append(DerivedThing(what, folder.relative_to(results).as_posix(), len(names)))
    if audit is not None and audit.is_dir():
        found += _answers(audit, subject)
    return tuple(found)


def _answers(audit: Path, subject: str) -> list[DerivedThing]:
    counts: Counter[tuple[str, str, str]] = Counter()
    for event in events_of(audit):
        about = (one.get("what", {}).get("identifier", {}) for one in event.get("entity", ()))
        if event.get("outcome") == "0" and any(
            one.get("system") == SUBJECTS and one.get("value") == f"sub-{subject}" for one in about
        ):
            day = _DATE.match(str(event.get("recorded", "")))
            person = str(event["agent"][0].get("who", {}).get("identifier", {}).get("value", "unknown"))
            kept = any(str(one.get("name", "")).startswith(OVERRIDE) for one in event.get("entity", ()))
            counts[("overrides" if kept else "answers", day[0] if day else "unknown day", person)] += 1
    joined = {"answers": "to", "overrides": "by"}
    return [
        DerivedThing(what, f"{day} {joined[what]} {person}", count)
        for (what, day, person), count in sorted(counts.items())
    ]
