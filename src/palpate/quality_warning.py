"""Warnings about data and results, which a user must know although the step went on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class QualityWarning:
    """Warning that stands in a record, in the log and on the page.

    Attributes:
        code: stable name in kebab-case, such as "sign-of-time"; docs/warnings.md lists every code.
        sentence: the finding and its cause, one sentence for a user.
        advice: the remedy, one sentence.
    """

    code: str
    sentence: str
    advice: str

    def __str__(self) -> str:
        """Return sentence and advice as one text, as the log and the page show them."""
        return f"{self.sentence} {self.advice}".strip()

    def as_record(self) -> dict[str, str]:
        """Return the JSON object of a record's list of warnings."""
        return asdict(self)


def recorded_warnings(record: Mapping[str, Any]) -> tuple[QualityWarning, ...]:
    """Return the warnings in a step's record, each once; an entry of another form is a warning of its words.

    Args:
        record: record of a step, or the part of it that belongs to one frequency or to the registration.
    """
    found = [one for one in map(_recorded, _listed(record.get("warnings"))) if str(one)]
    return tuple(dict.fromkeys(found))


def _recorded(entry: object) -> QualityWarning:
    """Return the warning that an entry of a record's list states."""
    if not isinstance(entry, Mapping):
        return QualityWarning("older-record", str(entry).strip(), "")
    stated = {name: str(entry.get(name) or "").strip() for name in ("code", "sentence", "advice")}
    return QualityWarning(**stated | {"sentence": stated["sentence"] or stated["code"]})


def _listed(value: object) -> list[object]:
    """Return a list as it is, a single text as a list of one, and nothing for anything else."""
    if isinstance(value, str):
        return [value]
    return list(value) if isinstance(value, list | tuple) else []
