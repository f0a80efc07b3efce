"""Unwrapping: a wrong turn is an error of the size of the signal, and nothing downstream can see it."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.imaging.waves.harmonics import first_harmonic
from palpate.imaging.waves.unwrap import Unwrapped, unwrap_vibration, wrap
from tests.imaging.scanner import Scan

FULL = np.ones(Scan().shape, dtype=bool)


def _unwrapped(scan: Scan, phase_rad: np.ndarray) -> Unwrapped:
    times_ms = np.zeros(scan.shape[2]) if scan.slice_time_ms is None else np.asarray(scan.slice_time_ms)
    lateness = 2 * np.pi * scan.frequency_hz * times_ms / 1e3
    return unwrap_vibration(phase_rad, FULL, slice_phase_rad=lateness)


@pytest.mark.parametrize("amplitude_rad", [0.5, 3.0, 5.0])
@pytest.mark.parametrize("direction", [0, 1, 2])
def test_smooth_vibration_is_recovered(amplitude_rad: float, direction: int) -> None:
    """Amplitudes beyond a turn occur in every good scan; a static phase without any spatial order must not matter."""
    scan = Scan(amplitude_rad=amplitude_rad, seed=direction)
    found = _unwrapped(scan, scan.phase_rad()[direction])
    np.testing.assert_allclose(first_harmonic(found.phase_rad), scan.encoded_rad()[direction], atol=1e-9)


def test_wrapping_again_changes_nothing() -> None:
    """The result must be the same for every equivalent of the measured phase: turns and static phase are noise."""
    scan = Scan(amplitude_rad=4.0, noise_rad=0.05)
    phase = scan.phase_rad()[0]
    generator = np.random.default_rng(3)
    shifted = phase + 2 * np.pi * generator.integers(-3, 4, size=phase.shape)
    elsewhere = wrap(phase + generator.uniform(-np.pi, np.pi, size=phase.shape[1:]))
    expected = _unwrapped(scan, phase).phase_rad
    np.testing.assert_allclose(_unwrapped(scan, shifted).phase_rad, expected, atol=1e-9)
    np.testing.assert_allclose(_unwrapped(scan, elsewhere).phase_rad, expected, atol=1e-9)


def test_result_is_congruent_with_the_measurement() -> None:
    """Unwrapping may add whole turns and remove the static phase, but must not smooth or invent anything."""
    scan = Scan(amplitude_rad=4.0, noise_rad=0.3)
    phase = scan.phase_rad()[1]
    found = _unwrapped(scan, phase).phase_rad
    change = wrap(found - phase)
    spread = np.abs(wrap(change - change[:1]))
    np.testing.assert_allclose(spread, 0.0, atol=1e-9)


@pytest.mark.parametrize("rigid_rad", [0.0, 4.5, 9.0 * np.exp(1j)])
def test_rigid_motion_of_several_turns(rigid_rad: complex) -> None:
    """A head on a pillow moved by 9 rad in the real scan, which differences between voxels cannot show."""
    scan = Scan(rigid_rad=rigid_rad, slice_time_ms=(0.0, 9000.0, 3004.0), noise_rad=0.05)
    found = _unwrapped(scan, scan.phase_rad()[0])
    lateness = np.exp(2j * np.pi * scan.frequency_hz * np.asarray(scan.slice_time_ms) / 1e3)
    measured = first_harmonic(found.phase_rad) / lateness
    assert found.mean_determined
    np.testing.assert_allclose(measured, scan.encoded_rad()[0], atol=6 * 0.05 / 2)


def test_doubt_about_rigid_motion_is_reported() -> None:
    """Where a slice's images jump about at random, its mean motion cannot be known; the result must not pretend."""
    scan = Scan()
    phase = scan.phase_rad()[0]
    phase[..., 1] += np.random.default_rng(1).uniform(-np.pi, np.pi, size=(8, 1, 1))
    assert not _unwrapped(scan, wrap(phase)).mean_determined


@pytest.mark.parametrize("offsets", [4, 6])
def test_few_offsets_know_all_but_a_common_motion(offsets: int) -> None:
    """With 4 or 6 offsets some whole turns look like vibration; slices must still agree with each other."""
    scan = Scan(offsets=offsets, amplitude_rad=1.0, rigid_rad=4.0)
    found = _unwrapped(scan, scan.phase_rad()[0])
    error = first_harmonic(found.phase_rad) - scan.encoded_rad()[0]
    assert found.mean_determined
    np.testing.assert_allclose(error, error[0, 0, 0], atol=1e-9)
    assert np.abs(first_harmonic(found.phase_rad)).mean() < 4.2


def test_patches_are_settled_apart() -> None:
    """Low slices fall into lobes and cerebellum, between which no path of voxels leads."""
    scan = Scan(amplitude_rad=1.0, rigid_rad=6.0)
    mask = FULL.copy()
    mask[9:11] = False
    found = unwrap_vibration(scan.phase_rad()[0], mask)
    np.testing.assert_allclose(first_harmonic(found.phase_rad)[mask], scan.encoded_rad()[0][mask], atol=1e-9)


def test_hopeless_voxels_do_not_spread() -> None:
    """Vessels and bone edges have random phase; their neighbours must come out as if they were not there."""
    scan = Scan(amplitude_rad=3.0)
    phase = scan.phase_rad()[0]
    bad = np.zeros(scan.shape, dtype=bool)
    bad[5, 5, 1] = bad[12, 9, 0] = bad[3, 12, 2] = True
    phase[:, bad] = np.random.default_rng(4).uniform(-np.pi, np.pi, size=(8, 3))
    found = _unwrapped(scan, phase)
    np.testing.assert_allclose(first_harmonic(found.phase_rad)[~bad], scan.encoded_rad()[0][~bad], atol=1e-9)
