"""The margin of a drawn region: as wide as a wavelength, in the world's millimetres, of tissue that hangs together."""

from __future__ import annotations

import numpy as np
import pytest

from palpate.imaging.anatomy.margin import margin_mm, with_margin

VOXEL_MM = np.array([3.0, 6.0, 11.0])


def test_width_is_a_wavelength() -> None:
    """Twice the frequency halves the wavelength; at 60 Hz a healthy liver's is 23 mm."""
    assert margin_mm(60.0) == pytest.approx(23.3, abs=0.1)
    assert margin_mm(120.0) == pytest.approx(margin_mm(60.0) / 2.0)


def test_it_is_as_wide_along_every_axis() -> None:
    """Voxels of a slice are thinner than slices: a margin in voxels would reach four times as far across slices."""
    drawn = np.zeros((21, 11, 9), dtype=bool)
    drawn[10, 5, 4] = True
    found = np.argwhere(with_margin(drawn, np.ones_like(drawn), VOXEL_MM, 25.0))
    reach_mm = np.abs((found - [10, 5, 4]) * VOXEL_MM).max(axis=0)
    np.testing.assert_array_equal(reach_mm, [24.0, 24.0, 22.0])
    assert np.linalg.norm((found - [10, 5, 4]) * VOXEL_MM, axis=1).max() <= 25.0


def test_tissue_beyond_a_gap_is_left_out() -> None:
    """What vessels or air part from the region carries other waves; and what was drawn stays, usable or not."""
    drawn, usable = np.zeros((2, 20, 3, 3), dtype=bool)
    drawn[:4] = True
    usable[2:7], usable[8:] = True, True
    found = with_margin(drawn, usable, VOXEL_MM, 40.0)
    np.testing.assert_array_equal(found, np.arange(20)[:, None, None] * np.ones((1, 3, 3)) < 7)
