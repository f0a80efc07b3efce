"""Basis of a forecast: this patient's scans, the population where there is one scan, or numbers that a user gave."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

BASIS_CODES: Final = ("population-forecast", "given-parameters")
"""Codes of the warnings of forecasts that are not of this patient."""


class Basis(StrEnum):
    """Basis of growth and of the effect of treatment in a forecast, in the words that every output states."""

    PATIENT = "this patient's scans"
    POPULATION = "population, not this patient"
    GIVEN = "given rates, not this patient"

    @property
    def of_patient(self) -> bool:
        """Whether the forecast is of this patient."""
        return self is Basis.PATIENT
