"""Check that the two stored parts of a wave field are the real and the imaginary part of one displacement.

Each part alone is the displacement at an instant and has little divergence. Where one part was mirrored or exchanged in
space and the other was not, it has a divergence that another choice of signs and order removes. Where the parts are
amplitude and phase, their complex product has less divergence than amplitude + i phase. Of fewer than three components
nobody knows the divergence: there, a part that is never negative beside one that fills a turn, no less and no more, is
amplitude beside phase.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.checks.component_axes import best_signs_and_order
from palpate.imaging.checks.component_frames import component_frames
from palpate.imaging.checks.gradient_moments import GradientMoments, divergence_over_curl, gradient_moments
from palpate.imaging.limits.check_limits import AMPLITUDE_GAIN, AXES_LEAST, PARTS_GAIN
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.signal_voids import with_signal
from palpate.quality_warning import QualityWarning

_PARTS: Final = ("real", "imaginary")
_SPACE: Final = 3
_ROUNDING: Final = 1e-3
_NOTHING: Final = 1e-6
"""Share of the largest value below which a negative one is rounding."""
_PERIODS: Final = {"radians": 2.0 * np.pi, "degrees": 360.0}
_FILLED: Final = 0.97
"""Share of a turn between the least and the largest value of a phase that goes round. Two hundred voxels lie within
less than that in one of sixty fields."""


@dataclass(frozen=True, slots=True)
class OddPart:
    """Divergence of a field as given, and with one of its parts in another order in space.

    Attributes:
        given: root mean square of div U over that of curl U.
        best: this ratio with the better order of one part.
        part: part in question, "real" or "imaginary".
        words: better order, such as "component A reversed".
    """

    given: float
    best: float
    part: str
    words: str


def odd_part(moments: GradientMoments, field: WaveField) -> OddPart:
    """Compare the parts as given with every other choice of signs and order of one part alone.

    Args:
        moments: second moments of the wave field's gradient.
        field: wave field, for its axes.
    """
    frames = component_frames(field)
    parts = [moments.of_part(part) for part in _PARTS]
    given, found = divergence_over_curl(parts[0] + parts[1]), []
    for number, part in enumerate(_PARTS):
        better = best_signs_and_order(parts[number], frames)
        turned = np.einsum("ac,bd,cwdv->awbv", better.choice, better.choice, parts[number])
        found.append(OddPart(given, divergence_over_curl(turned + parts[1 - number]), part, better.words))
    return min(found, key=lambda one: one.best)


def check_odd_part(found: OddPart) -> tuple[QualityWarning, ...]:
    """Warn where one of the two parts is ordered in space unlike the other.

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


def demand_real_and_imaginary(
    where: Path | str, field: WaveField, stored: NDArray[np.complex128], directions: NDArray[np.float64] | None = None
) -> None:
    """Raise InputError where the stored parts are amplitude and phase.

    Args:
        where: file that holds the parts.
        field: wave field made of the parts.
        stored: first part + i second part as stored, any unit, shape (i, j, k, n).
        directions: unit vectors in R A S of the stored components, shape (n, 3); None for those of the field, or R, A,
            S where it has all three.
    """
    axes = _axes_of(field) if directions is None else directions
    inside = stored[field.mask]
    for parts, names in (((inside.real, inside.imag), _PARTS), ((inside.imag, inside.real), _PARTS[::-1])):
        if parts[0].min() < -_NOTHING * np.abs(parts[0]).max():
            continue
        for unit, period in _PERIODS.items():
            swapped = names is not _PARTS
            whole = len(axes) == _SPACE
            if _within_one_turn(parts[1], period) and (
                _has_less_divergence(field, stored, axes, period, swapped=swapped)
                if whole
                else _fills_turn(parts[1], period)
            ):
                raise InputError(
                    where,
                    found=f"amplitude and phase in {unit}: the {names[0]} part is never negative, and the "
                    f"{names[1]} part stays within one turn",
                    expected="real and imaginary part of the displacement",
                    advice="Write amplitude times cosine and amplitude times sine of the phase.",
                )


def _axes_of(field: WaveField) -> NDArray[np.float64]:
    return np.eye(_SPACE) if field.directions is None else field.directions


def _within_one_turn(values: NDArray[np.float64], period: float) -> bool:
    """Return whether all values are phases in (-half, half] or in [0, whole) of a period."""
    least, largest = float(values.min()), float(values.max())
    spread = 1.0 + _ROUNDING
    centred = max(-least, largest) <= 0.5 * period * spread
    return centred or (least >= 0.0 and largest <= period * spread)


def _fills_turn(values: NDArray[np.float64], period: float) -> bool:
    """Return whether each component's values, shape (N, n), spread over a whole period."""
    return bool(np.all(np.ptp(values, axis=0) >= _FILLED * period))


def _has_less_divergence(
    field: WaveField, stored: NDArray[np.complex128], directions: NDArray[np.float64], period: float, *, swapped: bool
) -> bool:
    """Return whether amplitude times exp(i phase) has clearly less divergence than the field as given."""
    amplitude, phase = (stored.imag, stored.real) if swapped else (stored.real, stored.imag)
    to_world = np.linalg.inv(directions).T
    turned = amplitude * np.exp(2j * np.pi / period * phase)
    fields = [
        replace(field, displacement_m=np.asarray(one @ to_world, dtype=np.complex128), noise_std_m=None)
        for one in (turned, stored)
    ]
    # Both are compared on the same voxels: those that have signal if the parts are amplitude and phase.
    signal = with_signal(fields[0]).mask
    read, given = (gradient_moments(replace(one, mask=signal)) for one in fields)
    if read is None or given is None:
        return False
    ratios = [divergence_over_curl(one.proper.real) for one in (read, given)]
    return ratios[0] < AMPLITUDE_GAIN * ratios[1]
