"""Scans' points outside the model's 95 % band, each with the reason that its size suggests.

The band is that of the model's own volumes: it holds neither the error of an outline nor that of a registration. An
outline that lies e further out everywhere changes the volume V of a ball by about A e, with its surface
A = (36 pi V^2)^(1/3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from palpate.service.forecast_report.twin_results import TwinResults
from palpate.service.forecast_report.words import NAMES, digits, sentence

_SIGMAS: Final = 2.0
_BURDEN: Final = "burden_ml"


def explained_points(results: TwinResults) -> list[str]:
    """Return a sentence for each value of a scan outside the model's 95 % band; none where all lie within.

    Args:
        results: results of the twin.
    """
    told = results.calibration
    found = []
    for seen, model in zip(told["observed"], told["fitted"], strict=True):
        for name, words in NAMES.items():
            value, (lower, upper) = seen[name], model[name]["95"]
            if value is not None and not lower <= value <= upper:
                side = "below" if value < lower else "above"
                start = (
                    f"{sentence(results.day_words(seen['day']))}, {words}: {digits(value)} mL lies {side} the band of "
                    f"{digits(lower)} to {digits(upper)} mL. "
                )
                found.append(start + _reason(name, value, (lower, upper), told["settings"]))
    return found


def _reason(name: str, value: float, band: tuple[float, float], settings: Mapping[str, Any]) -> str:
    if name == _BURDEN and value < band[0]:
        return "The scan counts the cells inside its regions, the model all cells: the scan's value is smaller."
    reach_mm = _SIGMAS * math.hypot(settings.get("contour_std_mm", 0.0), settings.get("registration_std_mm", 0.0))
    nearest = band[0] if value < band[0] else band[1]
    reach_ml = (36.0 * math.pi * max(value, nearest) ** 2) ** (1.0 / 3.0) * reach_mm / 1e1
    gap = abs(value - nearest)
    if name == _BURDEN:
        gain = _SIGMAS * settings.get("cellularity_gain_log_std", 0.0) * value
        if gap <= gain + reach_ml:
            return "Errors of the measured cellularity and of the outline, which the band does not hold, explain it."
    elif gap <= reach_ml:
        return (
            f"The band holds no error of the outline: one that lies {digits(reach_mm)} mm off (two standard deviations "
            f"of outline and registration) changes the volume by {digits(reach_ml)} mL, more than the gap of "
            f"{digits(gap)} mL."
        )
    return (
        "Errors of outline and registration as assumed do not explain it: the model misses this scan. Check the scan's "
        "regions and that all treatment is in the table; the forecast starts from the model's value."
    )
