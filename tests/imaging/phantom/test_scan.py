"""The simulated measurement: sign, time, noise and wraps decide whether the reader is tested or fooled."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.scan import Scan, acquire
from tests.imaging.phantom.conftest import Vibration


def measure(vibration: Vibration, **changes: object) -> tuple[PhantomSettings, Scan]:
    """A scan with other settings."""
    settings = vibration.settings.model_copy(update=changes)
    return settings, acquire(settings, vibration.grid, vibration.displacement_m, np.ones(vibration.grid.shape))


QUIET = {"noise_percent": 0.0, "motion_rad": 0.0, "background_rad": 0.0, "menc_um_per_rad": 100.0}


def test_phase_is_the_displacement_along_the_encoding_axis_at_its_time(vibration: Vibration) -> None:
    """The phase is E . Re(U exp(+i omega t)) / MENC with t = n T / N + s_k, with a clock in seconds."""
    settings, scan = measure(vibration, **QUIET, slice_interval_ms=13.0)
    omega = 2 * np.pi * settings.frequency_hz
    for direction, offset, k in ((0, 0, 0), (1, 3, 2), (2, 7, 4)):
        t = offset / settings.frequency_hz / settings.offsets + scan.slice_times_ms[k] * 1e-3
        moved_um = (
            1e6 * (vibration.displacement_m[:, :, k] * np.exp(1j * omega * t)).real @ scan.encoding_axes[direction]
        )
        assert scan.phase_rad[direction, offset, :, :, k] == pytest.approx(moved_um / 100.0)


def test_encoding_axes_are_orthonormal(vibration: Vibration) -> None:
    """Otherwise noise would be correlated between components, unlike what the likelihood assumes."""
    _, scan = measure(vibration)
    assert scan.encoding_axes @ scan.encoding_axes.T == pytest.approx(np.eye(3), abs=1e-12)


def test_noise_of_the_first_harmonic_is_as_stated(vibration: Vibration) -> None:
    """The demo's errors are quoted at this noise: sigma = percent of mean |U|, where the signal is median."""
    changes = {**QUIET, "slice_interval_ms": 0.0}
    settings, noisy = measure(vibration, **{**changes, "noise_percent": 2.0, "menc_um_per_rad": 20.0})
    _, clean = measure(vibration, **{**changes, "menc_um_per_rad": 20.0})
    turns = np.exp(-2j * np.pi * np.arange(settings.offsets) / settings.offsets)
    error = 2 / settings.offsets * 20.0 * np.tensordot(turns, noisy.phase_rad - clean.phase_rad, axes=(0, 1))
    mean_um = 1e6 * np.linalg.norm(np.abs(vibration.displacement_m), axis=-1).mean()
    assert noisy.noise_std_um == pytest.approx(0.02 * mean_um)
    assert error.real.std() == pytest.approx(noisy.noise_std_um, rel=0.05)
    assert error.imag.std() == pytest.approx(noisy.noise_std_um, rel=0.05)


def test_phase_wraps_and_says_how_much(vibration: Vibration) -> None:
    """Unwrapping is part of the task: the demo must need it, and the record must say how much."""
    _, none = measure(vibration, **QUIET)
    _, many = measure(vibration, **{**QUIET, "menc_um_per_rad": 2.0})
    assert none.wrapped_share == 0
    assert many.wrapped_share > 0.03
    assert np.abs(many.phase_rad).max() <= np.pi


def test_air_gives_noise_only(vibration: Vibration) -> None:
    """Outside the head the phase must be random, or a mask could be found by cheating."""
    contrast = np.ones(vibration.grid.shape)
    contrast[:4] = 0.0
    scan = acquire(vibration.settings, vibration.grid, vibration.displacement_m, contrast)
    assert scan.magnitude[..., :4, :, :].mean() < 0.3 * scan.magnitude[..., 4:, :, :].mean()
    assert scan.phase_rad[..., :4, :, :].std() == pytest.approx(np.pi / np.sqrt(3), rel=0.05)
