"""Check that the three components of a wave field share one time: none is shifted in the period, none reversed.

Two faults of one direction pass every check of one direction alone: its offsets start later than
those of the others (its displacement is turned by a phase), or they run backwards (its displacement is the complex
conjugate). Tissue is nearly incompressible at every instant, so that both make a divergence which the right times do
not have. Divergence over curl of components moved in time (component_forms) is smallest at the phases that fit the data
best.

On sound data the phases come out as zero to a few degrees, even where thick and distant slices leave a large divergence
(3.8 degrees on a real scan of five slices). One offset of eight is 45 degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.component_forms import TURN_DEG, ComponentForms
from palpate.imaging.limits.check_limits import AXES_LEAST, REVERSED_GAIN, SHIFTED_DEG, SHIFTED_GAIN
from palpate.quality_warning import QualityWarning


@dataclass(frozen=True, slots=True)
class ComponentTimes:
    """Divergence of the components as given, and at times of their own.

    Attributes:
        given: root mean square of div U over that of curl U.
        best: this ratio at the best times of one frame's components.
        component: name of the odd component, such as "encoding direction 2".
        ahead_deg: phase by which its vibration is ahead of the other two, degrees.
        backwards: whether its time is reversed at the best times.
    """

    given: float
    best: float
    component: str
    ahead_deg: float = 0.0
    backwards: bool = False


def component_times(given: float, forms: Sequence[ComponentForms]) -> tuple[ComponentTimes, ComponentTimes]:
    """Find the times of the components at which divergence over curl is least.

    Args:
        given: root mean square of div U over that of curl U.
        forms: forms of divergence and curl in every frame.

    Returns:
        The best with components shifted, and the best with one component reversed and components shifted.
    """
    shifts, reversals = [], []
    for one in forms:
        ratio, phases_deg = one.least(None)
        odd, ahead_deg = _odd_one(phases_deg)
        shifts.append(ComponentTimes(given, ratio, one.frame.component(odd), ahead_deg))
        for number in range(3):
            ratio, _ = one.least(number)
            reversals.append(ComponentTimes(given, ratio, one.frame.component(number), backwards=True))
    return min(shifts, key=lambda one: one.best), min(reversals, key=lambda one: one.best)


def check_component_times(found: ComponentTimes) -> tuple[QualityWarning, ...]:
    """Warn where one component is reversed in time, or shifted against the others.

    Args:
        found: one of the results of component_times.
    """
    limit = REVERSED_GAIN if found.backwards else SHIFTED_GAIN
    if found.given < AXES_LEAST or found.best > limit * found.given:
        return ()
    if found.backwards:
        told = (
            f"{found.component} ran backwards in time, or one of real and imaginary part were mirrored along this axis"
        )
    elif abs(found.ahead_deg) > SHIFTED_DEG:
        side = "ahead of" if found.ahead_deg > 0 else "behind"
        told = f"{found.component} were {abs(found.ahead_deg):.0f} degrees of the vibration {side} the other two"
    else:
        return ()
    sentence = (
        f"The components seem to have been measured at different times: divergence over curl is {found.given:.2f}, and "
        f"it would be {found.best:.2f} if {told}."
    )
    advice = (
        "Check order and first image of this component's time offsets; of arrays, sign and orientation of the "
        "imaginary part. Stiffness from this wave field is wrong."
    )
    return (QualityWarning("component-times", sentence, advice),)


def _odd_one(phases_deg: NDArray[np.float64]) -> tuple[int, float]:
    """Return which component differs most from the other two, and by how much it is ahead of them, degrees."""
    apart = [_wrapped(float(phases_deg[(n + 1) % 3] - phases_deg[(n + 2) % 3])) for n in range(3)]
    odd = int(np.argmin(np.abs(apart)))
    others = phases_deg[(odd + 2) % 3] + 0.5 * apart[odd]
    # The phases are those to add: who is ahead must go back.
    return odd, -_wrapped(float(phases_deg[odd] - others))


def _wrapped(angle_deg: float) -> float:
    return (angle_deg + 180.0) % TURN_DEG - 180.0
