"""Errors of contours: their constants, and what residuals at the true density must look like."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from palpate.twin.observation import contour_errors
from palpate.twin.observation.contour_errors import CONTOUR_ERRORS, LEVELS, WEIGHTS, contour_covariance
from palpate.twin.observation.innovations import ODD, WRONG
from palpate.twin.observation.readings import STEEPNESS

FROZEN = {
    "level_std": 0.34,
    "level_mm": 7.2,
    "between_kinds": 0.5,
    "own_std": 0.09,
    "voxel_mm": 0.43,
    "floor": 0.016,
    "missed": 0.13,
    "near": 0.01,
    "steepness": 4.0,
    "odd": 0.05,
    "wrong": 0.001,
}
"""A constant that moves, by 20 % or at all, needs residuals measured anew (decision 0148), and changes here too."""


def test_no_constant_moves_unseen() -> None:
    """Each was chosen on measured residuals: whoever moves one has measured anew."""
    own = dataclasses.asdict(CONTOUR_ERRORS)
    own |= {"near": contour_errors.NEAR, "steepness": STEEPNESS["correlated"], "odd": ODD, "wrong": WRONG}
    assert own == pytest.approx(FROZEN, rel=1e-12)


def test_five_levels_have_the_moments_of_a_normal_number() -> None:
    """The spread of shares under an uncertain level goes by them."""
    moments = [float(np.dot(WEIGHTS, np.array(LEVELS) ** power)) for power in (0, 1, 2, 4, 6, 8)]
    assert moments == pytest.approx([1.0, 0.0, 1.0, 3.0, 15.0, 105.0], rel=1e-3, abs=1e-6)


def test_neighbours_share_the_level_within_a_scan_and_with_no_other() -> None:
    """Blocks of one contour err alike over millimetres; what one day's reader drew tells nothing of another's."""
    points = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    level, quiet = np.full(3, 0.1), np.zeros(3)
    variances = CONTOUR_ERRORS.variances(level, quiet, quiet)
    found = contour_covariance(
        np.tile(variances, 3), (level, level, quiet), (points,) * 3, (np.array([0, 0, 1]),) * 3
    ).dense()
    far = 3**0.5 * 6.0 / CONTOUR_ERRORS.level_mm
    assert found[0, 1] == pytest.approx(0.1**2 * (1.0 + far) * np.exp(-far))
    assert found[0, 2] < 1e-3 * found[0, 1]
    assert np.count_nonzero(found[:3, 3:]) == 0
    assert found[6:, 6:] == pytest.approx(np.diag(variances))


@pytest.mark.parametrize("name", ["level_std", "level_mm", "between_kinds", "own_std", "voxel_mm", "floor", "missed"])
def test_every_constant_is_felt(name: str) -> None:
    """A constant that changes no covariance would stand in the table for nothing."""
    points = 6.0 * np.indices((3, 3, 3)).reshape(3, -1).T
    level, slope = np.full(27, 0.1), np.full(27, 0.1)
    other = dataclasses.replace(CONTOUR_ERRORS, **{name: 1.2 * getattr(CONTOUR_ERRORS, name)})
    both = []
    for one in (CONTOUR_ERRORS, other):
        variances = one.variances(level, slope, np.full(27, 0.05))
        both.append(contour_covariance(variances, (level,), (points,), (np.arange(27) % 2,), one).dense())
    assert np.abs(both[1] - both[0]).max() > 1e-5
