"""Warnings that the steps of a session recorded, as sentences for its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def recorded_warnings(record: Mapping[str, Any]) -> list[str]:
    """Return the warnings in a step's record, each as one text of sentence and advice.

    `warnings` holds objects of code, sentence and advice; `doubts`, the older key, holds sentences. Where both are
    present, a doubt is shown only if no warning states it, so that no warning is lost that stands in one list alone.

    Args:
        record: record of a step, or the part of it that belongs to one frequency or to the registration.
    """
    found, said = [], []
    for one in _listed(record.get("warnings")):
        if isinstance(one, Mapping):
            parts = [str(one.get(name) or "").strip() for name in ("sentence", "advice")]
            sentence, advice = parts[0] or str(one.get("code") or "").strip(), parts[1]
        else:
            sentence, advice = str(one).strip(), ""
        if sentence or advice:
            found.append(f"{sentence} {advice}".strip())
            said.append(sentence)
    for doubt in map(str, _listed(record.get("doubts"))):
        if doubt.strip() and not any(doubt in text for text in found) and not any(s and s in doubt for s in said):
            found.append(doubt.strip())
    return found


def _listed(value: object) -> list[object]:
    """Return a list as it is, a single text as a list of one, and nothing for anything else."""
    if isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, list | tuple) else []
