"""Whether the three components of a wave field lie along the axes, and with the signs, that they are taken for.

Tissue is nearly incompressible: the divergence of the right displacement is small beside its curl. A component with the
wrong sign, or two exchanged, turns shear into divergence. Of the 48 ways to sign and order three components 24 differ
(the common sign changes nothing), and all of their divergences and curls follow from the second moments of the
gradient, so that the best of them can be named. A reversed or exchanged axis of the image shows in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.check_limits import AXES_GAIN, AXES_LEAST
from palpate.imaging.wavefield import WaveField
from palpate.quality_warning import QualityWarning

_WORLD = ("R", "A", "S")
_IMAGE = ("i", "j", "k")
_ENCODING = ("1", "2", "3")
_TURNED = 0.05
"""Sine of an angle below which two sets of axes count as one."""
_FEWEST_VOXELS = 30
_MOST_VOXELS = 60_000
_LEAST_SIGNAL = 0.3
"""Share of the gradient's power that must not be noise: of what is mostly noise no choice is better than another."""


@dataclass(frozen=True, slots=True)
class ComponentAxes:
    """How free of divergence the components are, as given and in the best other choice.

    Attributes:
        given: root mean square of div U over that of curl U, noise taken off where it is known.
        best: the same of the best other choice of signs and order.
        words: that choice, such as "component A reversed".
    """

    given: float
    best: float
    words: str


def component_axes(field: WaveField, encoding_axes: NDArray[np.float64] | None = None) -> ComponentAxes | None:
    """Compare the components as given with every other choice of signs and order.

    Args:
        field: a wave field.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.

    Returns:
        The comparison; None where too few voxels have six neighbours of tissue, or noise hides the waves.
    """
    moments = _gradient_moments(field)
    if moments is None:
        return None
    given = _ratio(moments, np.eye(3))
    best, words = np.inf, ""
    for axes, names, what in _frames(field, encoding_axes):
        back = np.linalg.inv(axes)
        for choice, told in _choices(names, what):
            ratio = _ratio(moments, back @ choice @ axes)
            if ratio < best:
                best, words = ratio, told
    return ComponentAxes(given, best, words)


def check_component_axes(found: ComponentAxes | None) -> tuple[QualityWarning, ...]:
    """Warn where another choice of signs or order is clearly better.

    Args:
        found: result of component_axes.
    """
    if found is None or found.given < AXES_LEAST or found.best > AXES_GAIN * found.given:
        return ()
    sentence = (
        f"The components seem to have wrong signs or axes: divergence over curl is {found.given:.2f}, and "
        f"{found.best:.2f} with {found.words}."
    )
    advice = "Check signs and order of the components (or encoding directions), and the orientation of the image axes."
    return (QualityWarning("component-axes", sentence, advice),)


def _frames(
    field: WaveField, encoding_axes: NDArray[np.float64] | None
) -> Iterator[tuple[NDArray[np.float64], tuple[str, ...], str]]:
    """Sets of axes along which components may have been reversed or exchanged, in rows, with their names."""
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


def _ratio(moments: NDArray[np.float64], choice: NDArray[np.float64]) -> float:
    """Divergence over curl, root mean squares, of components turned by a matrix.

    Args:
        moments: real part of the mean of G_cw conj(G_dv), shape (3, 3, 3, 3).
        choice: matrix from given to chosen components.
    """
    turned = np.einsum("ac,bd,cwdv->awbv", choice, choice, moments)
    divergence = float(np.einsum("aabb->", turned))
    curl = float(np.einsum("awaw->", turned) - np.einsum("awwa->", turned))
    return float(np.sqrt(max(divergence, 0.0) / max(curl, 1e-300)))


def _gradient_moments(field: WaveField) -> NDArray[np.float64] | None:
    """Second moments of dU_c/dx_w over voxels with six neighbours of tissue, without the noise's share."""
    inside = np.argwhere(ndimage.binary_erosion(field.mask, ndimage.generate_binary_structure(3, 1)))
    if len(inside) < _FEWEST_VOXELS:
        return None
    inside = inside[:: -(-len(inside) // _MOST_VOXELS)]
    displacement = field.displacement_m
    scale = float(np.abs(displacement[tuple(inside.T)]).max()) or 1.0
    to_world = np.linalg.inv(field.affine_mm[:3, :3])
    steps = np.eye(3, dtype=int)
    slopes = [displacement[tuple((inside + one).T)] - displacement[tuple((inside - one).T)] for one in steps]
    gradient = (np.stack(slopes, axis=-1) * (0.5 / scale) @ to_world).reshape(-1, 9)
    measured = (gradient.T @ gradient.conj()).real.reshape(3, 3, 3, 3) / len(gradient)
    if field.noise_std_m is None:
        return np.asarray(measured)
    # A central difference of complex noise has the mean square 2 sigma^2 / 2.
    noise = (field.noise_std_m / scale) ** 2 * np.einsum("aw,av->wv", to_world, to_world)
    moments = measured - np.einsum("cd,wv->cwdv", np.eye(3), noise)
    share = np.einsum("cwcw->", moments) / max(float(np.einsum("cwcw->", measured)), 1e-300)
    return np.asarray(moments) if share > _LEAST_SIGNAL else None
