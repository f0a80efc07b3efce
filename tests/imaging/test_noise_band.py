"""Noise that neighbours share fills a part of the band, and is as dense there as larger independent noise."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.imaging.waves.noise_band import band_of, within_band


@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.75, 1.0])
def test_band_and_correlation_are_one_another(fraction: float) -> None:
    """The correlation of neighbours is that of an ideal low-pass filter, sinc(f)."""
    assert band_of(float(np.sinc(fraction))) == pytest.approx(fraction, abs=1e-3)


def test_noise_within_the_band_has_the_stated_size_and_correlation() -> None:
    """Variance falls to the part of the band that is filled along both axes."""
    real, imaginary = np.random.default_rng(1).standard_normal((2, 64, 48, 4, 2))
    band = (0.5, 0.75)
    noise = within_band(real + 1j * imaginary, band)
    assert np.var(noise) / 2.0 == pytest.approx(np.prod(band), rel=0.05)
    for axis, fraction in enumerate(band):
        ahead = np.roll(noise, 1, axis=axis)
        found = np.vdot(noise, ahead).real / np.vdot(noise, noise).real
        assert found == pytest.approx(np.sinc(fraction), abs=0.03)


def test_a_full_band_keeps_all() -> None:
    """Independent noise is left as it is."""
    noise = np.random.default_rng(2).standard_normal((7, 8, 2, 1)) + 0j
    assert within_band(noise, (1.0, 1.0)) == pytest.approx(noise, abs=1e-12)
