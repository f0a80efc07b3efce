"""A forecast against the truth of an in-silico patient: errors, and which intervals hold it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from palpate.errors import InputError
from palpate.imaging.json_object import read_json
from palpate.provenance import atomic_file

_TRUE = {"enhancing_ml": "volume_enhancing_ml", "visible_ml": "volume_visible_ml", "burden_ml": "burden_ml"}
"""Names in the truth by names in the forecast."""
_LEVELS = ("50", "80", "90", "95")


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """One quantity on one day.

    Attributes:
        day: since the first scan.
        quantity: its name.
        truth: mL.
        median: of the forecast, mL.
        lower, upper: ends of the 95 % interval, mL.
        held_by: levels, in percent, of the intervals that hold the truth.
    """

    day: float
    quantity: str
    truth: float
    median: float
    lower: float
    upper: float
    held_by: tuple[str, ...]


def score_forecast(folder: Path, truth: Path) -> tuple[ForecastScore, ...]:
    """Compare every day of a forecast that the truth knows.

    Args:
        folder: of palpate forecast.
        truth: truth.json.

    Raises:
        InputError: a file is missing or unreadable, or no day is in both.
    """
    said = read_json(folder / "forecast.json", advice="Run palpate forecast again.")
    known = read_json(truth, what="the truth of an in-silico patient", advice="Give truth.json of palpate phantom.")
    scores = []
    for row in said.get("forecast", []):
        day = f"{row['day']:g}"
        for name, true_name in _TRUE.items():
            if day not in known.get(true_name, {}):
                continue
            true, told = float(known[true_name][day]), row[name]
            held = tuple(level for level in _LEVELS if told[level][0] <= true <= told[level][1])
            lower, upper = told["95"]
            scores.append(ForecastScore(float(row["day"]), name, true, told["median"], lower, upper, held))
    if not scores:
        days = ", ".join(str(day) for day in known.get("days", [])) or "none"
        raise InputError(
            folder,
            found="no day that the truth knows",
            expected=f"one of days {days}",
            advice="Ask palpate forecast for these days.",
        )
    return tuple(scores)


def write_scores(path: Path, scores: Sequence[ForecastScore]) -> None:
    """Write the scores as JSON, whole or not at all."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps([asdict(one) for one in scores], indent=2) + "\n", encoding="utf-8")


def table_of(scores: Sequence[ForecastScore]) -> str:
    """The scores as lines for a terminal."""
    lines = [f"{'day':>5} {'quantity, mL':<14}{'truth':>8}{'median':>8}   {'95 % interval':<18}held by"]
    for one in scores:
        interval = f"{one.lower:.1f} to {one.upper:.1f}"
        held = ", ".join(f"{level} %" for level in one.held_by) or "none"
        lines.append(f"{one.day:>5g} {one.quantity:<14}{one.truth:>8.1f}{one.median:>8.1f}   {interval:<18}{held}")
    return "\n".join(lines)
