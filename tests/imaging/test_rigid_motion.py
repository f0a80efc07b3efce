"""A rigid motion is told from waves by its turn, which waves of any length share with strain."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.waves.rigid_motion import TURN, bulk_motion, turns

PLACES = np.argwhere(np.ones((9, 8, 7))).astype(np.float64)


def _waves(wavelength: float, seed: int) -> NDArray[np.complex128]:
    """Twelve plane shear waves from all sides, mean square 1, wavelength in voxels."""
    generator = np.random.default_rng(seed)
    total = np.zeros(PLACES.shape, dtype=np.complex128)
    for _ in range(12):
        way, along = generator.standard_normal((2, 3))
        way /= np.linalg.norm(way)
        along -= (along @ way) * way
        phase = np.exp(-2j * np.pi * (PLACES @ way) / wavelength + 2j * np.pi * generator.random())
        total += phase[:, None] * along
    return total / np.sqrt(np.mean(np.abs(total) ** 2))


def _turned(size: float) -> NDArray[np.complex128]:
    """A turn of this root mean square about an oblique axis, with a shift."""
    motion = (turns(PLACES) @ np.array([1.0, 0.5j, -0.3])).reshape(PLACES.shape)
    return np.asarray(size * (motion / np.sqrt(np.mean(np.abs(motion) ** 2)) + np.array([2.0, -1.0j, 0.5])))


@pytest.mark.parametrize("wavelength", [8.0, 20.0, 60.0])
@pytest.mark.parametrize("seed", range(4))
def test_waves_alone_are_no_bulk_motion(wavelength: float, seed: int) -> None:
    """Long waves are nearly rigid in a narrow field, and what they tell of stiffness must stay."""
    assert bulk_motion(_waves(wavelength, seed), PLACES) is None


def test_bulk_motion_is_taken_out_and_its_turn_stated() -> None:
    """What remains is the wave, but for a turn of stated size."""
    waves = _waves(12.0, 1)
    found = bulk_motion(waves + _turned(10.0), PLACES)
    assert found is not None
    assert found.turn_std_m == pytest.approx(10.0 / np.sqrt(2.0), rel=0.1)
    left = waves + _turned(10.0) - found.displacement_m - waves
    assert np.sqrt(np.mean(np.abs(left) ** 2)) < 0.7


def test_the_part_that_is_taken_grows_from_nothing() -> None:
    """No decision may hang on rounding: just beyond the limit hardly anything is taken."""
    waves = _waves(12.0, 2)
    basis = turns(PLACES)
    turn = (basis @ (basis.T @ (waves - waves.mean(axis=0)).ravel())).reshape(waves.shape)
    rest = waves - waves.mean(axis=0) - turn
    pure = _turned(1.0) - _turned(1.0).mean(axis=0)
    size = np.sqrt(np.mean(np.abs(rest) ** 2) * (TURN + 1e-6))
    found = bulk_motion(rest + size * pure, PLACES)
    assert found is not None
    assert np.abs(found.displacement_m).max() < 1e-5 * size


def test_turns_are_rigid() -> None:
    """They are orthonormal and change no distance: v is at right angles to the arm from the middle, and linear."""
    basis = turns(PLACES)
    assert basis.T @ basis == pytest.approx(np.eye(3), abs=1e-12)
    arms = PLACES - PLACES.mean(axis=0)
    assert np.einsum("nd,ndc->nc", arms, basis.reshape(-1, 3, 3)) == pytest.approx(0.0, abs=1e-12)
