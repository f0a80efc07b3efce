"""Distances between slices, and the remedy where some are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError

FULL_EXPORT: Final = "Export the complete series again from the scanner or archive."
"""Advice where images of a series are missing."""
_SPACING_TOLERANCE: Final = 0.02


def even_spacing_mm(places: Sequence[str], heights: NDArray[np.float64]) -> float:
    """Return the distance between slices, millimetres.

    Args:
        places: name of each slice in errors.
        heights: positions along the normal, ascending, shape (k,), millimetres.

    Raises:
        InputError: there is one slice only, two coincide, or one is missing.
    """
    if len(heights) < 2:
        raise InputError(places[0], found="a single slice", expected="at least two", advice=FULL_EXPORT)
    gaps = np.diff(heights)
    typical = float(np.median(gaps))
    where = places[1 + int(np.argmax(np.abs(gaps - typical)))]
    if gaps.min() < 1e-3:
        raise InputError(
            where, found="two slices at one place", expected="every slice once", advice="Give one series only."
        )
    if np.abs(gaps - typical).max() > max(_SPACING_TOLERANCE * typical, 0.01):
        raise InputError(
            where,
            found=f"gaps of {gaps.min():.3g} to {gaps.max():.3g} mm between slices",
            expected=f"{typical:.3g} mm throughout (a slice is missing)",
            advice=FULL_EXPORT,
        )
    return typical
