"""Words of quantities and numbers on the forecast page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NAMES: Final[Mapping[str, str]] = {
    "enhancing_ml": "enhancing volume",
    "visible_ml": "all visible volume",
    "burden_ml": "burden (integral of density)",
}
"""Words of the volumes, by their keys in the records."""
DISPLACEMENTS: Final[Mapping[str, str]] = {
    "displacement_mm": "mean displacement of the brain around the tumour",
    "largest_displacement_mm": "largest displacement of the brain around the tumour",
    "additional_displacement_mm": "additional mean displacement since the last scan",
}
"""Names and words of the displacements that a forecast with mechanics states too."""
_NOTHING: Final = 1e-4
"""Size below which a number is written as 0."""
CURVES: Final = ("displacement_mm", "largest_displacement_mm")
"""Names of the displacements that are known of the past too."""


def digits(value: float) -> str:
    """Return three significant digits with their zeros, and whole numbers from 1000 on; a minus, not a hyphen.

    Args:
        value: number to write.
    """
    text = f"{value:#.3g}".rstrip(".") if abs(value) < 999.5 else f"{value:.0f}"
    return "0" if abs(value) < _NOTHING else text.replace("-", "\N{MINUS SIGN}")


def with_bounds(median: float, lower: float, upper: float) -> str:
    """Return a median with its bounds in brackets.

    Args:
        median: median of the draws.
        lower: lower bound.
        upper: upper bound.
    """
    middle, low, high = map(digits, (median, lower, upper))
    return f"{middle} ({low} to {high})"


def sentence(words: str) -> str:
    """Return words with a capital at their beginning.

    Args:
        words: words of a sentence.
    """
    return words[:1].upper() + words[1:]


def of_row(row: Mapping[str, Any], quantity: str) -> str:
    """Return the median and 95 % interval of a quantity in a row of a record.

    Args:
        row: row of a day.
        quantity: name of the quantity.
    """
    return with_bounds(row[quantity]["median"], *row[quantity]["95"])
