"""The noise that nobody stated: found in the field, and never below what is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.imaging.wavefield import WaveField
from palpate.solvers.inversion.zone.noise import measured_noise, noise_of
from tests.solvers.inversion.cases import shear_waves

MASK = np.ones((16, 14, 12), dtype=bool)
MASK[:5, :4] = False
PLACE = np.argwhere(np.ones(MASK.shape, dtype=bool)).astype(float)


def _noise(std: float, seed: int) -> np.ndarray:
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *MASK.shape, 3))
    return std * (real + 1j * imaginary)


def _waves(k: complex) -> np.ndarray:
    """Of mean length about two, on voxels of edge one."""
    return shear_waves(PLACE, k).reshape(*MASK.shape, 3)


def _field(noise_std_m: float | None) -> WaveField:
    displacement = 1e-6 * (_waves(0.3) + _noise(0.04, 0))
    return WaveField(
        displacement_m=displacement,
        mask=MASK,
        affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
        frequency_hz=60.0,
        noise_std_m=noise_std_m,
        density_kg_m3=1000.0,
        label="sub-x",
    )


@pytest.mark.parametrize("std", [0.01, 0.05, 0.3])
def test_noise_on_smooth_waves_is_recovered(std: float) -> None:
    """A wave of 42 voxels is nearly flat to third differences: what is left is sigma, within its sampling error.

    A median of n values knows sigma to 1.17 / sqrt(n); neighbouring differences of 10 000 values share data, so that
    some 3000 count: 2 %. The smallest of three axes is taken. Four errors are allowed.
    """
    assert measured_noise(_waves(0.15) + _noise(std, 1), MASK) == pytest.approx(std, rel=0.08)


@pytest.mark.parametrize("wavenumber", [0.2, 0.5, 1.0])
def test_noise_is_never_underestimated(wavenumber: float) -> None:
    """Waves count as noise, never the reverse: intervals may come out too wide, not too narrow."""
    assert measured_noise(_waves(wavenumber) + _noise(0.02, 2), MASK) >= 0.02 * (1 - 0.08)


def test_noise_knows_neither_unit_nor_phase() -> None:
    """It scales with the field, and a turn of the clock mixes real and imaginary parts of equal noise."""
    field = _waves(0.3) + _noise(0.02, 3)
    base = measured_noise(field, MASK)
    assert measured_noise(1e-6 * field, MASK) == pytest.approx(1e-6 * base)
    assert measured_noise(np.exp(0.5j) * field, MASK) == pytest.approx(base, rel=0.08)


def test_what_lies_outside_the_mask_is_not_looked_at() -> None:
    """Air is full of noise; a scanner's zeros there are free of it."""
    field = _waves(0.3) + _noise(0.02, 4)
    spoilt = np.where(MASK[..., None], field, 1e3)
    assert measured_noise(spoilt, MASK) == measured_noise(field, MASK)


def test_stated_noise_is_believed_and_elements_add_theirs() -> None:
    """The variance is (factor x stated)^2 + (percent of mean |U|)^2; without a statement the measured one."""
    stated = _field(0.05e-6)
    mean_m = np.linalg.norm(stated.displacement_m[MASK], axis=-1).mean()
    noise = noise_of(stated, factor=2.0, discretisation_percent=1.0)
    assert noise.std_m == pytest.approx(np.hypot(0.1e-6, 0.01 * mean_m))
    assert (noise.source, noise.stated_std_m) == ("stated", 0.05e-6)
    silent = noise_of(replace(stated, noise_std_m=None), factor=2.0, discretisation_percent=0.0)
    assert silent.source == "measured"
    assert silent.std_m == pytest.approx(measured_noise(stated.displacement_m, MASK))
