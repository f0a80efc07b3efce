"""Basis of a forecast: this patient's scans, the population where there is one scan, or numbers that a user gave."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from palpate.quality_warning import QualityWarning
from palpate.twin.calibration.calibrate import Calibration

BASIS_CODES: Final = ("population-forecast", "given-parameters")
"""Codes of the warnings of forecasts that are not of this patient."""


class Basis(StrEnum):
    """What growth and treatment effect of a forecast rest on, in the words that every output states."""

    PATIENT = "this patient's scans"
    POPULATION = "population, not this patient"
    GIVEN = "given rates, not this patient"

    @property
    def of_patient(self) -> bool:
        """Whether the forecast is of this patient."""
        return self is Basis.PATIENT


def basis(calibration: Calibration) -> Basis:
    """Return what a calibration's forecast rests on.

    One scan shows where the tumour is; two show how fast it grows.

    Args:
        calibration: calibration of the tumour.
    """
    if calibration.given is not None:
        return Basis.GIVEN
    return Basis.PATIENT if len(calibration.history.scans) > 1 else Basis.POPULATION


def basis_warnings(calibration: Calibration) -> tuple[QualityWarning, ...]:
    """Return a warning where the forecast is not of this patient.

    Args:
        calibration: calibration of the tumour.
    """
    found = basis(calibration)
    if found is Basis.POPULATION:
        sentence = (
            f"Forecast of the {found}: there is one scan, which shows where the tumour is and not how it grows. Rates "
            "and effects of treatment are the prior's."
        )
        advice = "Add a second dated scan; until then read the interval as the spread between patients."
        return (QualityWarning("population-forecast", sentence, advice),)
    if found is Basis.GIVEN:
        named = ", ".join(sorted(calibration.given or {}))
        sentence = f"Forecast with {found}: {named} come from a file, all other numbers are the prior's medians."
        advice = "It is one run of the model without any interval; for a forecast of the patient calibrate the twin."
        return (QualityWarning("given-parameters", sentence, advice),)
    return ()
