"""Streams from FHIR R4: an Observation, a Bundle of them, or lines of them (NDJSON).

The stream is the code's text, else its first display or code; a component's name follows behind a dot. `effective` says
when it was measured, `issued` when it became known. Results that were entered in error, cancelled or only registered
are left out, and so are those without a number; both are counted.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from palpate.bounded_read import OversizeError, read_bounded
from palpate.errors import InputError
from palpate.imaging.tumour.streams.moment import demand_known_after, demand_past, moment_of
from palpate.imaging.tumour.streams.stated import StatedValue, demand_name, demand_unit

STATUSES: Final = ("preliminary", "final", "amended", "corrected")
"""Status of an Observation that states a result."""
_WITHOUT: Final = ("registered", "cancelled", "entered-in-error", "unknown")
_ADVICE: Final = "Export Observations of FHIR R4 as JSON (docs/streams.md)."


def read_fhir_observations(path: Path, today: datetime.date) -> tuple[tuple[StatedValue, ...], tuple[str, ...]]:
    """Read the streams of all subjects.

    Args:
        path: JSON or NDJSON file.
        today: date of today; nothing can have been measured after it.

    Returns:
        The numbers, in the file's order, and what was left out, in sentences without identity.

    Raises:
        InputError: the file is no such resource, or an Observation in it cannot be used.
    """
    found: list[StatedValue] = []
    retracted = empty = 0
    for number, one in enumerate(_observations(path), start=1):
        where = f"{path}, Observation {number}"
        status = one.get("status")
        if status in _WITHOUT:
            retracted += 1
            continue
        if status not in STATUSES:
            expected = f"one of {', '.join((*STATUSES, *_WITHOUT))}"
            raise InputError(f"{where}, status", found=repr(status)[:40], expected=expected, advice=_ADVICE)
        values = list(_values(where, one, today))
        empty += not values
        found += values
    notes = []
    if retracted:
        notes.append(f"{path.name}: {retracted} observations that are cancelled or in error were left out")
    if empty:
        notes.append(f"{path.name}: {empty} observations without a number were left out")
    return tuple(found), tuple(notes)


def _observations(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the Observations of a file, other resources of a Bundle left out."""
    try:
        text = read_bounded(path).decode("utf-8-sig")
        parts = text.splitlines() if path.suffix == ".ndjson" else [text]
        resources = [json.loads(part) for part in parts if part.strip()]
    except FileNotFoundError as error:
        raise InputError(path, found="no such file", expected="FHIR Observations", advice=_ADVICE) from error
    except OversizeError as error:
        raise InputError(path, found=str(error), expected="FHIR Observations", advice=_ADVICE) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(path, found="text that is not JSON", expected="FHIR Observations", advice=_ADVICE) from error
    for resource in resources:
        kind = resource.get("resourceType") if isinstance(resource, dict) else None
        if kind == "Observation":
            yield resource
        elif kind == "Bundle":
            entries = resource.get("entry", [])
            inside = [one.get("resource") for one in entries if isinstance(one, dict)]
            yield from (one for one in inside if isinstance(one, dict) and one.get("resourceType") == "Observation")
        else:
            found = f"a resource of type {kind!r}"[:60]
            raise InputError(path, found=found, expected="an Observation or a Bundle of them", advice=_ADVICE)


def _values(where: str, one: Mapping[str, Any], today: datetime.date) -> Iterator[StatedValue]:
    """Yield the numbers of an Observation: its own and those of its components."""
    parts = [("", one), *((_name(where, part), part) for part in _listed(one, "component"))]
    numbers = [(name, part["valueQuantity"]) for name, part in parts if isinstance(part.get("valueQuantity"), dict)]
    if not numbers:
        return
    subject, stream = _subject(where, one), _name(where, one)
    acquired = moment_of(where, "effectiveDateTime", _effective(where, one))
    demand_past(where, "effectiveDateTime", acquired, today)
    issued = one.get("issued")
    stated = acquired if issued is None else moment_of(where, "issued", str(issued))
    available = demand_known_after(where, acquired, stated)
    for name, quantity in numbers:
        full = demand_name(where, f"{stream}.{name}" if name else stream)
        unit = demand_unit(where, str(quantity.get("code", quantity.get("unit", ""))))
        yield StatedValue(where, subject, full, unit, acquired, available, _number(where, quantity), None)


def _number(where: str, quantity: Mapping[str, Any]) -> float:
    value = quantity.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
        found, advice = repr(value)[:40], _ADVICE
        raise InputError(f"{where}, valueQuantity", found=found, expected="a finite number", advice=advice)
    if quantity.get("comparator"):
        raise InputError(
            f"{where}, valueQuantity",
            found=f"a bound, {str(quantity['comparator'])[:4]}{value:g}",
            expected="a measured number",
            advice="A bound of detection is no measurement: leave the Observation out.",
        )
    return float(value)


def _effective(where: str, one: Mapping[str, Any]) -> str:
    stated = one.get("effectiveDateTime", one.get("effectiveInstant"))
    if isinstance(stated, str):
        return stated
    raise InputError(
        f"{where}, effectiveDateTime",
        found="none" if stated is None else repr(stated)[:40],
        expected="the time of the measurement; a period or schedule is none",
        advice="Export the Observation with effectiveDateTime.",
    )


def _subject(where: str, one: Mapping[str, Any]) -> str:
    """Return the label of the subject: the identifier's value, else what ends the reference."""
    subject = one.get("subject")
    subject = subject if isinstance(subject, dict) else {}
    identifier = subject.get("identifier")
    label = identifier.get("value") if isinstance(identifier, dict) else None
    label = label if isinstance(label, str) else str(subject.get("reference", "")).rpartition("/")[2]
    if not label:
        raise InputError(
            f"{where}, subject",
            found="none",
            expected="the study's label of the subject as identifier or at the end of the reference",
            advice="Export Observations of one subject with the label, such as Patient/01.",
        )
    return label.removeprefix("sub-")


def _name(where: str, part: Mapping[str, Any]) -> str:
    """Return the name that a code gives a stream: letters, digits and underscores."""
    code = part.get("code")
    code = code if isinstance(code, dict) else {}
    coding = _listed(code, "coding")
    first = coding[0] if coding else {}
    named = code.get("text") or first.get("display") or first.get("code") or ""
    name = re.sub(r"[^a-z0-9]+", "_", str(named).lower()).strip("_")[:60]
    if not name:
        raise InputError(f"{where}, code", found="none", expected="what was observed", advice=_ADVICE)
    return name


def _listed(one: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = one.get(key, [])
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
