"""Voids in a wave field: a few voxels of noise raise no check, and no fault of all the others hides behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.checks.component_checks import check_components
from palpate.imaging.checks.wave_checks import wave_warnings
from palpate.imaging.wave_record import field_record
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.signal_voids import signal_mask, with_signal
from palpate.imaging.waves.wave_directions import wave_directions
from tests.imaging.shear_waves import OBLIQUE, STRAIGHT, shear_waves
from tests.imaging.test_wave_checks import FAULTS

SHAPE = (18, 16, 8)
SHARES = (0.01, 0.03)


def _cube(count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """About so many voxels in one piece anywhere in the grid."""
    edge = round(count ** (1 / 3))
    start = [int(generator.integers(0, size - edge + 1)) for size in SHAPE]
    void = np.zeros(SHAPE, dtype=bool)
    void[tuple(slice(one, one + edge) for one in start)] = True
    return void


def _scattered(count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """So many single voxels."""
    void = np.zeros(int(np.prod(SHAPE)), dtype=bool)
    void[generator.permutation(void.size)[:count]] = True
    return void.reshape(SHAPE)


def _tube(count: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """A vessel through all slices."""
    away = np.linalg.norm(np.moveaxis(np.indices(SHAPE[:2]), 0, -1) - generator.uniform(5.0, 11.0, size=2), axis=-1)
    within = np.zeros(SHAPE[:2], dtype=bool)
    within.ravel()[np.argsort(away, axis=None)[: max(1, round(count / SHAPE[2]))]] = True
    return np.broadcast_to(within[..., None], SHAPE).copy()


SHAPES = {"cube": _cube, "scattered": _scattered, "tube": _tube}


def _with_void(field: WaveField, shape: str, share: float, size: float, seed: int = 0) -> WaveField:
    """The field with noise alone in a share of its voxels, of `size` times the waves' mean amplitude."""
    generator = np.random.default_rng(seed)
    void = SHAPES[shape](round(share * field.mask.size), generator)
    sigma = size * float(np.linalg.norm(np.abs(field.displacement_m), axis=-1).mean())
    real, imaginary = sigma * generator.standard_normal((2, *field.displacement_m.shape))
    noisy = np.where(void[..., None], real + 1j * imaginary, field.displacement_m)
    return replace(field, displacement_m=noisy)


@pytest.mark.parametrize(("size", "noise"), [(0.5, 0.01), (1.0, 0.05), (10.0, 0.02)])
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_void_raises_nothing(shape: str, share: float, size: float, noise: float) -> None:
    """Noise of one voxel in a hundred has as much divergence as all waves together: it is no fault of the export."""
    seed = round(10 * size)
    sound = shear_waves(OBLIQUE, shape=SHAPE, noise=noise, seed=seed)
    assert wave_warnings(_with_void(sound, shape, share, size, seed)) == ()


@pytest.mark.parametrize(("shape", "share"), [("cube", 0.03), ("scattered", 0.01)])
@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("mask over air", "interpolated")])
def test_a_fault_is_named_beside_a_void(fault: str, shape: str, share: float) -> None:
    """What the other voxels say is said, and nothing else."""
    change, code, _ = FAULTS[fault]
    sound = shear_waves(shape=SHAPE, noise=0.02)
    (warning,) = wave_warnings(change(_with_void(sound, shape, share, 1.0)))
    assert warning.code == code


def _slices_at_times_of_their_own(field: WaveField) -> WaveField:
    turns = np.exp(2j * np.pi * np.random.default_rng(3).random(field.mask.shape[2]))
    return replace(field, displacement_m=field.displacement_m * turns[:, None])


def _slices_out_of_order(field: WaveField) -> WaveField:
    order = np.random.default_rng(1).permutation(field.mask.shape[2])
    return replace(field, displacement_m=field.displacement_m[:, :, order])


def _every_fourth_row_from_elsewhere(field: WaveField) -> WaveField:
    displacement = field.displacement_m.copy()
    displacement[::4] = displacement[::-4][: len(displacement[::4])]
    return replace(field, displacement_m=displacement)


@pytest.mark.parametrize("share", [0.0, *SHARES])
@pytest.mark.parametrize(
    "change", [_slices_at_times_of_their_own, _slices_out_of_order, _every_fourth_row_from_elsewhere]
)
def test_a_divergence_of_the_whole_field_is_named(change: Callable[[WaveField], WaveField], share: float) -> None:
    """Slices or many rows that do not belong together are a fault of the field and no voids in it."""
    faulty = _with_void(change(shear_waves(shape=SHAPE, noise=0.02, seed=1)), "cube", share, 1.0)
    assert "divergence" in {one.code for one in check_components(faulty)}


@pytest.mark.parametrize("affine_mm", [STRAIGHT, np.diag([5.0, 2.0, 4.0, 1.0])])
def test_sound_waves_keep_their_voxels(affine_mm: NDArray[np.float64]) -> None:
    """Loud and quiet regions, nodes, and noise itself are no voids; waves of six voxels lose less than 3 %."""
    loud = np.exp(-np.arange(SHAPE[0]) / 6.0)[:, None, None, None]
    waves = shear_waves(affine_mm, shape=SHAPE).displacement_m
    size = float(np.linalg.norm(np.abs(waves), axis=-1).mean())
    real, imaginary = np.random.default_rng(2).standard_normal((2, *waves.shape))
    for noise, amplitude in product((0.0, 0.01, 0.1, 1.0), (1.0, loud)):
        made = waves * amplitude + noise * size * (real + 1j * imaginary)
        assert signal_mask(replace(shear_waves(affine_mm, shape=SHAPE), displacement_m=made)).mean() > 0.97


def test_a_void_is_found() -> None:
    """Nearly all voxels of a void are left out, and hardly any other; what was not measured is left out as well."""
    field = shear_waves(shape=SHAPE, noise=0.02)
    spoilt = _with_void(field, "cube", 0.03, 1.0)
    void = np.any(spoilt.displacement_m != field.displacement_m, axis=-1)
    found = ~signal_mask(spoilt)
    assert found[void].mean() > 0.95
    assert found[~void].mean() < 0.005
    unmeasured = replace(field, measured=~void)
    np.testing.assert_array_equal(with_signal(unmeasured).mask, ~void)
    assert with_signal(field) is field


def test_noise_of_a_void_in_the_map_is_not_that_of_the_waves() -> None:
    """A folder with a map and no NoiseStd has its root mean square, which a void of one voxel in a hundred trebles."""
    field = shear_waves(shape=SHAPE, noise=0.02)
    assert field.noise_std_m is not None
    spoilt = _with_void(field, "cube", 0.02, 1.0)
    void = np.any(spoilt.displacement_m != field.displacement_m, axis=-1)
    noise_map = np.where(void[..., None], 50.0, 1.0) * np.full(field.displacement_m.shape, field.noise_std_m)
    overstated = float(np.sqrt(np.mean(noise_map**2)))
    assert overstated > 3.0 * field.noise_std_m
    for stated_m in (overstated, field.noise_std_m):
        given = replace(spoilt, noise_map_m=noise_map, noise_std_m=stated_m)
        assert field_record(given, IngestSettings())["warnings"] == []


def test_divergence_over_curl_is_that_of_the_waves() -> None:
    """The figure on the page is of shear waves, which have none, and not of a void's noise."""
    spoilt = _with_void(shear_waves(shape=SHAPE), "scattered", 0.01, 1.0)
    travel = wave_directions(spoilt)
    assert travel is not None
    assert travel.divergence_share is not None
    assert travel.divergence_share < 0.05
