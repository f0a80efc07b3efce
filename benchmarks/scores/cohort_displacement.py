"""Displacement of the brain by the tumours of growth_cohort.py: forecasts, true values and scores.

The truth's displacements are on boxes and voxels of its own, in a head that ends elsewhere, by its own density,
stiffness and lambda / s, of which the twin has no more than a prior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from harness.record import Row
from scores.cohort_scores import LEVELS, POPULATION, TRUE, TWIN, Told, Values, coverage, each_crps, in_words

from palpate.config.longitudinal import LongitudinalSettings

if TYPE_CHECKING:
    from palpate.twin.calibration.calibrate import Calibration
    from palpate.twin.forecast.mass_effect import MassEffectOverTime

KNOWN: Final = "displacement, lambda / s known"
QUANTITIES: Final = {
    "displacement": "mean displacement of the brain around, forecast",
    "displacement today": "mean displacement of the brain around, last day seen",
    "largest displacement": "largest displacement of the brain around, forecast",
    "further displacement": "mean displacement yet to come",
    KNOWN: "mean displacement, forecast with lambda / s known",
}
"""Quantities that are scored, by their names in told.json."""
JUDGED: Final = ("displacement", "displacement today")
"""Quantities that have goals."""


def said(calibration: Calibration, moved: MassEffectOverTime, settings: LongitudinalSettings) -> dict[str, list[float]]:
    """Return the draws of every quantity, millimetres.

    Args:
        calibration: calibration of the tumour.
        moved: mass effect with the forecast of one day.
        settings: settings of the truth, for the forecast with lambda / s known.
    """
    from palpate.twin.forecast.mass_effect import swellings_pa

    (ahead,), now = moved.ahead, moved.now
    true_pa = settings.tumour_pressure_pa / settings.rest_stiffness
    known = true_pa / swellings_pa(calibration.settings, len(ahead.means_mm))
    values = (ahead.means_mm, now.means_mm, ahead.largest_mm, ahead.means_mm - now.means_mm, known * ahead.means_mm)
    return {name: one.tolist() for name, one in zip(QUANTITIES, values, strict=True)}


def came(truth: dict[str, Any], last: int, day: int) -> dict[str, float]:
    """Return the true quantities, millimetres, in the brain around the tumour of the last day seen.

    Args:
        truth: content of truth.json.
        last: day of the last scan that the twin knows.
        day: day of the forecast.
    """
    mean, largest = (truth[name][str(last)] for name in ("displacement_mm", "largest_displacement_mm"))
    then, now = mean[str(day)], mean[str(last)]
    return dict(zip(QUANTITIES, (then, now, largest[str(day)], then - now, then), strict=True))


def displaced(told: list[dict[str, Any]]) -> list[Row]:
    """Return the record's rows of the displacement of tissue."""
    rows = []
    for quantity, what in QUANTITIES.items():
        judged = quantity in JUDGED
        ones = {name: _told(told, name, quantity) for name in (TWIN, POPULATION, TRUE)}
        for level in LEVELS if judged else (0.9,):
            held = {name: 100.0 * coverage(some, level) for name, some in ones.items()}
            goal = "85..95" if judged and level == 0.9 else ""
            rows.append(Row(f"{what}: {level:.0%} intervals that hold it", "%", held.pop(TWIN), None, held, goal))
        scores = {name: float(np.mean(each_crps(some))) for name, some in ones.items()}
        goal = f"< {scores[POPULATION]:.4g}" if judged else ""
        rows.append(Row(f"{what}: CRPS, mean", "mm", scores.pop(TWIN), None, scores, goal))
    return rows


def compared_displacements(told: list[dict[str, Any]]) -> list[str]:
    """Return sentences on how much the elastogram improves the scores of the displacement, patient by patient."""
    notes = []
    for quantity, what in QUANTITIES.items():
        ours = each_crps(_told(told, TWIN, quantity))
        for name in (POPULATION, TRUE):
            better: Values = each_crps(_told(told, name, quantity)) - ours
            notes.append(in_words(f"{what}, CRPS of '{name}'", better, "mm"))
    return notes


def _told(told: list[dict[str, Any]], variant: str, quantity: str) -> list[Told]:
    return [Told(np.array(one["variants"][variant][quantity]), float(one["truth"][quantity])) for one in told]
