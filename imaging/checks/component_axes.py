"""Check that the three components of a wave field lie along the assumed axes with the assumed signs.

Tissue is nearly incompressible: the divergence of the right displacement is small beside its curl. A component with the
wrong sign, or two exchanged, turns shear into divergence. Of the 48 ways to sign and order three components 24 differ,
because the common sign changes nothing. All of their divergences and curls follow from the second moments of the
gradient, so that the best of them can be named. A reversed or exchanged axis of the image shows in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.component_frames import ComponentFrame
from palpate.imaging.checks.gradient_moments import divergence_over_curl
from palpate.imaging.limits.check_limits import AXES_GAIN, AXES_LEAST
from palpate.quality_warning import QualityWarning


@dataclass(frozen=True, slots=True)
class ComponentAxes:
    """Divergence of the components as given, and with the best other choice of signs and order.

    Attributes:
        given: root mean square of div U over that of curl U, less the noise where it is known.
        best: this ratio for the best other choice of signs and order.
        words: this choice, such as "component A reversed".
        choice: matrix from the given components along R, A, S to the chosen ones, shape (3, 3).
    """

    given: float
    best: float
    words: str
    choice: NDArray[np.float64]


def best_signs_and_order(moments: NDArray[np.float64], frames: Sequence[ComponentFrame]) -> ComponentAxes:
    """Compare the components as given with every other choice of signs and order.

    Args:
        moments: real part of the gradient's second moments, shape (3, 3, 3, 3).
        frames: frames in which components may have been measured.
    """
    given = divergence_over_curl(moments)
    best, words, chosen = np.inf, "", np.eye(3)
    for frame in frames:
        back = np.linalg.inv(frame.axes)
        for choice, told in _choices(frame):
            turn = back @ choice @ frame.axes
            ratio = divergence_over_curl(moments, turn)
            if ratio < best:
                best, words, chosen = ratio, told, turn
    return ComponentAxes(given, best, words, chosen)


def check_component_axes(found: ComponentAxes) -> tuple[QualityWarning, ...]:
    """Warn where another choice of signs or order is clearly better.

    Args:
        found: result of best_signs_and_order.
    """
    if found.given < AXES_LEAST or found.best > AXES_GAIN * found.given:
        return ()
    sentence = (
        f"The components seem to have wrong signs or axes: divergence over curl is {found.given:.2f}, and "
        f"{found.best:.2f} with {found.words}."
    )
    advice = (
        "Check signs and order of the components (or encoding directions), the orientation of the image axes and, with "
        "Siemens, Patient Position, which its encoding axes follow."
    )
    return (QualityWarning("component-axes", sentence, advice),)


def _choices(frame: ComponentFrame) -> Iterator[tuple[NDArray[np.float64], str]]:
    """Yield signed permutations but the identity, up to a common sign, with their words."""
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            # Of S and -S the one with fewer reversals is named.
            if signs.count(-1.0) > 1 or (order == (0, 1, 2) and -1.0 not in signs):
                continue
            choice = np.zeros((3, 3))
            choice[range(3), order] = signs
            yield choice, _words(order, signs, frame)


def _words(order: tuple[int, ...], signs: tuple[float, ...], frame: ComponentFrame) -> str:
    """Return a choice in words, such as "component A reversed"."""
    moved = [axis for axis in range(3) if order[axis] != axis]
    parts = []
    if len(moved) == 2:
        parts.append(f"{frame.component(moved[0])} and {frame.names[moved[1]]} exchanged")
    elif moved:
        parts.append(f"{_plural(frame.kind)} taken in the order {', '.join(frame.names[axis] for axis in order)}")
    if -1.0 in signs:
        parts.append(f"{frame.component(signs.index(-1.0))} reversed")
    return " and ".join(parts)


def _plural(kind: str) -> str:
    return "the components along the image axes" if kind.endswith("axis") else f"{kind}s"
