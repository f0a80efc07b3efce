"""Slices that are off their time are found in what a fit leaves; noise and wrong amplitudes are not taken for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.solvers.inversion.checks.slice_timing import NO_TURNS, SliceTurns, slice_turns
from palpate.solvers.inversion.checks.warnings import TURNED
from tests.solvers.inversion.cases import box, homogeneous, linearise, plane_wave_data

SHAPE = (13, 13, 9)
MASK = np.ones(SHAPE, dtype=bool)
ZONE = box(*SHAPE)
SEEDS = range(3)


def turns_of(factors: NDArray[np.complex128], seed: int, drift: float = 0.0, sway: complex = 0.0) -> SliceTurns:
    """What the equations leave of plane waves at 2 % noise whose slices were multiplied by these factors.

    Args:
        factors: of each slice.
        seed: of the noise.
        drift: of slices that is allowed for, in units of the noise.
        sway: uniform motion of the head, the same.
    """
    data = plane_wave_data(ZONE, seed=seed, drift=drift)
    seen = (data.displacement.reshape(-1, 3) + sway) * factors[ZONE.ijk[:, 2]][:, None]
    fit = linearise(replace(data, displacement=seen.ravel()), homogeneous(ZONE))
    residual, probe = fit.residual.reshape(-1, 3), fit.probe_residual.reshape(-1, 3)
    return slice_turns(fit.displacement.reshape(-1, 3), residual, probe, MASK)


@pytest.mark.parametrize("seed", SEEDS)
def test_slices_in_time_raise_no_doubt(seed: int) -> None:
    """Noise turns slices as well, a little: a flag that it raised would be worth nothing."""
    assert turns_of(np.ones(SHAPE[2], dtype=np.complex128), seed).ratio < TURNED


@pytest.mark.parametrize("seed", SEEDS)
def test_three_degrees_are_found_under_two_percent_of_noise(seed: int) -> None:
    """A voxel's own noise is as large; a slice of 169 voxels shows it all the same."""
    off_rad = np.radians(3.0) * np.random.default_rng([7, seed]).standard_normal(SHAPE[2])
    assert turns_of(np.exp(1j * off_rad), seed).ratio > TURNED


@pytest.mark.parametrize("degrees", [0.0, 3.0])
def test_a_head_that_sways_neither_hides_nor_feigns_it(degrees: float) -> None:
    """A real head sways by three times its waves, in which drift would bury every slice's turn: waves still show it."""
    off_rad = np.radians(degrees) * np.random.default_rng(9).standard_normal(SHAPE[2])
    assert (turns_of(np.exp(1j * off_rad), 1, drift=1.0, sway=150.0 - 40.0j).ratio > TURNED) == (degrees > 0.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_slices_of_another_brightness_are_not_taken_for_late(seed: int) -> None:
    """Amplitudes fail with whatever the model lacks; only a turn is a matter of time."""
    factors = 1.0 + 0.05 * np.random.default_rng([8, seed]).standard_normal(SHAPE[2])
    assert turns_of(factors.astype(np.complex128), seed).ratio < TURNED


def test_a_slice_without_waves_tells_nothing() -> None:
    """A zone of zeros (all data left out) is no reason to divide by zero."""
    nothing = np.zeros((MASK.sum(), 3), dtype=np.complex128)
    assert slice_turns(nothing, nothing, nothing, MASK) == NO_TURNS
