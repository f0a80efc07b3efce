"""Averaging over blocks moves nothing, invents no tissue and states the noise that is left."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.block_average import block_average

FACTORS = (2, 3, 1)


def _places_mm(field: WaveField) -> NDArray[np.float64]:
    ijk = np.stack(np.meshgrid(*map(np.arange, field.mask.shape), indexing="ij"), axis=-1)
    return np.asarray(ijk @ field.affine_mm[:3, :3].T + field.affine_mm[:3, 3])


def _field(shape: tuple[int, int, int], seed: int = 0) -> WaveField:
    """An oblique grid of unequal voxels with a displacement that is linear in space."""
    generator = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(generator.normal(size=(3, 3)))[0] * [1.0, 1.5, 3.0]
    affine[:3, 3] = generator.normal(size=3)
    blank = WaveField(
        displacement_m=np.zeros((*shape, 3), complex),
        mask=np.ones(shape, bool),
        affine_mm=affine,
        frequency_hz=60.0,
        noise_std_m=1e-7,
        density_kg_m3=1000.0,
        label="sub-01",
        linear_phase_error_std_m=2e-8,
    )
    return dataclasses.replace(blank, displacement_m=_linear(_places_mm(blank)))


def _linear(places_mm: NDArray[np.float64]) -> NDArray[np.complex128]:
    gradient = np.random.default_rng(1).normal(size=(2, 3, 3))
    return np.asarray(1e-6 * (places_mm @ (gradient[0] + 1j * gradient[1]) + 1j))


def test_blocks_lie_where_the_affine_says() -> None:
    """A displacement linear in world space stays the same function: a shift by half a voxel would bend every map."""
    coarse = block_average(_field((7, 9, 4)), FACTORS)
    assert coarse.mask.shape == (3, 3, 4)
    np.testing.assert_allclose(coarse.displacement_m, _linear(_places_mm(coarse)), rtol=1e-12, atol=1e-20)
    np.testing.assert_allclose(coarse.voxel_size_mm, _field((7, 9, 4)).voxel_size_mm * FACTORS)


def test_noise_is_what_the_field_then_states() -> None:
    """Stated too low, noise would be read as stiffness; five standard errors of an estimated deviation."""
    field = _field((40, 42, 10))
    parts = np.random.default_rng(2).normal(scale=field.noise_std_m, size=(2, *field.displacement_m.shape))
    noisy = dataclasses.replace(field, displacement_m=parts[0] + 1j * parts[1])
    coarse = block_average(noisy, FACTORS)
    values = coarse.displacement_m.view(np.float64)
    assert coarse.noise_std_m is not None
    assert abs(values.std() / coarse.noise_std_m - 1) < 5 / np.sqrt(2 * values.size)
    assert block_average(dataclasses.replace(field, noise_std_m=None), FACTORS).noise_std_m is None


def test_only_whole_blocks_of_tissue() -> None:
    """What lies beside the tissue, NaN even, neither becomes tissue nor reaches it."""
    field = _field((8, 9, 4))
    field.mask[3, 4, 2] = False
    field.displacement_m[3, 4, 2] = np.nan
    coarse = block_average(field, FACTORS)
    assert np.argwhere(~coarse.mask).tolist() == [[1, 1, 2]]
    assert np.isfinite(coarse.displacement_m).all()


def test_blocks_of_one_voxel_change_nothing() -> None:
    """The neutral element: also what shows that noise and drift are not scaled twice."""
    field = _field((5, 4, 3))
    same = block_average(field, (1, 1, 1))
    for name in ("displacement_m", "mask", "affine_mm", "noise_std_m", "linear_phase_error_std_m"):
        np.testing.assert_array_equal(getattr(same, name), getattr(field, name))


def test_blocks_of_blocks() -> None:
    """Two steps are one: places, noise and drift of slices compose."""
    field = _field((8, 8, 8))
    twice, once = block_average(block_average(field, (2, 1, 2)), (2, 2, 2)), block_average(field, (4, 2, 4))
    for name in ("displacement_m", "affine_mm", "noise_std_m", "linear_phase_error_std_m"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), rtol=1e-12, atol=1e-20)


def test_too_thin_tissue_is_refused() -> None:
    """A user who asks for blocks thicker than the slab hears so."""
    with pytest.raises(InputError, match="all tissue"):
        block_average(_field((8, 8, 3)), (2, 2, 4))
