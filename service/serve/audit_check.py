"""Check of audit trails: every line follows from the one before it, and none is missing up to the head."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from palpate.errors import InputError
from palpate.service.serve.audit import CHAIN, ENDING, FIRST, TrailHead

_LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TrailState:
    """State of one trail.

    Attributes:
        name: name of its file.
        lines: number of whole lines.
        faults: sentences about what is wrong; empty where the trail is whole.
        notes: sentences about what a killed service may leave.
    """

    name: str
    lines: int
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()


def check_trails(folder: Path, heads: Path) -> tuple[TrailState, ...]:
    """Return the state of every trail of which a folder holds lines or heads.

    Args:
        folder: folder of the trails.
        heads: folder of their heads.

    Raises:
        InputError: one of them is no folder.
    """
    for where, role in ((folder, "trails"), (heads, "heads")):
        if not where.is_dir():
            advice = "Name the folders audit and audit_heads of palpate serve."
            raise InputError(where, found="no folder", expected=f"the folder of the audit {role}", advice=advice)
    names = {one.stem for one in folder.glob(f"*{ENDING}")} | {one.stem for one in heads.glob("*.head")}
    return tuple(_check(one, folder / f"{one}{ENDING}", heads / f"{one}.head") for one in sorted(names))


def events_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of all trails, trail by trail; a line that cannot be read is passed over.

    Args:
        folder: folder of the trails.
    """
    for path in sorted(folder.glob(f"*{ENDING}")):
        with path.open("rb") as file:
            for line in file:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    yield found


def _check(name: str, path: Path, head_path: Path) -> TrailState:
    head = _head_of(head_path)
    if not path.is_file():
        return TrailState(name, 0, ("the trail is gone; its head is there",))
    faults: list[str] = []
    notes: list[str] = []
    digests, rest = [FIRST], b""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            if not line.endswith(b"\n"):
                rest = line
                break
            fault = _fault_of(line[:-1], len(digests) - 1, digests[-1])
            if fault:
                faults.append(fault)
            digests.append(sha256(line[:-1]).hexdigest())
    lines = len(digests) - 1
    if head is None:
        faults.append("the head is gone or damaged")
    elif lines < head.lines:
        faults.append(f"{lines} lines, where the head names {head.lines}: lines are missing at the end")
    elif digests[head.lines] != head.sha256:
        faults.append(f"line {head.lines} is not the one that the head names")
    elif lines > head.lines:
        notes.append(f"{lines - head.lines} lines after the head: written as the service was killed, or added later")
    if rest:
        notes.append("an unfinished last line: it was never answered, or was added later")
    return TrailState(name, lines, tuple(faults), tuple(notes))


def _fault_of(line: bytes, number: int, previous: str) -> str:
    """Return what is wrong with a line; empty where it follows from the one before it."""
    told = f"line {number + 1}"
    try:
        event = json.loads(line)
        chain = next(one for one in event["extension"] if one["url"] == CHAIN)
        place = {one["url"]: one.get("valueUnsignedInt", one.get("valueString")) for one in chain["extension"]}
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return f"{told} is no event of a trail"
    if place.get("previous") != previous:
        return f"{told} does not follow from the line before it"
    return "" if place.get("number") == number else f"{told} has the number of another line"


def _head_of(path: Path) -> TrailHead | None:
    try:
        told = json.loads(path.read_bytes()[:_LONGEST])
        found = TrailHead(int(told["lines"]), str(told["sha256"]), int(told["bytes"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found if path.read_bytes() == found.text() else None
