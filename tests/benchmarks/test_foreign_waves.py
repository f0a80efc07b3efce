"""Foreign waves obey what any right solver obeys, and their scanner averages, shifts and damages as it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from foreign.exams import scan
from foreign.scanner import ForeignScan, image
from foreign.scenes import SCENES, Scene, uniform
from foreign.spectral_waves import DENSITY_KG_M3, Fibres, SpectralTissue
from numpy.typing import NDArray

SHAPE = (16, 12, 14)
SPACING_M = np.array([0.002, 0.002, 0.002])
FREQUENCY_HZ = 60.0
MODULUS_PA = 3000.0 + 1000.0j
ALONG = np.array([1.0, 0.0, 0.0])


def _places() -> NDArray[np.float64]:
    return np.stack(np.meshgrid(*(np.arange(n) * h for n, h in zip(SHAPE, SPACING_M, strict=True)), indexing="ij"))


def _varied() -> NDArray[np.complex128]:
    """Stiffness that varies by a factor of two."""
    x, y, z = 2.0 * np.pi * _places() / (SPACING_M * SHAPE)[:, None, None, None]
    return np.asarray(MODULUS_PA * (1.0 + 0.2 * np.sin(x) + 0.15 * np.cos(y + z)))


@pytest.mark.parametrize(
    ("wave", "polarisation", "shear", "tensile", "expected"),
    [
        ((1, 0, 0), (0.0, 1.0, 0.0), 0.0, 0.0, 1.0),
        ((1, 0, 0), (0.0, 1.0, 0.0), 0.5, 2.0, 1.5),
        ((0, 1, 0), (1.0, 0.0, 0.0), 0.5, 2.0, 1.5),
        ((0, 1, 0), (0.0, 0.0, 1.0), 0.5, 2.0, 1.0),
    ],
    ids=["isotropic", "along the fibres", "across, moving along", "across, moving across"],
)
def test_plane_waves_have_their_modulus(
    wave: tuple[int, int, int], polarisation: tuple[float, float, float], shear: float, tensile: float, expected: float
) -> None:
    """A force of one wave number moves tissue by f / (mu k^2 - rho omega^2), with the modulus of its direction."""
    ones = np.ones(SHAPE)
    tissue = SpectralTissue(MODULUS_PA * ones, SPACING_M, FREQUENCY_HZ, Fibres(ALONG, shear * ones, tensile * ones))
    k = 2.0 * np.pi * np.array(wave) / (SPACING_M * SHAPE)
    force = np.array(polarisation)[:, None, None, None] * np.exp(1j * np.tensordot(k, _places(), axes=1))
    stiffness = expected * MODULUS_PA * float(k @ k) - DENSITY_KG_M3 * (2.0 * np.pi * FREQUENCY_HZ) ** 2
    np.testing.assert_allclose(tissue.waves(force), force / stiffness, atol=1e-4 * abs(1.0 / stiffness))


def test_oblique_waves_feel_youngs_modulus_along_the_fibres() -> None:
    """At 45 degrees in the plane of the fibres the strain along them is half the shear: mu (1 + 3 zeta / 4)."""
    shape, tensile = (12, 12, 4), 0.8
    places = np.stack(np.meshgrid(*(np.arange(n) * 0.002 for n in shape), indexing="ij"))
    ones = np.ones(shape)
    tissue = SpectralTissue(MODULUS_PA * ones, SPACING_M, FREQUENCY_HZ, Fibres(ALONG, 0.0 * ones, tensile * ones))
    k = 2.0 * np.pi * np.array([1, 1, 0]) / (0.002 * 12)
    force = np.array([1.0, -1.0, 0.0])[:, None, None, None] * np.exp(1j * np.tensordot(k, places, axes=1))
    stiffness = (1.0 + 0.75 * tensile) * MODULUS_PA * float(k @ k) - DENSITY_KG_M3 * (2.0 * np.pi * FREQUENCY_HZ) ** 2
    np.testing.assert_allclose(tissue.waves(force), force / stiffness, atol=1e-4 * abs(1.0 / stiffness))


def test_source_and_place_may_be_exchanged() -> None:
    """Reciprocity holds in any elastic tissue: what A moves at B, B moves at A, each along the other's force."""
    tissue = SpectralTissue(_varied(), SPACING_M, FREQUENCY_HZ)
    first, second = np.zeros((2, 3, *SHAPE), dtype=complex)
    first[0, 3, 4, 5], second[2, 11, 8, 2] = 1.0, 1.0
    there, back = tissue.waves(first)[2, 11, 8, 2], tissue.waves(second)[0, 3, 4, 5]
    assert abs(there - back) < 1e-3 * abs(there)


def test_forces_work_and_tissue_keeps_its_volume() -> None:
    """Losses take energy, so that every force works against the tissue; the divergence is rounding."""
    tissue = SpectralTissue(_varied(), SPACING_M, FREQUENCY_HZ)
    real, imaginary = np.random.default_rng(1).standard_normal((2, 3, *SHAPE))
    force = real + 1j * imaginary
    waves = tissue.waves(force)
    assert np.vdot(waves, force).imag > 0.0  # exp(+i omega t)
    numbers = [np.fft.fftfreq(n) * (np.arange(n) != n // 2) for n in SHAPE]
    series = np.fft.fftn(waves, axes=(1, 2, 3))
    divergence = sum(k.reshape([-1 if a == i else 1 for a in range(3)]) * series[i] for i, k in enumerate(numbers))
    assert np.abs(divergence).max() < 1e-9 * np.abs(series).max()


def test_slices_are_means_and_gaps_are_seen_by_none() -> None:
    """A wave linear through the slices has its value at their middles; a gap moves the next slice on."""
    height = np.broadcast_to(np.arange(13.0), (4, 4, 13))
    waves = np.stack([height, height, height]).astype(complex)
    protocol = ForeignScan(cells=(2, 2, 3), gap_cells=2, noise_percent=0.0)
    found = image(waves, np.ones((4, 4, 13), complex), SPACING_M, protocol, np.random.default_rng(0))
    np.testing.assert_allclose(found.displacement_m[0, 0, :, 0].real, [1.0, 6.0, 11.0])
    np.testing.assert_allclose(found.spacing_m, [0.004, 0.004, 0.010])
    assert found.thickness_m == pytest.approx(0.006)


@pytest.mark.parametrize("cells", [32, 36], ids=["8 voxels", "9 voxels"])
def test_zero_filled_voxels_lie_in_pairs_in_the_acquired_ones(cells: int) -> None:
    """A wave whose slope is zero at both faces is interpolated exactly, a quarter voxel to either side.

    Of an odd number of voxels too: padded on the wrong side, the wave was another one, and G' came out 69 % too low.
    """
    count = cells // 4
    waves = np.broadcast_to(np.cos(np.pi * (np.arange(cells) + 0.5) / cells)[:, None, None], (3, cells, 8, 2))
    plain_scan = ForeignScan((4, 4, 2), noise_percent=0.0)
    plain, filled = (
        image(waves.astype(complex), np.ones((cells, 8, 2), complex), SPACING_M, protocol, np.random.default_rng(0))
        for protocol in (plain_scan, replace(plain_scan, zero_filled=True))
    )
    size = plain.displacement_m[0, 0, 0, 0] / np.cos(0.5 * np.pi / count)
    expected = size * np.cos(np.pi * (np.arange(2 * count) + 0.5) / (2 * count))
    np.testing.assert_allclose(filled.displacement_m[:, 0, 0, 0], expected, atol=1e-12)


def test_scenes_are_many_and_the_same_at_every_call() -> None:
    """Thirty fields and more, each by its name alone; one small one is made twice."""
    assert len({one.name for one in SCENES}) == len(SCENES) >= 30
    small = Scene("small", "smooth", uniform(3.0), 50.0, view_m=(0.01, 0.01, 0.01), spacing_m=(0.002,) * 3)
    one, other = scan(small), scan(small)
    np.testing.assert_array_equal(one.displacement_m, other.displacement_m)
    assert one.displacement_m.shape == (2, 2, 2, 3)
