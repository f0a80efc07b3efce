"""The temporal transform decides the sign of G'', and the noise it measures decides the width of every interval."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.imaging.waves.harmonics import (
    first_harmonic,
    forward_in_time,
    harmonics,
    measure_noise,
    signal_free_harmonics,
)


def _series(amplitudes: dict[int, complex], n_offsets: int) -> np.ndarray:
    """Re sum U_h exp(+2 pi i h k / N), sampled at the offsets."""
    k = np.arange(n_offsets)
    return sum((value * np.exp(2j * np.pi * h * k / n_offsets)).real for h, value in amplitudes.items())


@pytest.mark.parametrize("n_offsets", [3, 4, 5, 8, 12])
def test_first_harmonic_inverts_its_definition(n_offsets: int) -> None:
    """U(t) = Re(U exp(+i omega t)) is the convention of every solver; a conjugate here would turn loss into gain."""
    assert first_harmonic(_series({0: 7.0, 1: 2 - 3j}, n_offsets)) == pytest.approx(2 - 3j)


def test_all_harmonics_are_amplitudes() -> None:
    """The quality figures compare harmonics with each other, so each must be scaled alike, the last one too."""
    found = harmonics(_series({0: 5.0, 1: 2j, 2: 1 + 1j, 3: -0.5, 4: 0.25}, 8))
    np.testing.assert_allclose(found, [5.0, 2j, 1 + 1j, -0.5, 0.25], atol=1e-12)


def test_time_running_backwards_conjugates() -> None:
    """The switch for scanners that step the other way must do exactly what reversing time does."""
    forward = _series({1: 2 - 3j}, 8)
    backward = _series({1: 2 + 3j}, 8)
    np.testing.assert_allclose(forward_in_time(backward), forward, atol=1e-12)


@pytest.mark.parametrize(
    ("n_offsets", "expected"), [(3, ()), (4, (2,)), (5, (2,)), (6, (3,)), (8, (3, 4)), (9, (3, 4))]
)
def test_harmonics_that_measure_noise(n_offsets: int, expected: tuple[int, ...]) -> None:
    """The second harmonic holds real motion, so it is used only where nothing else is left."""
    assert signal_free_harmonics(n_offsets) == expected


@pytest.mark.parametrize(("n_offsets", "expected"), [(3, (1,)), (4, (1, 2)), (8, (1, 2, 3, 4))])
def test_without_motion_every_harmonic_is_noise(n_offsets: int, expected: tuple[int, ...]) -> None:
    """A scan with the actuator off measures noise even where three offsets leave no harmonic free of signal."""
    assert signal_free_harmonics(n_offsets, still=True) == expected
    mask = np.ones((30, 30, 4), dtype=np.bool_)
    phase = 0.1 * np.random.default_rng(0).normal(size=(n_offsets, *mask.shape))
    noise = measure_noise(phase, mask, still=True)
    assert noise is not None
    assert noise.std_rad == pytest.approx(0.1 * np.sqrt(2 / n_offsets), rel=0.05)


@pytest.mark.parametrize("n_offsets", [4, 6, 8, 9])
def test_noise_is_recovered_within_sampling_error(n_offsets: int) -> None:
    """Sigma scales every interval. It must be that of Re U_1 itself, measured here from many draws."""
    shape, spread = (40, 40, 4), 0.07
    generator = np.random.default_rng(1)
    phase = spread * generator.normal(size=(n_offsets, *shape)) + _series({1: 3.0}, n_offsets)[:, None, None, None]
    noise = measure_noise(phase, np.ones(shape, dtype=bool))
    assert noise is not None
    first = first_harmonic(phase) - 3.0
    actual = float(np.sqrt(np.mean(np.abs(first) ** 2) / 2))
    assert actual == pytest.approx(spread * np.sqrt(2 / n_offsets), rel=0.03)
    # Relative standard error of the median-based estimate from n voxels is below 2/sqrt(n); 4 of them, both estimates.
    tolerance = 4 * 2 / np.sqrt(np.prod(shape))
    assert noise.std_rad == pytest.approx(actual, rel=tolerance)
    assert noise.local_std_rad == pytest.approx(actual, rel=2 * tolerance)


def test_noise_ignores_what_is_not_noise() -> None:
    """Static phase, motion, its second harmonic and drifts of whole images must not widen the intervals."""
    shape = (40, 40, 3)
    generator = np.random.default_rng(2)
    clean = 0.05 * generator.normal(size=(8, *shape))
    mask = np.ones(shape, dtype=bool)
    drift = (
        generator.normal(size=(8, 1, 1, 3))
        + generator.normal(size=(8, 1, 1, 3)) * np.linspace(-1, 1, 40)[:, None, None]
    )
    motion = _series({0: 1.0, 1: 5.0, 2: 0.7}, 8)[:, None, None, None] * generator.random(shape)
    quiet, busy = measure_noise(clean, mask), measure_noise(clean + drift + motion, mask)
    assert quiet is not None
    assert busy is not None
    assert busy.std_rad == pytest.approx(quiet.std_rad, rel=1e-9)
    assert busy.linear_phase_error_rad > 10 * quiet.linear_phase_error_rad
