"""Slices that are off their time are found in what a fit leaves; noise and wrong amplitudes are not taken for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.solvers.inversion.checks.slice_timing import NO_PHASE_ERRORS, SlicePhaseErrors, slice_phase_errors
from palpate.solvers.inversion.checks.warnings import LARGE_PHASE_ERRORS
from tests.solvers.inversion.cases import box, homogeneous, linearise, plane_wave_data

SHAPE = (13, 13, 9)
MASK = np.ones(SHAPE, dtype=bool)
ZONE = box(*SHAPE)
SEEDS = range(3)


def phase_errors_of(
    factors: NDArray[np.complex128], seed: int, phase_errors: float = 0.0, sway: complex = 0.0
) -> SlicePhaseErrors:
    """What the equations leave of plane waves at 2 % noise whose slices were multiplied by these factors.

    Args:
        factors: of each slice.
        seed: of the noise.
        phase_errors: of slices that is allowed for, in units of the noise.
        sway: uniform motion of the head, the same.
    """
    data = plane_wave_data(ZONE, seed=seed, phase_errors=phase_errors)
    seen = (data.displacement.reshape(-1, 3) + sway) * factors[ZONE.ijk[:, 2]][:, None]
    fit = linearise(replace(data, displacement=seen.ravel()), homogeneous(ZONE))
    residual, probe = fit.residual.reshape(-1, 3), fit.probe_residual.reshape(-1, 3)
    return slice_phase_errors(fit.displacement.reshape(-1, 3), residual, probe, MASK)


@pytest.mark.parametrize("seed", SEEDS)
def test_slices_in_time_raise_no_doubt(seed: int) -> None:
    """Noise shifts the phase of slices as well, a little: a flag that it raised would be worth nothing."""
    assert phase_errors_of(np.ones(SHAPE[2], dtype=np.complex128), seed).ratio < LARGE_PHASE_ERRORS


@pytest.mark.parametrize("seed", SEEDS)
def test_three_degrees_are_found_under_two_percent_of_noise(seed: int) -> None:
    """A voxel's own noise is as large; a slice of 169 voxels shows it all the same."""
    off_rad = np.radians(3.0) * np.random.default_rng([7, seed]).standard_normal(SHAPE[2])
    assert phase_errors_of(np.exp(1j * off_rad), seed).ratio > LARGE_PHASE_ERRORS


@pytest.mark.parametrize("degrees", [0.0, 3.0])
def test_a_head_that_sways_neither_hides_nor_feigns_it(degrees: float) -> None:
    """A real head sways by three times its waves, so that planes would bury a slice's shift in time: waves show it."""
    off_rad = np.radians(degrees) * np.random.default_rng(9).standard_normal(SHAPE[2])
    assert (
        phase_errors_of(np.exp(1j * off_rad), 1, phase_errors=1.0, sway=150.0 - 40.0j).ratio > LARGE_PHASE_ERRORS
    ) == (degrees > 0.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_slices_of_another_brightness_are_not_taken_for_late(seed: int) -> None:
    """Amplitudes fail with whatever the model lacks; only a phase error is a matter of time."""
    factors = 1.0 + 0.05 * np.random.default_rng([8, seed]).standard_normal(SHAPE[2])
    assert phase_errors_of(factors.astype(np.complex128), seed).ratio < LARGE_PHASE_ERRORS


def test_a_slice_without_waves_tells_nothing() -> None:
    """A zone of zeros (all data left out) is no reason to divide by zero."""
    nothing = np.zeros((MASK.sum(), 3), dtype=np.complex128)
    assert slice_phase_errors(nothing, nothing, nothing, MASK) == NO_PHASE_ERRORS
