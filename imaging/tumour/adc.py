"""Apparent diffusion coefficient (ADC): units, possible values, and the density of cells that follows from it.

    N / theta = (ADC_w - ADC) / (ADC_w - ADC_min)        (Atuegwu et al., Phys. Med. Biol. 56 (2011) 2835)

ADC_w is the ADC of free water, ADC_min that of tissue filled with cells. The map is linear, so that noise of standard
deviation s becomes s / (ADC_w - ADC_min), the same everywhere. Values are not cut to 0..1: cutting noise would shift
its mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from palpate.config.tumour import TumourSettings
from palpate.errors import InputError

type Values = NDArray[np.float64]
type Unit = Literal["mm2/s", "1e-6 mm2/s", "1e-3 mm2/s"]

_MM2_S: Final[dict[Unit, float]] = {"mm2/s": 1.0, "1e-6 mm2/s": 1e-6, "1e-3 mm2/s": 1e-3}
_SPELLINGS: Final[dict[str, Unit]] = {
    "mm^2/s": "mm2/s",
    "mm²/s": "mm2/s",
    "1e-6mm2/s": "1e-6 mm2/s",
    "10^-6 mm^2/s": "1e-6 mm2/s",
    "1e-6 mm^2/s": "1e-6 mm2/s",
    "um2/s": "1e-6 mm2/s",
    "um2/ms": "1e-3 mm2/s",
    "10^-3 mm^2/s": "1e-3 mm2/s",
    "1e-3 mm^2/s": "1e-3 mm2/s",
}
POSSIBLE_MM2_S: Final = (0.3e-3, 3.6e-3)
"""Smallest and largest median ADC of any tissue or fluid of a living head, mm2/s."""


@dataclass(frozen=True, slots=True)
class Cellularity:
    """Density of cells relative to the capacity, and the standard deviation of its error.

    Attributes:
        values: density of cells over the capacity; NaN where it was not measured, shape (i, j, k).
        std: standard deviation of its error, same shape; NaN where it was not measured.
    """

    values: Values
    std: Values


def unit_of(stated: object, path: Path) -> Unit:
    """Return the unit that a sidecar names.

    Raises:
        InputError: the text names no unit of ADC.
    """
    text = str(stated).strip()
    if text in get_args(Unit.__value__):
        return text  # type: ignore[return-value]
    if text in _SPELLINGS:
        return _SPELLINGS[text]
    raise InputError(
        path,
        found=f"Units {text[:30]!r}",
        expected=" or ".join(_MM2_S),
        advice="State the unit of the ADC map in its JSON sidecar.",
    )


def in_mm2_s(values: Values, unit: Unit) -> Values:
    """Return ADC in mm2/s. Units of ADC are converted nowhere else.

    Args:
        values: ADC in `unit`, any shape.
        unit: unit of the values.
    """
    return values * _MM2_S[unit]


def detected_unit(inside: Values, path: Path) -> Unit:
    """Return the unit in which the median of a tumour's ADC is possible.

    No more than one is, because each unit differs from the next by a factor of a thousand.

    Args:
        inside: ADC in the tumour, in the unknown unit, shape (n,).
        path: file of the map, for the error.

    Raises:
        InputError: the median is possible in no unit.
    """
    median = float(np.median(inside))
    for unit, factor in _MM2_S.items():
        if POSSIBLE_MM2_S[0] <= median * factor <= POSSIBLE_MM2_S[1]:
            return unit
    raise InputError(
        path,
        found=f"a median of {median:g} in the tumour, which is no ADC in any usual unit",
        expected=f"a median from {POSSIBLE_MM2_S[0]:g} to {POSSIBLE_MM2_S[1]:g} mm2/s, or that in 1e-6 mm2/s",
        advice="Check that this is the ADC map (not the diffusion-weighted image), and its scale slope.",
    )


def demand_possible(inside_mm2_s: Values, path: Path) -> None:
    """Refuse ADC that no tissue has: the file is not in the unit that its sidecar states.

    Args:
        inside_mm2_s: ADC in the tumour, mm2/s, shape (n,).
        path: file of the map, for the error.

    Raises:
        InputError: the median lies outside POSSIBLE_MM2_S.
    """
    median = float(np.median(inside_mm2_s))
    if not POSSIBLE_MM2_S[0] <= median <= POSSIBLE_MM2_S[1]:
        raise InputError(
            path,
            found=f"a median ADC of {median:g} mm2/s in the tumour, by the unit that the sidecar states",
            expected=f"a median from {POSSIBLE_MM2_S[0]:g} to {POSSIBLE_MM2_S[1]:g} mm2/s",
            advice="Correct Units in the sidecar; scanners usually store 1e-6 mm2/s.",
        )


def cellularity(adc_mm2_s: Values, std_mm2_s: float, settings: TumourSettings) -> Cellularity:
    """Return the density of cells from ADC, by the module's equation.

    Args:
        adc_mm2_s: ADC, mm2/s, shape (i, j, k); NaN where it does not count.
        std_mm2_s: s, standard deviation of the noise in each voxel, mm2/s.
        settings: ADC_w and ADC_min.
    """
    span = settings.adc_water_mm2_s - settings.adc_least_mm2_s
    values = (settings.adc_water_mm2_s - adc_mm2_s) / span
    return Cellularity(values, np.where(np.isfinite(values), std_mm2_s / span, np.nan))
