"""Quantities of written images: codes, words, units, and the whole numbers that images of 16 bits store for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pydicom.sr.coding import Code

from palpate.imaging.files.stiffness_folder import Modulus

type Statistic = Literal["mean", "std"]
type Statistics = Literal["mean", "std", "lower", "upper"]

KILOPASCAL: Final = Code("kPa", "UCUM", "kilopascal")
PASCAL: Final = Code("Pa", "UCUM", "pascal")
NO_UNIT: Final = Code("1", "UCUM", "no units")
MILLIMETRE: Final = Code("mm", "UCUM", "millimeter")


@dataclass(frozen=True, slots=True)
class StoredScale:
    """Relation of the whole numbers in an image of 16 bits to the quantity.

    Attributes:
        per_unit: stored values per unit of the quantity.
        unit: unit of the real-world value that the header states.
        slope: real-world value per stored value.
        words: meaning of one stored value, such as "1 Pa".
        window: width of the grey-scale window from 0, stored values.
    """

    per_unit: float
    unit: Code
    slope: float
    words: str
    window: int


STORED_PASCAL: Final = StoredScale(1000.0, PASCAL, 1.0, "1 Pa", 4400)
"""Storage of moduli: the stored value is in pascal, so that viewers that know no slope show it as well."""
STORED_SHARE: Final = StoredScale(1000.0, NO_UNIT, 0.001, "0.001", 1000)
"""Storage of densities and probabilities: the stored value is in thousandths."""
STORED_MICROMETRE: Final = StoredScale(1000.0, MILLIMETRE, 0.001, "0.001 mm", 20_000)
"""Storage of lengths: the stored value is in micrometres."""


@dataclass(frozen=True, slots=True)
class DicomQuantity:
    """Quantity that an image shows.

    Attributes:
        code: code value in palpate's private scheme, at most 16 characters.
        meaning: the quantity in words, at most 64 characters.
        series_number: number of the image's series in the study.
        unit: unit of the values that are written.
        stored: storage in images of 16 bits.
    """

    code: str
    meaning: str
    series_number: int
    unit: Code = field(default=KILOPASCAL, repr=False)
    stored: StoredScale = field(default=STORED_PASCAL, repr=False)


# DICOM has no code for a shear modulus, so the scheme is private; the unit is UCUM's.
QUANTITIES: Final[Mapping[tuple[Statistic, Modulus], DicomQuantity]] = {
    ("mean", "storagemodulus"): DicomQuantity("STORAGE-MEAN", "Shear storage modulus, posterior mean", 9001),
    ("std", "storagemodulus"): DicomQuantity("STORAGE-SD", "Shear storage modulus, posterior standard deviation", 9002),
    ("mean", "lossmodulus"): DicomQuantity("LOSS-MEAN", "Shear loss modulus, posterior mean", 9003),
    ("std", "lossmodulus"): DicomQuantity("LOSS-SD", "Shear loss modulus, posterior standard deviation", 9004),
}
"""Codes and words of Parametric Maps, by statistic and modulus."""

SERIES_QUANTITIES: Final[Mapping[tuple[str, Statistics], DicomQuantity]] = {
    ("storagemodulus", "mean"): DicomQuantity("STORAGE-MEAN", "Shear storage modulus, posterior mean", 9021),
    ("storagemodulus", "std"): DicomQuantity("STORAGE-SD", "Shear storage modulus, posterior standard deviation", 9022),
    ("storagemodulus", "lower"): DicomQuantity("STORAGE-LOWER", "Shear storage modulus, lower 95 % bound", 9023),
    ("storagemodulus", "upper"): DicomQuantity("STORAGE-UPPER", "Shear storage modulus, upper 95 % bound", 9024),
    ("magnitude", "mean"): DicomQuantity("MAGNITUDE-MEAN", "Magnitude of the shear modulus, posterior mean", 9025),
    ("magnitude", "std"): DicomQuantity("MAGNITUDE-SD", "Magnitude of the shear modulus, posterior SD", 9026),
    ("magnitude", "lower"): DicomQuantity("MAGNITUDE-LOWER", "Magnitude of the shear modulus, lower 95 % bound", 9027),
    ("magnitude", "upper"): DicomQuantity("MAGNITUDE-UPPER", "Magnitude of the shear modulus, upper 95 % bound", 9028),
}
"""Codes and words of MR series, by quantity and statistic."""

SYMBOLS: Final[Mapping[str, str]] = {"storagemodulus": "G'", "magnitude": "|G*|"}
"""Symbols of the quantities in descriptions of series."""
ON_PLANNING_GRID: Final = 10
"""Difference of the series numbers of Parametric Maps on the planning image's grid and on the elastogram's."""
SEGMENTATION_SERIES, STRUCTURES_SERIES, REGISTRATION_SERIES = 9031, 9032, 9034
