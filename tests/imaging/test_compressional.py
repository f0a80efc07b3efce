"""What is taken off as compressional must be that, and nothing that an inversion lives from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from palpate.imaging.waves.compressional import compressional_part, corner_gradient

SHAPE = (22, 20, 16)
AFFINE_MM = np.eye(4)
AFFINE_MM[:3, :3] = Rotation.from_euler("xyz", [10, -20, 30], degrees=True).as_matrix() @ np.diag([2.0, 2.0, 3.0])


@pytest.fixture(scope="module")
def mask() -> np.ndarray:
    """A ball with a bite out of it."""
    away = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - np.array(SHAPE) / 2 + 0.5, axis=-1)
    found = away < 7.5
    found[10:13, 15:, 6:9] = False
    return found


def _points_mm() -> np.ndarray:
    return np.moveaxis(np.indices(SHAPE), 0, -1) @ AFFINE_MM[:3, :3].T


def _random(seed: int) -> np.ndarray:
    parts = np.random.default_rng(seed).normal(size=(2, *SHAPE, 3))
    return parts[0] + 1j * parts[1]


def test_rigid_motion_stays(mask: np.ndarray) -> None:
    """A head that sways or turns is not compressed; exact, for rotations have no divergence on the grid either."""
    turn = np.cross(np.array([0.3, -0.2, 0.5]), _points_mm()) + np.array([1.0, 2.0j, -3.0])
    part = compressional_part(turn, mask, AFFINE_MM)
    assert np.abs(part).max() < 1e-7 * np.abs(turn).max()


def test_a_gradient_vanishes(mask: np.ndarray) -> None:
    """The gradient of a potential that ends at the border is wholly compressional: nothing of it is left."""
    gradient = corner_gradient(mask, AFFINE_MM)
    field = np.zeros((*SHAPE, 3), dtype=complex)
    field[mask] = (gradient @ np.random.default_rng(1).normal(size=gradient.shape[1])).reshape(-1, 3)
    left = field - compressional_part(field, mask, AFFINE_MM)
    assert np.abs(left).max() < 1e-6 * np.abs(field).max()


def test_it_is_an_orthogonal_projection(mask: np.ndarray) -> None:
    """P^2 = P and P symmetric: doing it twice changes nothing, and no field gains energy by losing a part."""
    one, other = _random(2), _random(3)
    kept = one - compressional_part(one, mask, AFFINE_MM)
    again = compressional_part(kept, mask, AFFINE_MM)
    assert np.abs(again).max() < 1e-6 * np.abs(kept).max()
    part = compressional_part(other, mask, AFFINE_MM)
    assert abs(np.vdot(kept[mask], part[mask])) < 1e-6 * np.linalg.norm(kept) * np.linalg.norm(part)
    assert np.linalg.norm(kept[mask]) < np.linalg.norm(one[mask])


def test_divergence_is_gone(mask: np.ndarray) -> None:
    """G^T u = 0 at every inner corner, whatever came in."""
    field = _random(4)
    gradient = corner_gradient(mask, AFFINE_MM)
    kept = field - compressional_part(field, mask, AFFINE_MM)
    before, after = (np.abs(gradient.T @ one[mask].ravel()).max() for one in (field, kept))
    assert after < 1e-6 * before


def test_shear_waves_stay_and_pressure_waves_go(mask: np.ndarray) -> None:
    """Waves of ten voxels: differences see them to (pi / 10)^2 / 2 = 5 %, which bounds what a shear wave may lose.

    A pressure wave that long is the gradient of a potential that does not end at the border, so part of it is harmonic
    and stays; more than half must go.
    """
    travel = np.array([0.6, 0.0, 0.8])
    wave = np.exp(-2j * np.pi / 20.0 * _points_mm() @ travel)[..., None]
    lost = {}
    for name, direction in (("shear", np.array([0.0, 1.0, 0.0])), ("pressure", travel)):
        field = wave * direction
        lost[name] = np.linalg.norm(compressional_part(field, mask, AFFINE_MM)) / np.linalg.norm(field[mask])
    assert lost["shear"] < 0.05
    assert lost["pressure"] > 0.7  # of the amplitude: half of the energy


def test_turned_worlds_give_turned_parts(mask: np.ndarray) -> None:
    """Equivariance: turning grid and displacement together turns the result."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [40, 25, -60], degrees=True).as_matrix()
    field = np.stack([ndimage.gaussian_filter(one, 2.0) for one in np.moveaxis(_random(5), -1, 0)], axis=-1)
    straight = compressional_part(field, mask, AFFINE_MM)
    turned = compressional_part(field @ turn[:3, :3].T, mask, turn @ AFFINE_MM)
    assert np.abs(turned - straight @ turn[:3, :3].T).max() < 1e-6 * np.abs(straight).max()


def test_a_sheet_has_no_inner_corner() -> None:
    """In a single slice nothing can be said of what happens across it: nothing is taken off."""
    mask = np.ones((5, 5, 1), dtype=bool)
    assert not compressional_part(np.ones((5, 5, 1, 3), dtype=complex), mask, np.eye(4)).any()
