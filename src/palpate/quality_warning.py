"""Warnings about data and results, which a user must know although the step went on."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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
        return f"{self.sentence} {self.advice}"

    def as_record(self) -> dict[str, str]:
        """Return the JSON object of a record's list of warnings."""
        return asdict(self)
