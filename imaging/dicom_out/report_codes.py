"""Codes of structured reports: quantities, statistics and facts of a region, and their units.

DICOM has no code for a shear modulus nor for a credible interval, so that these are of the private scheme 99PALPATE.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydicom.sr.coding import Code

type Fact = tuple[Code, float, str]
"""Fact of a region: concept, value and unit."""

SCHEME: Final = "99PALPATE"
"""Designator of palpate's private coding scheme."""


def _own(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)


CONCEPTS: Final[Mapping[str, Code]] = {
    "storage_modulus": _own("STORAGE", "Shear storage modulus G'"),
    "loss_modulus": _own("LOSS", "Shear loss modulus G''"),
    "magnitude": _own("MAGNITUDE", "Magnitude of the complex shear modulus"),
    "loss_tangent": _own("LOSS-TANGENT", "Loss tangent G''/G'"),
    "wave_speed": _own("WAVE-SPEED", "Phase speed of shear waves"),
    "phase_angle": _own("PHASE-ANGLE", "Phase angle of the complex shear modulus"),
    "attenuation": _own("ATTENUATION", "Attenuation of shear waves"),
    "damping_ratio": _own("DAMPING-RATIO", "Damping ratio G''/(2 G')"),
    "shear_stiffness": _own("SHEAR-STIFFNESS", "Shear stiffness as nonlinear inversion reports it"),
    "enhancing_ml": _own("ENHANCING-VOLUME", "Volume of enhancing tumor"),
    "visible_ml": _own("VISIBLE-VOLUME", "Volume of visible tumor"),
    "burden_ml": _own("TUMOR-BURDEN", "Integral of the density of tumor cells"),
    "displacement_mm": _own("DISPLACEMENT", "Mean displacement of tissue around the tumor"),
    "largest_displacement_mm": _own("DISPLACEMENT-99", "Displacement that 99 % of the tissue do not exceed"),
    "additional_displacement_mm": _own("DISPLACEMENT-NEW", "Growth of the mean displacement since the last scan"),
}
"""Concept of each quantity, by its key."""

STATISTICS: Final[Mapping[str, Code]] = {
    "mean": Code("373098007", "SCT", "Mean"),
    "median": Code("373099004", "SCT", "Median"),
    "std": Code("386136009", "SCT", "Standard Deviation"),
    "lower": _own("CI95-LOWER", "Lower end of the 95 % credible interval"),
    "upper": _own("CI95-UPPER", "Upper end of the 95 % credible interval"),
}
"""Derivation of each statistic of a posterior; not every value states each."""

ABOVE: Final = _own("P-ABOVE", "Probability of exceeding the threshold")
THRESHOLD: Final = _own("THRESHOLD", "Threshold")
COVERED: Final = _own("COVERED-VOLUME", "Volume of the region that the map covers")
COVERED_SHARE: Final = _own("COVERED-SHARE", "Share of the region that the map covers")
INFORMED_SHARE: Final = _own("INFORMED-SHARE", "Share whose value comes mostly from the scan")
DRAWS: Final = _own("DRAWS", "Number of joint posterior draws")
FREQUENCY: Final = _own("FREQUENCY", "Frequency of the vibration")
VOLUME: Final = Code("118565006", "SCT", "Volume")
DAY: Final = _own("FORECAST-DAY", "Days since the first scan")

UCUM: Final[Mapping[str, str]] = {"Np/m": "/m"}
"""UCUM code of each unit that is not its own code. A neper is a ratio of one, and no product with it is allowed."""


def concept_of(key: str) -> Code:
    """Return the concept of a quantity; one without a code of its own gets a code from its key.

    Args:
        key: key of the quantity, such as "storage_modulus".
    """
    return CONCEPTS.get(key) or _own(key.upper().replace("_", "-")[:16], key.replace("_", " "))


def unit_of(unit: str) -> Code:
    """Return the unit of a quantity, of UCUM.

    Args:
        unit: unit as quantities state it; "1" for a ratio.
    """
    words = {"1": "no units", "Hz": "Hertz", "d": "day"}
    return Code(UCUM.get(unit, unit), "UCUM", words.get(unit, unit))
