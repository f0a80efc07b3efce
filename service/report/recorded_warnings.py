"""Warnings that the steps of a session recorded, as sentences for its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def recorded_warnings(record: Mapping[str, Any]) -> list[str]:
    """Return the warnings in a step's record, each as one text of sentence and advice.

    Args:
        record: record of a step, or the part of it that belongs to one frequency or to the registration.
    """
    found = []
    for one in _listed(record.get("warnings")):
        if isinstance(one, Mapping):
            parts = [str(one.get(name) or "").strip() for name in ("sentence", "advice")]
            sentence, advice = parts[0] or str(one.get("code") or "").strip(), parts[1]
        else:
            sentence, advice = str(one).strip(), ""
        if sentence or advice:
            found.append(f"{sentence} {advice}".strip())
    return found


def _listed(value: object) -> list[object]:
    """Return a list as it is, a single text as a list of one, and nothing for anything else."""
    if isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, list | tuple) else []
