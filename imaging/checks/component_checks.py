"""Check of the components of a wave field: the interpretation with the least divergence is named.

Wrong signs or order, wrong times and a part that is ordered otherwise in space all make a divergence that tissue does
not have, and the remedy of one fault partly undoes another. So the remedies are compared with each other, the
simplest first, and only the best one is named.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.complex_parts import check_odd_part, odd_part
from palpate.imaging.checks.component_axes import best_signs_and_order, check_component_axes
from palpate.imaging.checks.component_times import check_component_times, component_times
from palpate.imaging.checks.gradient_moments import gradient_moments
from palpate.imaging.limits.check_limits import AXES_LEAST, SIMPLER
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import QualityWarning


def check_components(field: WaveField, encoding_axes: NDArray[np.float64] | None = None) -> tuple[QualityWarning, ...]:
    """Warn of wrong signs, order or times of the components, and of parts that are ordered unlike each other.

    Args:
        field: wave field to check.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.

    Returns:
        The warning of the interpretation that explains the field best; empty where it is sound, where too few voxels
        have six neighbours of tissue, or where noise hides the waves.
    """
    moments = gradient_moments(field)
    if moments is None:
        return ()
    signs = best_signs_and_order(moments.proper.real, field, encoding_axes)
    shift, reversal = component_times(moments, field, encoding_axes)
    part = odd_part(moments, field)
    readings = [
        (signs.best, check_component_axes(signs)),
        (shift.best, check_component_times(shift)),
        (reversal.best, check_component_times(reversal)),
        (part.best, check_odd_part(part)),
    ]
    best, warnings = readings[0]
    for ratio, others in readings[1:]:
        # A reading of hardly any divergence is right, whatever rounding and discretisation leave of it.
        if best >= AXES_LEAST and ratio < SIMPLER * best:
            best, warnings = ratio, others
    return warnings
