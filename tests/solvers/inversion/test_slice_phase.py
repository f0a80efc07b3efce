"""Linear phase errors of slices: planes of the stated size, to which stiffness is then blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.solvers.inversion.zone.slice_phase import linear_phase_errors
from tests.solvers.inversion.cases import box, linearise, plane_wave_data, varied

MASK = np.ones((6, 5, 4), dtype=bool)
MASK[:3, 0, 1] = False


def test_every_plane_of_a_slice_is_a_phase_error() -> None:
    """Any a + b x + c y in one slice and component lies in the range of Z: what motion does to an image."""
    errors = linear_phase_errors(MASK, 1.0).toarray()
    ijk = np.argwhere(MASK)
    field = np.zeros((len(ijk), 3))
    field[:, 1] = np.where(ijk[:, 2] == 1, 2.0 - 0.3 * ijk[:, 0] + 0.7 * ijk[:, 1], 0.0)
    left = field.ravel() - errors @ np.linalg.lstsq(errors, field.ravel())[0]
    assert np.abs(left).max() < 1e-12


def test_phase_errors_are_as_large_as_stated() -> None:
    """Mean square over voxels and components is size^2: the importer's figure enters unchanged."""
    errors = linear_phase_errors(MASK, 0.3)
    assert errors.power(2).sum() / errors.shape[0] == pytest.approx(0.09)
    assert linear_phase_errors(MASK, 0.0).shape == (3 * MASK.sum(), 0)


def test_a_slice_with_a_voxel_or_two_is_no_obstacle() -> None:
    """The last slice of a real mask often is: a plane is then more than its data, and the size still holds."""
    for few in (1, 2):
        mask = MASK.copy()
        mask[..., 3] = False
        mask[:few, 2, 3] = True
        errors = linear_phase_errors(mask, 0.3)
        assert errors.power(2).sum() / errors.shape[0] == pytest.approx(0.09)


def test_a_phase_error_costs_its_own_price_and_no_more() -> None:
    """Adding Z c to the data moves the square root of the misfit by at most |c|, the triangle inequality.

    What can be a phase error is thereby not taken for stiffness; a likelihood without them pays far more.
    """
    zone = box(5, 7, 5)
    m, size = varied(zone, 2), 3.0
    knowing, ignorant = plane_wave_data(zone, phase_errors=size), plane_wave_data(zone)
    c = np.random.default_rng(3).standard_normal(knowing.phase_errors.shape[1])
    prices = []
    for data in (knowing, ignorant):
        shifted = replace(data, displacement=data.displacement + knowing.phase_errors @ c)
        prices.append(np.sqrt(linearise(shifted, m).misfit) - np.sqrt(linearise(data, m).misfit))
    assert abs(prices[0]) <= np.linalg.norm(c)
    assert prices[1] > np.linalg.norm(c)
