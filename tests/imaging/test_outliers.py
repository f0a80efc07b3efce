"""Voxels that do not belong to their neighbours' wave: planted ones are found, honest ones are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.outliers import outlying_voxels

NOISE_M = 0.3e-6
AMPLITUDE_M = 15e-6
WAVELENGTH_VOXELS = 12.0
"""As short as a shear wave in brain is in voxels of 2 mm at 60 Hz."""


def _field(seed: int) -> WaveField:
    """Crossing waves with noise in an ellipsoid with a hole, so that many voxels lie at a surface."""
    generator = np.random.default_rng(seed)
    shape = (16, 14, 9)
    place = np.moveaxis(np.indices(shape), 0, -1)
    centred = (place - (np.array(shape) - 1) / 2) / (np.array(shape) / 2)
    radius = np.linalg.norm(centred, axis=-1)
    displacement_m = np.zeros((*shape, 3), dtype=np.complex128)
    for _ in range(4):
        travel = generator.standard_normal(3)
        travel *= 2 * np.pi / WAVELENGTH_VOXELS / np.linalg.norm(travel)
        displacement_m += AMPLITUDE_M / 2 * np.exp(-1j * place @ travel)[..., None] * generator.standard_normal(3)
    noise = generator.standard_normal((2, *displacement_m.shape))
    return WaveField(
        displacement_m=displacement_m + NOISE_M * (noise[0] + 1j * noise[1]),
        mask=(radius < 1.0) & (radius > 0.25),
        affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
        frequency_hz=60.0,
        noise_std_m=NOISE_M,
        density_kg_m3=1000.0,
        label="sub-wave",
    )


@pytest.mark.parametrize("seed", range(4))
def test_honest_voxels_are_left_alone(seed: int) -> None:
    """Short waves bend, and surfaces lack neighbours: neither may cost data. One in a thousand is allowed."""
    field = _field(seed)
    assert outlying_voxels(field).mean() <= 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_wrong_turns_are_found(seed: int) -> None:
    """A wrong turn in one of eight images, 6.3 um at 4 um a radian: nine in ten are found, and nothing else.

    Each is 20 standard deviations of noise, enough to spoil the stiffness around it.
    """
    field, generator = _field(seed), np.random.default_rng(100 + seed)
    ijk = np.argwhere(field.mask)
    wrong = generator.random(len(ijk)) < 0.01
    turn: NDArray[np.complex128] = 6.3e-6 * np.exp(2j * np.pi * generator.random(int(wrong.sum())))
    displacement_m = field.displacement_m.copy()
    displacement_m[tuple(ijk[wrong].T)] += turn[:, None] * np.eye(3)[generator.integers(0, 3, len(turn))]
    found = outlying_voxels(replace(field, displacement_m=displacement_m))
    assert found[wrong].mean() >= 0.9
    assert found[~wrong].mean() <= 2e-3


def test_what_is_left_holds_no_outlier() -> None:
    """A round judges only the neighbours of what went before; judging all of the rest anew must find nothing more."""
    field, generator = _field(0), np.random.default_rng(7)
    ijk = np.argwhere(field.mask)
    wrong = generator.random(len(ijk)) < 0.02
    displacement_m = field.displacement_m.copy()
    displacement_m[tuple(ijk[wrong].T)] += 6.3e-6
    spoilt = replace(field, displacement_m=displacement_m)
    left = field.mask.copy()
    left[field.mask] = ~outlying_voxels(spoilt)
    assert left.sum() < field.mask.sum() - 0.9 * wrong.sum()
    assert outlying_voxels(replace(spoilt, mask=left)).mean() <= 1e-3


def _slices(seed: int) -> WaveField:
    """The same waves in seven slices of 10 mm: 24 mm long, and three slices are no quadratic any more."""
    field = _field(seed)
    generator = np.random.default_rng(50 + seed)
    place_mm = np.moveaxis(np.indices((20, 20, 7)), 0, -1) * [2.0, 2.0, 10.0]
    displacement_m = np.zeros((*place_mm.shape[:3], 3), dtype=np.complex128)
    for _ in range(4):
        travel = generator.standard_normal(3)
        travel *= 2 * np.pi / (2.0 * WAVELENGTH_VOXELS) / np.linalg.norm(travel)
        displacement_m += AMPLITUDE_M / 2 * np.exp(-1j * place_mm @ travel)[..., None] * generator.standard_normal(3)
    noise = generator.standard_normal((2, *displacement_m.shape))
    return replace(
        field,
        displacement_m=displacement_m + NOISE_M * (noise[0] + 1j * noise[1]),
        mask=np.ones(place_mm.shape[:3], dtype=bool),
        affine_mm=np.diag([2.0, 2.0, 10.0, 1.0]),
    )


@pytest.mark.parametrize("seed", range(4))
def test_honest_voxels_of_thick_slices_are_left_alone(seed: int) -> None:
    """Slices beyond the wave's reach are no neighbours: over five of them one voxel in 240 of livers was left out."""
    assert outlying_voxels(_slices(seed)).mean() <= 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_wrong_turns_in_thick_slices_are_found(seed: int) -> None:
    """Neighbours within the slice are enough to find nine in ten."""
    field, generator = _slices(seed), np.random.default_rng(100 + seed)
    wrong = generator.random(field.mask.shape) < 0.01
    displacement_m = field.displacement_m.copy()
    displacement_m[wrong, 1] += 6.3e-6
    found = outlying_voxels(replace(field, displacement_m=displacement_m)).reshape(field.mask.shape)
    assert found[wrong].mean() >= 0.9
    assert found[~wrong].mean() <= 2e-3


def test_units_do_not_matter() -> None:
    """Displacements of an unknown motion encoding come in arbitrary units: what is strange is so in any."""
    field = _field(0)
    displacement_m = field.displacement_m.copy()
    displacement_m[8, 2, 4, 1] += 8e-6
    plain = outlying_voxels(replace(field, displacement_m=displacement_m))
    scaled = outlying_voxels(replace(field, displacement_m=1e4 * displacement_m))
    assert plain.any()
    assert np.array_equal(plain, scaled)


def _symmetric(noise_std_m: float | None) -> WaveField:
    """Standing waves without noise that go into themselves where axes are exchanged in turn."""
    place = np.moveaxis(np.indices((7, 7, 7)), 0, -1) - 3.0
    wave = AMPLITUDE_M * np.cos(2 * np.pi / WAVELENGTH_VOXELS * (1.0 - 0.1j) * np.roll(place, -1, axis=-1))
    return replace(_field(0), displacement_m=wave, mask=np.ones(wave.shape[:3], dtype=bool), noise_std_m=noise_std_m)


def test_what_noise_hides_is_no_outlier() -> None:
    """Simulated waves have less noise than they are inverted with: what polynomials miss there harms nothing."""
    assert not outlying_voxels(_symmetric(NOISE_M)).any()


@pytest.mark.parametrize("bits", [0, 1, 2])
def test_equal_voxels_share_their_fate(bits: int) -> None:
    """Without noise, or what noise is not known, voxels that symmetry makes equal are all left out or none.

    One of them sticks out most by rounding alone, which is another on another processor.
    """
    field = _symmetric(None)
    rounded = field.displacement_m * (1.0 + 1e-15 * np.random.default_rng(bits).standard_normal((7, 7, 7, 3)))
    found = outlying_voxels(replace(field, displacement_m=rounded)).reshape(7, 7, 7)
    for axes in ((1, 2, 0), (2, 0, 1)):
        assert np.array_equal(found, found.transpose(axes))
    assert np.array_equal(found, found[::-1, ::-1, ::-1])


def test_a_mask_too_thin_for_neighbours_is_trusted() -> None:
    """Where nothing can be compared nothing is thrown away."""
    field = _field(0)
    mask = np.zeros_like(field.mask)
    mask[:, 7, 4] = True
    assert not outlying_voxels(replace(field, mask=mask)).any()
