"""Check that the three components of a wave field lie along the assumed axes with the assumed signs.

Tissue is nearly incompressible: the divergence of the right displacement is small beside its curl. A component with the
wrong sign, or two exchanged, turns shear into divergence. Of the 48 ways to sign and order three components 24 differ,
because the common sign changes nothing. All of their divergences and curls follow from the second moments of the
gradient, so that the best of them can be named. A reversed or exchanged axis of the image shows in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.gradient_moments import divergence_over_curl
from palpate.imaging.limits.check_limits import AXES_GAIN, AXES_LEAST
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import QualityWarning

_WORLD = ("R", "A", "S")
_IMAGE = ("i", "j", "k")
_ENCODING = ("1", "2", "3")
_TURNED = 0.05
"""Sine of an angle below which two sets of axes count as one."""


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


def best_signs_and_order(
    moments: NDArray[np.float64], field: WaveField, encoding_axes: NDArray[np.float64] | None = None
) -> ComponentAxes:
    """Compare the components as given with every other choice of signs and order.

    Args:
        moments: real part of the gradient's second moments, shape (3, 3, 3, 3).
        field: wave field, for its axes.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.
    """
    given = divergence_over_curl(moments)
    best, words, chosen = np.inf, "", np.eye(3)
    for axes, names, what in component_frames(field, encoding_axes):
        back = np.linalg.inv(axes)
        for choice, told in _choices(names, what):
            turn = back @ choice @ axes
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


def component_frames(
    field: WaveField, encoding_axes: NDArray[np.float64] | None
) -> Iterator[tuple[NDArray[np.float64], tuple[str, ...], str]]:
    """Yield the sets of axes along which components may have been measured, in rows, with their names and kind."""
    yield np.eye(3), _WORLD, "component"
    image = (field.affine_mm[:3, :3] / field.voxel_size_mm).T
    if not _along(image, np.eye(3)):
        yield image, _IMAGE, "the component along image axis"
    if encoding_axes is not None and not _along(encoding_axes, np.eye(3)) and not _along(encoding_axes, image):
        yield encoding_axes, _ENCODING, "encoding direction"


def _along(axes: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether axes are others in any order and with any sign."""
    unit = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    cosines = np.abs(unit @ others.T)
    return bool(np.all(cosines.max(axis=1) > np.sqrt(1.0 - _TURNED**2)))


def _choices(names: tuple[str, ...], what: str) -> Iterator[tuple[NDArray[np.float64], str]]:
    """Signed permutations but the identity, up to a common sign, with their words."""
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            # Of S and -S the one with fewer reversals is named.
            if signs.count(-1.0) > 1 or (order == (0, 1, 2) and -1.0 not in signs):
                continue
            choice = np.zeros((3, 3))
            choice[range(3), order] = signs
            yield choice, _words(order, signs, names, what)


def _words(order: tuple[int, ...], signs: tuple[float, ...], names: tuple[str, ...], what: str) -> str:
    moved = [axis for axis in range(3) if order[axis] != axis]
    parts = []
    if len(moved) == 2:
        parts.append(f"{what} {names[moved[0]]} and {names[moved[1]]} exchanged")
    elif moved:
        parts.append(f"{_plural(what)} taken in the order {', '.join(names[axis] for axis in order)}")
    if -1.0 in signs:
        parts.append(f"{what} {names[signs.index(-1.0)]} reversed")
    return " and ".join(parts)


def _plural(what: str) -> str:
    return "the components along the image axes" if what.endswith("axis") else f"{what}s"
