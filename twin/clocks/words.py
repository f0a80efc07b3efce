"""Words about dates: a warning where a shift explains the images, and rows for the record."""

from __future__ import annotations

import dataclasses
from typing import Any

from palpate.quality_warning import QualityWarning
from palpate.twin.clocks.posterior import ClockEstimate, ClockSummary
from palpate.twin.clocks.shift import TREATMENTS


def clock_rows(summary: ClockSummary) -> list[dict[str, Any]]:
    """Return the rows of `clocks` in calibration.json, one for each stream.

    Args:
        summary: posterior of the shifts of all streams.
    """
    return [dataclasses.asdict(one) for one in summary.estimates]


def clock_warnings(summary: ClockSummary) -> list[QualityWarning]:
    """Return a warning if dates that are wrong explain the images better than right ones.

    Args:
        summary: posterior of the shifts of all streams.
    """
    flagged = summary.flagged
    if flagged is None:
        return []
    others = "".join(f"; nearly as probable: {_shift(one)}" for one in summary.alternatives)
    sentence = (
        f"{_capital(_looks(flagged))} ({flagged.lower:g} to {flagged.upper:g}, 95 %), "
        f"with a probability of {_percent(1.0 - summary.as_dated)} that a date is wrong{others}."
    )
    table = "sessions" if flagged.stream.startswith("scan") else "treatments"
    advice = f"Check the dates of {_subject(flagged.stream)[0]} in the table of {table}, then calibrate again."
    return [QualityWarning("clock-shifted", sentence, advice)]


def _looks(one: ClockEstimate) -> str:
    subject, verb = _subject(one.stream)
    return f"{subject} {verb} {_days(one.shift_days)}"


def _shift(one: ClockEstimate) -> str:
    return f"{_subject(one.stream)[0]} {_days(one.shift_days)}"


def _subject(stream: str) -> tuple[str, str]:
    """Return a stream with its article, and the verb that goes with it."""
    if stream == TREATMENTS:
        return stream, "look"
    return ("the " + stream if stream.startswith("scan") else stream), "looks"


def _days(shift: float) -> str:
    count = f"{abs(shift):g} day" + ("" if abs(shift) == 1.0 else "s")
    return f"{count} {'late' if shift > 0 else 'early'}"


def _percent(probability: float) -> str:
    return f"{100.0 * min(probability, 0.99):.0f} %"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
