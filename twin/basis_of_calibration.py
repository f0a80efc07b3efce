"""Basis of a calibration's forecast, and the warnings of one that is not of this patient."""

from __future__ import annotations

from palpate.quality_warning import QualityWarning
from palpate.twin.basis import Basis
from palpate.twin.calibration.calibrate import Calibration


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
