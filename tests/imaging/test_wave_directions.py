"""Where waves travel: right for a plane wave on any grid, and honest about noise and standing waves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.wave_directions import wave_directions

SHAPE = (14, 12, 10)
OBLIQUE = Rotation.from_euler("xyz", [20.0, -15.0, 40.0], degrees=True).as_matrix()
WAVELENGTH_MM = 30.0


def _field(displacement: NDArray[np.complex128], affine_mm: NDArray[np.float64]) -> WaveField:
    return WaveField(
        displacement_m=displacement,
        mask=np.ones(SHAPE, dtype=bool),
        affine_mm=affine_mm,
        frequency_hz=50.0,
        noise_std_m=None,
        density_kg_m3=1000.0,
        label="sub-01",
    )


def _oblique() -> NDArray[np.float64]:
    affine_mm = np.eye(4)
    affine_mm[:3, :3] = OBLIQUE @ np.diag([2.0, 1.5, 3.0])
    return affine_mm


def _plane_wave(affine_mm: NDArray[np.float64], travel: NDArray[np.float64]) -> NDArray[np.complex128]:
    """A shear wave exp(-i k . x) whose displacement is across its travel."""
    across = np.cross(travel, [0.3, -0.5, 0.8])
    places = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine_mm[:3, :3].T
    phase = 2.0 * np.pi / WAVELENGTH_MM * (places @ travel)
    return np.asarray(np.exp(-1j * phase)[..., None] * across / np.linalg.norm(across))


@pytest.mark.parametrize("travel", [(1.0, 0.0, 0.0), (0.0, -0.6, 0.8), (-0.48, 0.6, 0.64)])
def test_flux_of_a_plane_wave_points_along_its_travel(travel: tuple[float, float, float]) -> None:
    """In world axes whatever the grid's: a reader places the source by it."""
    affine_mm, ahead = _oblique(), np.array(travel)
    found = wave_directions(_field(_plane_wave(affine_mm, ahead), affine_mm))
    assert found is not None
    mean = found.flux.sum(axis=0)
    assert mean @ ahead / np.linalg.norm(mean) > np.cos(np.radians(2.0))  # central differences shorten long steps more
    assert found.directionality > 0.999


def test_shear_waves_have_no_divergence_and_noise_has_its_share() -> None:
    """Both ends of the scale that the page states: 0 up to central differences, and 0.71."""
    affine_mm = _oblique()
    wave = wave_directions(_field(_plane_wave(affine_mm, np.array([0.0, 0.0, 1.0])), affine_mm))
    assert wave is not None
    assert wave.divergence_share < 0.02
    generator = np.random.default_rng(3)
    parts = generator.standard_normal((2, *SHAPE, 3))
    noise = wave_directions(_field(np.asarray(parts[0] + 1j * parts[1]), np.eye(4)))
    assert noise is not None
    assert noise.divergence_share == pytest.approx(np.sqrt(0.5), abs=0.05)
    independent = len(noise.flux) / 7  # a voxel's flux takes in its six neighbours
    assert noise.directionality < 3.0 * 1.2 / np.sqrt(independent)  # three times a random walk of such unequal steps


def test_a_standing_wave_travels_nowhere() -> None:
    """Two equal waves against each other carry nothing: the page must not show a direction."""
    affine_mm, ahead = _oblique(), np.array([1.0, 0.0, 0.0])
    there = wave_directions(_field(_plane_wave(affine_mm, ahead), affine_mm))
    both = _plane_wave(affine_mm, ahead) + _plane_wave(affine_mm, ahead).conj()
    standing = wave_directions(_field(both, affine_mm))
    assert there is not None
    assert standing is not None
    assert np.linalg.norm(standing.flux, axis=1).max() < 1e-9 * np.linalg.norm(there.flux, axis=1).max()


def test_shares_by_side_are_complete_and_right() -> None:
    """They sum to one, and a wave towards the left is counted there."""
    found = wave_directions(_field(_plane_wave(np.eye(4), np.array([-1.0, 0.0, 0.0])), np.eye(4)))
    assert found is not None
    shares = found.towards()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["L"] > 0.99


def test_a_slab_without_neighbours_says_nothing() -> None:
    """Two slices have no central difference across them."""
    field = _field(np.ones((*SHAPE, 3), dtype=np.complex128), np.eye(4))
    thin = WaveField(
        displacement_m=field.displacement_m[:, :, :2],
        mask=field.mask[:, :, :2],
        affine_mm=np.eye(4),
        frequency_hz=50.0,
        noise_std_m=None,
        density_kg_m3=1000.0,
        label="sub-01",
    )
    assert wave_directions(thin) is None
