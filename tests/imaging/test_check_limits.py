"""Limits of the checks stand between what sound and what faulty data were measured to give."""

from __future__ import annotations

import pytest

from palpate.imaging.check_limits import LIMITS

FROZEN = {
    "offsets_refused": 0.45,
    "offsets_doubted": 0.8,
    "offsets_gain": 0.01,
    "wrapped_pairs": 3e-4,
    "phase_range": 0.9,
    "axes_gain": 0.75,
    "axes_least": 0.1,
    "loss_tangent": -0.05,
    "unmeasured_share": 0.001,
    "neighbour_noise": 0.45,
    "misfit_low": 0.6,
    "modulus_low": 0.1,
    "modulus_high": 50.0,
    "frequency_low": 5.0,
    "frequency_high": 2000.0,
    "density_low": 500.0,
    "density_high": 2000.0,
    "voxel_low": 0.02,
    "voxel_high": 50.0,
    "displacement_low": 0.01,
    "displacement_high": 1000.0,
}
"""A limit that moves, by 20 % or at all, needs new figures around it, and changes here with them."""


def test_no_limit_moves_unseen() -> None:
    """Each was chosen on measured figures: whoever moves one has measured anew."""
    assert {name: limit.value for name, limit in LIMITS.items()} == pytest.approx(FROZEN, rel=1e-12)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_lies_between_sound_and_faulty(name: str) -> None:
    """No sound data beyond it, no planted fault within, and a reason that says where both figures come from."""
    limit = LIMITS[name]
    assert min(limit.sound, limit.faulty) < limit.value < max(limit.sound, limit.faulty)
    assert "sound" in limit.reason
    assert "faulty" in limit.reason
