"""Check of the components of a wave field: the interpretation with the least divergence is named.

Wrong signs or order, wrong scales or times and a part that is ordered otherwise in space all make a divergence that
tissue does not have, and the remedy of one fault partly undoes another. So the remedies are compared with each other,
the simplest first, and only the best one is named. A component of noise, or one that is another's copy, comes before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.complex_parts import check_odd_part, odd_part
from palpate.imaging.checks.component_axes import best_signs_and_order, check_component_axes
from palpate.imaging.checks.component_contents import (
    check_component_scale,
    check_contents,
    check_pair,
    component_scale,
)
from palpate.imaging.checks.component_forms import ComponentForms
from palpate.imaging.checks.component_frames import component_frames
from palpate.imaging.checks.component_times import check_component_times, component_times
from palpate.imaging.checks.gradient_moments import gradient_moments
from palpate.imaging.limits.check_limits import AXES_LEAST, DIVERGENCE_UNEXPLAINED, SIMPLER
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.signal_voids import with_signal
from palpate.quality_warning import QualityWarning


def check_components(field: WaveField, encoding_axes: NDArray[np.float64] | None = None) -> tuple[QualityWarning, ...]:
    """Warn of wrong signs, order, scale, times or contents of the components, and of parts that are ordered unlike.

    Args:
        field: wave field to check.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.

    Returns:
        The warning of the interpretation that explains the field best; empty where it is sound, where too few voxels
        have six neighbours of tissue, or where noise hides the waves. Of fewer than three components, whose divergence
        nobody knows, only those of two are compared with each other.
    """
    if field.directions is not None:
        return check_pair(field)
    found = _judged(field, encoding_axes)
    if not found:
        return found
    # Noise of a few voids makes a divergence as large as that of all waves: what is wrong is so without them as well.
    signal = with_signal(field)
    return found if signal is field else _judged(signal, encoding_axes)


def _judged(field: WaveField, encoding_axes: NDArray[np.float64] | None) -> tuple[QualityWarning, ...]:
    """Return the warning of the interpretation that explains all voxels of a field best."""
    moments = gradient_moments(field)
    if moments is None:
        return ()
    frames = component_frames(field, encoding_axes)
    signs = best_signs_and_order(moments.proper.real, frames)
    contents = check_contents(field, signs.given, frames)
    if contents:
        return contents
    forms = [ComponentForms.of(moments, frame) for frame in frames]
    scale = component_scale(signs.given, forms)
    shift, reversal = component_times(signs.given, forms)
    part = odd_part(moments, field)
    readings = [
        (signs.best, check_component_axes(signs)),
        (shift.best, check_component_times(shift)),
        (reversal.best, check_component_times(reversal)),
        (part.best, check_odd_part(part)),
        (scale.best, check_component_scale(scale)),
    ]
    best, warnings = readings[0]
    for ratio, others in readings[1:]:
        # A reading of hardly any divergence is right, whatever rounding and discretisation leave of it.
        if others and best >= AXES_LEAST and ratio < SIMPLER * best:
            best, warnings = ratio, others
    # Noise has a divergence as well, which is taken away only where it is known.
    large = signs.given > DIVERGENCE_UNEXPLAINED and field.noise_std_m is not None
    if large and (not warnings or best > DIVERGENCE_UNEXPLAINED):
        return (_unexplained(signs.given, best),)
    return warnings


def _unexplained(given: float, best: float) -> QualityWarning:
    """Return the warning of a divergence that no reading of the components explains."""
    sentence = (
        f"The displacement changes volume as tissue cannot: divergence over curl is {given:.2f}, and no other sign, "
        f"order, scale or time of one component brings it below {best:.2f}."
    )
    advice = (
        "Check the order of slices and, slice by slice, of the time offsets, the directions of encoding, and the "
        "unwrapping. Stiffness from this wave field is wrong."
    )
    return QualityWarning("divergence", sentence, advice)
