"""Line of the check: one topic's answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether what was found suffices for a run."""

    SUFFICES = "suffices"
    NOTE = "note"
    """Work can run; the advice makes it better or safer."""
    MISSING = "missing"
    """Work cannot run, or not to its end."""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """Answer of one topic.

    Attributes:
        topic: name of the topic.
        found: noun phrase for the thing found.
        verdict: whether it suffices.
        advice: sentence that says what to do; empty where nothing is to be done.
    """

    topic: str
    found: str
    verdict: Verdict = Verdict.SUFFICES
    advice: str = ""

    def __post_init__(self) -> None:
        """Refuse a complaint without advice."""
        if self.verdict is not Verdict.SUFFICES and not self.advice:
            raise ValueError(f"{self.topic}: {self.found}, without advice")
