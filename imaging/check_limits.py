"""Limits of the checks that need no header, each with the figures that it stands between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """Limit of a check.

    Attributes:
        value: the limit.
        sound: worst figure of sound data.
        faulty: mildest figure of data with a planted fault.
        reason: origin of both figures.
    """

    value: float
    sound: float
    faulty: float
    reason: str


LIMITS: Final = {
    "offsets_refused": Limit(0.5, 0.99, 0.42, ""),
    "offsets_doubted": Limit(0.85, 0.99, 0.55, ""),
    "offsets_gain": Limit(0.005, 0.0, 0.02, ""),
    "wrapped_pairs": Limit(3e-4, 0.0, 0.002, ""),
    "phase_range": Limit(0.9, 0.98, 0.77, ""),
    "axes_gain": Limit(0.75, 1.0, 0.57, ""),
    "axes_least": Limit(0.2, 0.26, 0.4, ""),
    "loss_tangent": Limit(-0.05, 0.10, -0.10, ""),
    "unmeasured_share": Limit(0.001, 0.0, 0.01, ""),
    "modulus_low": Limit(0.1, 0.3, 0.06, ""),
    "modulus_high": Limit(50.0, 36.0, 75.0, ""),
    "frequency_low": Limit(5.0, 10.0, 0.05, ""),
    "frequency_high": Limit(2000.0, 1000.0, 50000.0, ""),
    "density_low": Limit(500.0, 900.0, 1.0, ""),
    "density_high": Limit(2000.0, 1100.0, 1e6, ""),
    "displacement_low": Limit(0.01, 0.1, 0.001, ""),
    "displacement_high": Limit(1000.0, 200.0, 13000.0, ""),
}
OFFSETS_REFUSED: Final = LIMITS["offsets_refused"].value
OFFSETS_DOUBTED: Final = LIMITS["offsets_doubted"].value
OFFSETS_GAIN: Final = LIMITS["offsets_gain"].value
WRAPPED_PAIRS: Final = LIMITS["wrapped_pairs"].value
PHASE_RANGE: Final = LIMITS["phase_range"].value
AXES_GAIN: Final = LIMITS["axes_gain"].value
AXES_LEAST: Final = LIMITS["axes_least"].value
LOSS_TANGENT: Final = LIMITS["loss_tangent"].value
UNMEASURED_SHARE: Final = LIMITS["unmeasured_share"].value
MODULUS_KPA: Final = (LIMITS["modulus_low"].value, LIMITS["modulus_high"].value)
FREQUENCY_HZ: Final = (LIMITS["frequency_low"].value, LIMITS["frequency_high"].value)
DENSITY_KG_M3: Final = (LIMITS["density_low"].value, LIMITS["density_high"].value)
DISPLACEMENT_UM: Final = (LIMITS["displacement_low"].value, LIMITS["displacement_high"].value)
