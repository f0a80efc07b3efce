"""The grid of an inversion: holes are tissue, interpolated voxels are averaged, whole slices do not wave."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import fft

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.inversion_grid import inversion_grid

SHAPE = (16, 14, 6)


def _field(values: NDArray[np.complex128], mask: NDArray[np.bool_] | None = None, **more: object) -> WaveField:
    return WaveField(
        displacement_m=values,
        mask=np.ones(values.shape[:3], dtype=bool) if mask is None else mask,
        affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
        frequency_hz=60.0,
        noise_std_m=1e-7,
        density_kg_m3=1000.0,
        label="sub-01",
        **more,
    )


def _waves(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.complex128]:
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    phases = places @ np.array([[0.9, 0.2, 0.1], [0.1, 0.8, 0.3], [0.5, -0.6, 0.2]]).T
    return np.asarray(1e-5 * np.exp(-1j * phases))


def test_sound_fields_stay_as_they_are() -> None:
    """Without holes, interpolation or bulk motion nothing is copied: every number of an inversion stays."""
    field = _field(_waves())
    assert inversion_grid(field).same


def test_voxels_amid_tissue_are_tissue_without_data() -> None:
    """A hole would take eight cells with it; it is filled, marked, and left out of what is given back."""
    mask = np.ones(SHAPE, dtype=bool)
    mask[5, 5, 3] = mask[0, 7, 2] = False
    mask[10:, 9:, :] = False  # a corner is air
    grid = inversion_grid(_field(_waves(), mask))
    assert grid.field.measured is not None
    found = grid.field.mask & ~grid.field.measured
    assert found.sum() == 2
    assert found[5, 5, 3]
    assert found[0, 7, 2]
    numbers = np.arange(float(mask.size)).reshape(SHAPE)
    back = grid.on_given(numbers)
    assert np.array_equal(back[mask], numbers[mask])
    assert np.isnan(back[~mask]).all()


def test_interpolated_noise_is_known() -> None:
    """White noise, interpolated twofold by zero filling and averaged back, has the size that is stated for it."""
    generator = np.random.default_rng(0)
    acquired = generator.standard_normal((24, 24, 4, 1)) + 1j * generator.standard_normal((24, 24, 4, 1))
    shift = np.exp(-0.5j * np.pi * np.add.outer(fft.fftfreq(24), fft.fftfreq(24)))[..., None, None]
    series = fft.fftshift(fft.fft2(acquired, axes=(0, 1)) * shift, axes=(0, 1))
    stored = 4.0 * fft.ifft2(
        fft.ifftshift(np.pad(series, [(12, 12), (12, 12), (0, 0), (0, 0)]), axes=(0, 1)), axes=(0, 1)
    )
    field = _field(1e-7 * stored, directions=np.array([[0.0, 0.0, 1.0]]), acquired_matrix=(24, 24))
    grid = inversion_grid(field)
    assert grid.field.mask.shape == (24, 24, 4)
    assert grid.field.noise_std_m is not None
    size = np.sqrt(np.mean(np.abs(grid.field.displacement_m) ** 2) / 2.0)
    assert size == pytest.approx(grid.field.noise_std_m, rel=0.05)
    assert np.array_equal(np.bincount(grid.voxels), np.full(24 * 24 * 4, 4))


def test_bulk_motion_leaves_the_data_and_comes_back_as_an_error() -> None:
    """Ten times the wave, a shift and a turn of the body, obey no wave equation; what is left of waves does."""
    shape = (48, 46, 3)
    waves = _waves(shape)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) - 20.0
    bulk = 1e-4 * (np.array([1.0, 0.5j, -0.3]) + 0.2 * np.cross([0.3, 0.1j, 0.5], places))
    grid, alone = inversion_grid(_field(waves + bulk)), inversion_grid(_field(waves))
    assert np.abs(grid.field.displacement_m - waves).max() < 0.5 * np.abs(waves).max()
    assert grid.field.linear_phase_error_std_m > 0.1 * np.abs(waves).mean()
    assert alone.same


def test_waves_longer_than_the_slices_stay() -> None:
    """A long wave is a plane itself: in narrow slices nothing tells it from bulk motion."""
    assert inversion_grid(_field(_waves() ** 0.05)).same


def test_masks_of_other_shapes_keep_their_voxels() -> None:
    """Neither a bay nor a corner of tissue is a hole: no voxel of air may become tissue."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:14, 2:12, 1:5] = True
    mask[6:9, 2:6, 1:5] = False
    grid = inversion_grid(_field(_waves(), mask))
    assert np.array_equal(grid.field.mask, mask)
