"""Scores of a forecast against the truth of an in-silico patient: errors, and the intervals that hold the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from palpate.errors import InputError
from palpate.imaging.files.json_object import read_json
from palpate.output_kinds import FileKind, json_kind
from palpate.outputs import claim_file

_TRUE = {"enhancing_ml": "volume_enhancing_ml", "visible_ml": "volume_visible_ml", "burden_ml": "burden_ml"}
"""Names in the truth by names in the forecast."""
_MEAN, _LARGEST, _ADDITIONAL = "displacement_mm", "largest_displacement_mm", "additional_displacement_mm"
"""Names of displacements; the truth has the first two for the brain around the tumour of each scan."""
_LEVELS = ("50", "80", "90", "95")


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """Forecast and truth of one quantity on one day.

    Attributes:
        day: days since the first scan.
        quantity: name of the quantity.
        truth: true value in the quantity's unit, mL or mm.
        median: median of the forecast, same unit.
        lower, upper: ends of the forecast's 95 % interval, same unit.
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
    """Compare every day of a forecast for which the truth is known.

    Args:
        folder: output folder of palpate forecast.
        truth: path of truth.json.

    Raises:
        InputError: a file is missing or unreadable, or no day is in both.
    """
    said = read_json(folder / "forecast.json", advice="Run palpate forecast again.", record="forecast")
    known = read_json(truth, what="the truth of an in-silico patient", advice="Give truth.json of palpate phantom.")
    scores = []
    for row in said.get("forecast", []):
        day = f"{row['day']:g}"
        for name, true in _known(known, said, day).items():
            if name not in row:
                continue
            told = row[name]
            held = tuple(level for level in _LEVELS if told[level][0] <= true <= told[level][1])
            lower, upper = told["95"]
            scores.append(ForecastScore(float(row["day"]), name, true, told["median"], lower, upper, held))
    if not scores:
        days = ", ".join(str(day) for day in known.get("days", [])) or "none"
        raise InputError(
            folder,
            found="no day that the truth contains",
            expected=f"one of days {days}",
            advice="Ask palpate forecast for these days.",
        )
    return tuple(scores)


def _known(truth: Mapping[str, Any], said: Mapping[str, Any], day: str) -> dict[str, float]:
    """Return what is true of a day, by the forecast's names."""
    found = {name: float(truth[one][day]) for name, one in _TRUE.items() if day in truth.get(one, {})}
    moved = said.get("mass_effect") or {}
    around, last = (f"{day:g}" for day in (moved.get("around_day", -1), said.get("last_scan_day", -1)))
    mean, largest = (truth.get(name, {}).get(around, {}) for name in (_MEAN, _LARGEST))
    found |= {name: float(of[day]) for name, of in ((_MEAN, mean), (_LARGEST, largest)) if day in of}
    if day in mean and last in mean:
        found[_ADDITIONAL] = float(mean[day]) - float(mean[last])
    return found


SCORES: Final = FileKind(
    "verify forecast", "file of scores", (".json",), json_kind("quantity", "truth", "held_by", inside=True)
)
"""Kind of the file of scores."""


def write_scores(path: Path, scores: Sequence[ForecastScore]) -> None:
    """Write the scores as JSON; an interrupted run leaves no partial file.

    Raises:
        InputError: the path holds another file.
    """
    with claim_file(path, SCORES, {}).writing() as partial:
        partial.write_text(json.dumps([asdict(one) for one in scores], indent=2) + "\n", encoding="utf-8")


def table_of(scores: Sequence[ForecastScore]) -> str:
    """Return the scores as lines for a terminal."""
    lines = [f"{'day':>5} {'quantity':<26}{'truth':>8}{'median':>8}   {'95 % interval':<18}held by"]
    for one in scores:
        digits = 2 if one.quantity.endswith("_mm") else 1
        interval = f"{one.lower:.{digits}f} to {one.upper:.{digits}f}"
        held = ", ".join(f"{level} %" for level in one.held_by) or "none"
        lines.append(
            f"{one.day:>5g} {one.quantity:<26}{one.truth:>8.{digits}f}{one.median:>8.{digits}f}   {interval:<18}{held}"
        )
    return "\n".join(lines)
