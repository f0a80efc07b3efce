"""Checks that each component of a wave field holds a wave of its own: no noise, no copy, one scale.

A direction whose motion encoding was off holds noise, one that was measured twice holds another direction's wave, and
one whose phase has another unit is too large or too small. The first two show in the components themselves, the third
in the divergence, which tissue hardly has: of all scales s of one component that with the least

    (g^H D g) / (g^H C g),    g = 1 but g_c = s,

is the right one, D and C being the forms of divergence and curl (component_forms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.checks.component_forms import ComponentForms
from palpate.imaging.checks.component_frames import ComponentFrame
from palpate.imaging.limits.check_limits import (
    AXES_LEAST,
    COMPONENT_SCALE,
    COPY_COHERENCE,
    COPY_RATIO,
    SCALED_GAIN,
    SMOOTH_COMPONENT,
    SMOOTH_OTHERS,
)
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import QualityWarning

_SCALES: Final = np.geomspace(0.125, 8.0, 121)
_CREDIBLE: Final = 5.0
"""Largest factor, or its inverse, that is believed: beyond it a component alone, or none of it, fits best."""

_NEARLY: Final = 0.02
"""Difference of divergence over curl below which two scales explain a field equally well."""

_PAIR: Final = 2

_FAR_APART: Final = 0.5
"""Cosine of the angle of two directions below which they see different motion, of 60 degrees."""


@dataclass(frozen=True, slots=True)
class ComponentScale:
    """Divergence of the components as given, and with one of them scaled.

    Attributes:
        given: root mean square of div U over that of curl U.
        best: this ratio at the best scale of one component.
        component: name of this component, such as "component R".
        scale: factor s by which it must be multiplied.
    """

    given: float
    best: float
    component: str
    scale: float


def component_scale(given: float, forms: Sequence[ComponentForms]) -> ComponentScale:
    """Find the component and its scale at which divergence over curl is least.

    Args:
        given: root mean square of div U over that of curl U.
        forms: forms of divergence and curl in every frame.
    """
    found = []
    for one in forms:
        for number in range(3):
            factors = np.ones((len(_SCALES), 3))
            factors[:, number] = _SCALES
            ratios = one.ratios(factors)
            best = float(ratios.min())
            # Where noise was taken away, several scales may leave nothing; the middle one is meant.
            middle = float(np.exp(np.log(_SCALES[ratios <= best + _NEARLY]).mean()))
            found.append(ComponentScale(given, best, one.frame.component(number), middle))
    return min(found, key=lambda one: one.best)


def check_component_scale(found: ComponentScale) -> tuple[QualityWarning, ...]:
    """Warn where another scale of one component is clearly better.

    Args:
        found: result of component_scale.
    """
    if found.given < AXES_LEAST or found.best > SCALED_GAIN * found.given:
        return ()
    if not COMPONENT_SCALE <= max(found.scale, 1.0 / found.scale) <= _CREDIBLE:
        return ()
    sentence = (
        f"The components seem to have different scales: divergence over curl is {found.given:.2f}, and it would be "
        f"{found.best:.2f} if {found.component} were {found.scale:.2g} times as large."
    )
    advice = (
        "Check the unit of this component's phase (rescale slope, range of values, degrees or radians) and its motion "
        "encoding. Stiffness from this wave field is wrong."
    )
    return (QualityWarning("component-scale", sentence, advice),)


def check_contents(field: WaveField, given: float, frames: Sequence[ComponentFrame]) -> tuple[QualityWarning, ...]:
    """Warn of a component that holds noise alone, and of one that is another's copy.

    Args:
        field: wave field of three components.
        given: root mean square of div U over that of curl U.
        frames: frames in which components may have been measured.
    """
    if given < AXES_LEAST:
        return ()
    for frame in frames:
        components = field.displacement_m @ frame.axes.T
        names = [frame.component(number) for number in range(3)]
        warnings = _noise_alone(components, field.mask, names) or _copied(components[field.mask], names)
        if warnings:
            return warnings
    return ()


def check_pair(field: WaveField) -> tuple[QualityWarning, ...]:
    """Warn where one of two components holds noise alone, or where both hold one wave.

    Divergence, which tells a copy from a wave that moves tissue alike along two axes, is not known here. Directions
    that are close to each other see nearly one motion: only of those far apart is a copy told.

    Args:
        field: wave field of two components.
    """
    if field.directions is None or len(field.directions) != _PAIR:
        return ()
    names = ("measured direction 1", "measured direction 2")
    noise = _noise_alone(field.displacement_m, field.mask, names)
    apart = abs(float(field.directions[0] @ field.directions[1])) < _FAR_APART
    return noise or (_copied(field.displacement_m[field.mask], names) if apart else ())


def _noise_alone(
    components: NDArray[np.complex128], mask: NDArray[np.bool_], names: Sequence[str]
) -> tuple[QualityWarning, ...]:
    """Warn of a component whose neighbouring voxels have nothing in common, unlike those of the others."""
    smooth = _neighbour_correlation(components, mask)
    odd = int(smooth.argmin())
    others = float(np.delete(smooth, odd).min())
    if smooth[odd] > SMOOTH_COMPONENT or others < SMOOTH_OTHERS:
        return ()
    rest = "the other two" if len(names) > _PAIR else "the other one"
    sentence = (
        f"No wave is seen in {names[odd]}: its neighbouring voxels correlate by {smooth[odd]:.2f}, those of "
        f"{rest} by {others:.2f}{' and more' if len(names) > _PAIR else ''}. Its motion encoding or its vibration was "
        "off."
    )
    advice = (
        f"Look at this direction's phase images. Leave the component out, with Directions for {rest}, rather "
        "than invert noise."
    )
    return (QualityWarning("component-without-wave", sentence, advice),)


def _copied(values: NDArray[np.complex128], names: Sequence[str]) -> tuple[QualityWarning, ...]:
    """Warn of two components that are equal but for their sign."""
    products = values.conj().T @ values
    power = np.diag(products).real
    for one, other in combinations(range(len(names)), 2):
        both = products[one, other]
        coherence = abs(both) / max(float(np.sqrt(power[one] * power[other])), 1e-300)
        ratio = both / max(float(power[one]), 1e-300)
        if coherence > COPY_COHERENCE and abs(abs(ratio.real) - 1.0) < COPY_RATIO and abs(ratio.imag) < COPY_RATIO:
            break
    else:
        return ()
    sign = "" if ratio.real > 0 else " with the opposite sign"
    first, second = names[one], names[other].rpartition(" ")[2]
    sentence = (
        f"{first[:1].upper()}{first[1:]} and {second} hold the same wave{sign} (coherence "
        f"{coherence:.3f}): one direction was measured or exported twice."
    )
    advice = "Check which direction each series encodes, and export the one that is missing."
    return (QualityWarning("component-twice", sentence, advice),)


def _neighbour_correlation(components: NDArray[np.complex128], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the correlation of neighbours within slices, of each component, shape (n,)."""
    together, alone = np.zeros(components.shape[-1]), np.full(components.shape[-1], 1e-300)
    for axis in range(2):
        first, second = (np.delete(np.arange(mask.shape[axis]), cut) for cut in (-1, 0))
        both = mask.take(first, axis) & mask.take(second, axis)
        a, b = components.take(first, axis)[both], components.take(second, axis)[both]
        together += np.sum((a.conj() * b).real, axis=0)
        alone += 0.5 * np.sum(np.abs(a) ** 2 + np.abs(b) ** 2, axis=0)
    return np.asarray(together / alone)
