"""State of an alert."""

from __future__ import annotations

from enum import StrEnum


class AlertState(StrEnum):
    """State of an alert; its value is the word in records."""

    RAISED = "raised"
    NOT_RAISED = "not raised"
    UNDECIDED = "undecided"
