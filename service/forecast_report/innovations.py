"""Strip and table of innovations: each scan against its prediction by the scans before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from palpate.service.forecast_report.twin_results import TwinResults
from palpate.service.forecast_report.words import digits, sentence

HEAD: Final = ("day", "stream", "number", "scan", "predicted (standard deviation)", "verdict")
"""Head of the table."""
CAPTION: Final = (
    "Scans against their prediction by the scans before. “Odd” are numbers that lie as far off in fewer than 5 % of "
    "cases if model, dates and errors are right, “wrong” in fewer than 0.1 %."
)
"""Caption of the table."""
_VERDICTS: Final = ("as expected", "odd", "wrong")


def innovation_strip(results: TwinResults) -> str:
    """Return a sentence with the verdict on each scan, the worse one of its streams; empty without innovations.

    Args:
        results: results of the twin.
    """
    worst: dict[float, str] = {}
    for one in _every(results):
        before = worst.get(one["day"], _VERDICTS[0])
        worst[one["day"]] = max(before, one["verdict"], key=_VERDICTS.index)
    if not worst:
        return ""
    parts = [f"{results.day_words(day)} {verdict}" for day, verdict in sorted(worst.items())]
    return f"{sentence('scans against their prediction by the scans before')}: {', '.join(parts)}."


def innovation_rows(results: TwinResults) -> tuple[tuple[str, ...], ...]:
    """Return the rows of the table.

    Args:
        results: results of the twin.
    """
    return tuple(_row(one, number) for one in _every(results) for number in one["numbers"])


def _row(one: Mapping[str, Any], number: Mapping[str, Any]) -> tuple[str, ...]:
    predicted = f"{digits(number['predicted'])} ({digits(number['std'])})"
    verdict = f"{one['verdict']} (p = {digits(one['probability'])})"
    return (f"{one['day']:g}", one["stream"], number["name"], digits(number["observed"]), predicted, verdict)


def _every(results: TwinResults) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = results.calibration.get("innovations", [])
    return found
