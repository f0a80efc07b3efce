"""Signs and order of the components: every wrong choice is found and undone by its name, and right ones pass."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest

from palpate.imaging.checks.component_axes import ComponentAxes, best_signs_and_order, check_component_axes
from palpate.imaging.checks.component_frames import component_frames
from palpate.imaging.checks.gradient_moments import gradient_moments
from palpate.imaging.wavefield import WaveField
from tests.imaging.shear_waves import OBLIQUE, STRAIGHT, shear_waves

NAMED = {
    "component R reversed": np.diag([-1.0, 1.0, 1.0]),
    "component A reversed": np.diag([1.0, -1.0, 1.0]),
    "component S reversed": np.diag([1.0, 1.0, -1.0]),
    "component R and A exchanged": np.eye(3)[[1, 0, 2]],
    "component R and S exchanged": np.eye(3)[[2, 1, 0]],
    "component A and S exchanged": np.eye(3)[[0, 2, 1]],
}


def _turned(field: WaveField, matrix: np.ndarray) -> WaveField:
    return replace(field, displacement_m=field.displacement_m @ matrix.T)


def _compared(field: WaveField, encoding_axes: np.ndarray | None = None) -> ComponentAxes | None:
    moments = gradient_moments(field)
    return (
        None if moments is None else best_signs_and_order(moments.proper.real, component_frames(field, encoding_axes))
    )


def _words(field: WaveField) -> str:
    found = _compared(field)
    assert found is not None
    warnings = check_component_axes(found)
    assert all(found.words in one.sentence and one.code == "component-axes" for one in warnings)
    return found.words if warnings else ""


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(5))
def test_right_components_pass(seed: int, noise: float) -> None:
    """On straight and oblique grids, with and without noise: a flag that is often up is no flag."""
    for affine_mm in (STRAIGHT, OBLIQUE):
        assert _words(shear_waves(affine_mm, seed=seed, noise=noise)) == ""


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("words", NAMED)
def test_a_wrong_component_is_named(words: str, noise: float) -> None:
    """The warning must tell what to change, whatever the grid; the common sign of all three means nothing."""
    for affine_mm, sign in ((STRAIGHT, 1.0), (OBLIQUE, -1.0)):
        assert _words(_turned(shear_waves(affine_mm, noise=noise), sign * NAMED[words])) == words


def test_every_other_choice_is_found() -> None:
    """All 24 ways to sign and order three components but the right one, up to the common sign."""
    field = shear_waves(noise=0.03)
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        matrix = np.array(signs)[:, None] * np.eye(3)[list(order)]
        right = np.allclose(matrix, np.eye(3)) or np.allclose(matrix, -np.eye(3))
        assert (_words(_turned(field, matrix)) == "") == right, (order, signs)


def test_a_mirrored_affine_is_a_reversed_component() -> None:
    """An image axis that runs the other way without its component is the same fault from the other side."""
    mirrored = STRAIGHT @ np.diag([1.0, -1.0, 1.0, 1.0])
    assert _words(replace(shear_waves(), affine_mm=mirrored)) == "component A reversed"


def test_an_oblique_encoding_is_named_as_such() -> None:
    """A reversed encoding direction at 30 degrees is no reversed component of the world; only its own axes show it."""
    far, near = np.cos(np.pi / 6), np.sin(np.pi / 6)
    axes = np.array([[far, near, 0.0], [-near, far, 0.0], [0.0, 0.0, 1.0]])
    faulty = _turned(shear_waves(), np.linalg.inv(axes) @ np.diag([-1.0, 1.0, 1.0]) @ axes)
    found = _compared(faulty, axes)
    assert found is not None
    assert found.words == "encoding direction 1 reversed"
    assert check_component_axes(found)


def test_image_axes_are_spelt_in_the_plural() -> None:
    """Three components in a wrong order, along the axes of an oblique image."""
    axes = (OBLIQUE[:3, :3] / np.linalg.norm(OBLIQUE[:3, :3], axis=0)).T
    found = _compared(_turned(shear_waves(OBLIQUE), np.linalg.inv(axes) @ np.eye(3)[[1, 2, 0]] @ axes))
    assert found is not None
    assert found.words.startswith("the components along the image axes taken in the order")


def test_noise_and_thin_slabs_say_nothing() -> None:
    """Where there are no waves, or no slices to compare, no choice is better than another."""
    field = shear_waves()
    noise = np.random.default_rng(1).normal(size=(2, *field.displacement_m.shape)) * 1e-6
    assert _compared(replace(field, displacement_m=noise[0] + 1j * noise[1], noise_std_m=1e-6)) is None
    found = _compared(replace(field, displacement_m=noise[0] + 1j * noise[1]))
    assert found is not None
    assert check_component_axes(found) == ()
    thin = shear_waves(shape=(18, 16, 2))
    assert _compared(thin) is None
