"""State of one part of a result, as a check of its provenance found it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PartState(StrEnum):
    """State of a part of a result, in the words of the report."""

    WHOLE = "whole"
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "not recorded"
    UNTRUSTED = "not trusted"
    NOT_FOUND = "not found"

    @property
    def is_fault(self) -> bool:
        """Whether the result is not what its record says; an input that nobody finds is none."""
        return self not in {PartState.WHOLE, PartState.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class PartFinding:
    """State of one part of a result.

    Attributes:
        result: the result, as the report names it.
        part: the part: "signature", "record", "file NAME" or "input ROLE".
        state: its state.
        words: further remark; empty where there is none.
    """

    result: str
    part: str
    state: PartState
    words: str = ""

    def line(self) -> str:
        """Return the line of the report."""
        said = f" ({self.words})" if self.words else ""
        return f"{self.result}: {self.part}: {self.state}{said}"
