"""Three oblique encodings become one vector field, whatever way the slices were tilted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from palpate.imaging.displacement import oss_snr, to_world, without_slice_means, world_noise

SHAPE = (4, 5, 3)


def _field(seed: int, *shape: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=shape) + 1j * generator.normal(size=shape)


@pytest.mark.parametrize("seed", range(3))
def test_encoding_is_undone(seed: int) -> None:
    """Measuring along E and solving E u = m must give back u for oblique and even for skewed axes."""
    axes = np.random.default_rng(seed).normal(size=(3, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    displacement = _field(seed, *SHAPE, 3)
    encoded = np.einsum("dc,...c->d...", axes, displacement)
    np.testing.assert_allclose(to_world(encoded, axes), displacement, atol=1e-10)


def test_rotation_equivariance() -> None:
    """Turning the encoding axes turns the displacement, and nothing else happens to it."""
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    axes = Rotation.from_euler("xyz", [3, 4, 5], degrees=True).as_matrix()
    encoded = _field(1, 3, *SHAPE)
    np.testing.assert_allclose(to_world(encoded, axes @ turn.T), to_world(encoded, axes) @ turn.T, atol=1e-12)


@pytest.mark.parametrize("skewed", [False, True])
def test_noise_of_world_components(skewed: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Skewed axes amplify noise; the sigma handed to the inversion must include it."""
    axes = np.eye(3) if not skewed else np.array([[1, 0, 0], [0.6, 0.8, 0], [0.6, 0, 0.8]])
    stds = np.array([0.1, 0.2, 0.3])
    drawn = np.random.default_rng(5).normal(size=(3, 100_000)) * stds[:, None]
    world = to_world(drawn.astype(complex)[..., None, None], axes)
    actual = np.sqrt(np.mean(np.abs(world) ** 2))
    assert world_noise(stds, axes) == pytest.approx(actual, rel=4 / np.sqrt(2 * 100_000))


def test_slice_means_vanish_inside_the_mask() -> None:
    """Only what the mask holds counts as the slice's motion."""
    mask = np.random.default_rng(6).random(SHAPE) > 0.4
    centred = without_slice_means(_field(7, *SHAPE), mask)
    np.testing.assert_allclose((centred * mask).sum(axis=(0, 1)), 0.0, atol=1e-12)


def test_strain_snr_does_not_depend_on_the_frame() -> None:
    """Octahedral strain is an invariant: turning world and displacement together must leave the figure as it is."""
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    field = _field(8, 8, 8, 6, 3)
    affine, turned = np.diag([2.0, 2.0, 3.0, 1.0]), np.eye(4)
    turned[:3, :3] = turn @ affine[:3, :3]
    mask = np.ones(field.shape[:3], dtype=bool)
    first = oss_snr(field, mask, affine, 0.1)
    # The noise draw is the same numbers in other axes, so only its own sampling differs.
    assert oss_snr(field @ turn.T, mask, turned, 0.1) == pytest.approx(first, rel=0.1)


def test_strain_snr_ignores_rigid_motion() -> None:
    """A shaken head must not count as a strained brain."""
    field = np.ones((6, 6, 6, 3), dtype=complex) * [1.0, 2.0, 3.0]
    assert oss_snr(field, np.ones((6, 6, 6), dtype=bool), np.eye(4), 0.1) == pytest.approx(0.0, abs=1e-9)
