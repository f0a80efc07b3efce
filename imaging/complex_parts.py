"""Whether the two stored parts of a wave field are the real and the imaginary part of one displacement.

Each part alone is the displacement at an instant and has little divergence. Where one part was mirrored or exchanged in
space and the other was not, it has a divergence that another choice of signs and order takes away. Where the parts are
amplitude and phase, their complex product has less divergence than the field that they were taken for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.check_limits import AMPLITUDE_GAIN, AXES_LEAST, PARTS_GAIN
from palpate.imaging.component_axes import best_signs_and_order
from palpate.imaging.gradient_moments import GradientMoments, divergence_over_curl, gradient_moments
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import QualityWarning

_PARTS: Final = ("real", "imaginary")
_ROUNDING: Final = 1e-3
_PERIODS: Final = {"radians": 2.0 * np.pi, "degrees": 360.0}


@dataclass(frozen=True, slots=True)
class OddPart:
    """How free of divergence a field is with one of its parts in another order in space.

    Attributes:
        given: root mean square of div U over that of curl U.
        best: the same with the better order of one part.
        part: "real" or "imaginary".
        words: the better order, such as "component A reversed".
    """

    given: float
    best: float
    part: str
    words: str


def odd_part(moments: GradientMoments, field: WaveField) -> OddPart:
    """Compare the parts as given with every other choice of signs and order of one part alone.

    Args:
        moments: of the gradient.
        field: the wave field, for its axes.
    """
    parts = [moments.of_part(part) for part in _PARTS]
    given, found = divergence_over_curl(parts[0] + parts[1]), []
    for number, part in enumerate(_PARTS):
        better = best_signs_and_order(parts[number], field)
        turned = np.einsum("ac,bd,cwdv->awbv", better.choice, better.choice, parts[number])
        found.append(OddPart(given, divergence_over_curl(turned + parts[1 - number]), part, better.words))
    return min(found, key=lambda one: one.best)


def check_odd_part(found: OddPart) -> tuple[QualityWarning, ...]:
    """Warn where one of the two parts lies otherwise in space than the other.

    Args:
        found: result of odd_part.
    """
    if found.given < AXES_LEAST or found.best > PARTS_GAIN * found.given:
        return ()
    sentence = (
        f"The {found.part} part does not lie in space as the other part does: divergence over curl is "
        f"{found.given:.2f}, and it would be {found.best:.2f} with {found.words} in the {found.part} part alone."
    )
    advice = f"Check whether the {found.part} part was mirrored, or its components reordered, when it was written."
    return (QualityWarning("parts-apart", sentence, advice),)


def amplitude_and_phase(field: WaveField, metres_per_unit: float) -> str | None:
    """Return how the parts of a field are amplitude and phase; None where they are real and imaginary part.

    Args:
        field: as made from the stored parts.
        metres_per_unit: unit in which the parts were stored.

    Returns:
        Words such as "the real part never negative and the imaginary part within one turn in radians".
    """
    stored = field.displacement_m[field.mask] / metres_per_unit
    for one, other, names in ((stored.real, stored.imag, _PARTS), (stored.imag, stored.real, _PARTS[::-1])):
        if one.min() < 0.0:
            continue
        for unit, period in _PERIODS.items():
            if not _within_one_turn(other, period):
                continue
            if _has_less_divergence(field, metres_per_unit, unit, swapped=names is not _PARTS):
                return f"the {names[0]} part never negative, and the {names[1]} part within one turn in {unit}"
    return None


def _within_one_turn(values: NDArray[np.float64], period: float) -> bool:
    """Return whether values are phases in (-half, half] or [0, whole) of a period, and not all of them tiny."""
    least, largest = float(values.min()), float(values.max())
    spread = 1.0 + _ROUNDING
    centred = max(-least, largest) <= 0.5 * period * spread
    return centred or (least >= 0.0 and largest <= period * spread)


def _has_less_divergence(field: WaveField, metres_per_unit: float, unit: str, *, swapped: bool) -> bool:
    """Return whether amplitude times exp(i phase) has clearly less divergence than the field as given."""
    stored = field.displacement_m / metres_per_unit
    amplitude, phase = (stored.imag, stored.real) if swapped else (stored.real, stored.imag)
    turned = amplitude * np.exp(1j * phase * (2.0 * np.pi / _PERIODS[unit]))
    read, given = (
        gradient_moments(replace(field, displacement_m=one, noise_std_m=None))
        for one in (turned * metres_per_unit, field.displacement_m)
    )
    if read is None or given is None:
        return False
    ratios = [divergence_over_curl(one.proper.real) for one in (read, given)]
    return ratios[0] < AMPLITUDE_GAIN * ratios[1]
