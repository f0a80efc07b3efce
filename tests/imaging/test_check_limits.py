"""Limits of the checks stand between what sound and what faulty data were measured to give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from palpate.imaging.limits import check_limits
from palpate.imaging.limits.check_limits import LIMITS, Limit

FROZEN = {
    "offsets_refused": 0.45,
    "offsets_doubted": 0.8,
    "offsets_gain": 0.01,
    "direction_gain": 0.05,
    "wrapped_pairs": 3e-4,
    "phase_range": 0.9,
    "axes_gain": 0.75,
    "axes_signal": 0.3,
    "simpler": 0.9,
    "shifted_deg": 20.0,
    "shifted_gain": 0.95,
    "reversed_gain": 0.9,
    "scaled_gain": 0.85,
    "component_scale": 1.5,
    "smooth_component": 0.3,
    "smooth_others": 0.6,
    "copy_coherence": 0.98,
    "copy_ratio": 0.05,
    "divergence_unexplained": 0.4,
    "slices_agree": 0.4,
    "slices_disagree": 0.5,
    "reordered_gain": 0.4,
    "least_likeness": 0.85,
    "slice_jump": 3.0,
    "parts_gain": 0.88,
    "void_residual": 9.0,
    "void_slope": 0.5,
    "void_share": 0.2,
    "amplitude_gain": 0.8,
    "laplacian_signal": 0.1,
    "wrap_jump": 0.8,
    "equal_residuals": 1.1,
    "usual_low": 0.4,
    "usual_high": 10.0,
    "acquired_share": 0.95,
    "directions_condition": 6.0,
    "axes_least": 0.1,
    "loss_tangent": -0.05,
    "unmeasured_share": 0.001,
    "neighbour_noise": 0.45,
    "misfit_low": 0.6,
    "modulus_low": 0.1,
    "modulus_high": 50.0,
    "modulus_in_rad_s": 8.0,
    "frequency_low": 5.0,
    "frequency_high": 2000.0,
    "density_low": 500.0,
    "density_high": 2000.0,
    "voxel_low": 0.02,
    "voxel_high": 50.0,
    "shear": 0.01,
    "thickness_low": 0.1,
    "thickness_high": 5.0,
    "noise_ratio": 10.0,
    "displacement_low": 0.01,
    "displacement_small": 0.07,
    "displacement_high": 1000.0,
}
"""A limit that moves, by 20 % or at all, needs new figures around it, and changes here with them."""


def test_no_limit_moves_unseen() -> None:
    """Each was chosen on measured figures: whoever moves one has measured anew."""
    assert {name: limit.value for name, limit in LIMITS.items()} == pytest.approx(FROZEN, rel=1e-12)


def test_checks_use_the_values_of_the_table() -> None:
    """A constant beside the table would move without it: every name that checks import is one of the table's values."""
    names = [name for name in vars(check_limits) if name.isupper() and name != "LIMITS"]
    used = np.hstack([getattr(check_limits, name) for name in names])
    assert sorted(used) == sorted(limit.value for limit in LIMITS.values())


@pytest.mark.parametrize("factor", [0.8, 1.2])
@pytest.mark.parametrize("name", LIMITS)
def test_a_move_by_a_fifth_is_seen(name: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proof that the frozen figures hold every limit: without one of them a limit could move unseen."""
    moved: Limit = dataclasses.replace(LIMITS[name], value=factor * LIMITS[name].value)
    monkeypatch.setitem(LIMITS, name, moved)
    with pytest.raises(AssertionError):
        test_no_limit_moves_unseen()


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_lies_between_sound_and_faulty(name: str) -> None:
    """No sound data beyond it, no planted fault within, and a reason that says where both figures come from."""
    limit = LIMITS[name]
    assert min(limit.sound, limit.faulty) < limit.value < max(limit.sound, limit.faulty)
    assert "sound" in limit.reason
    assert "faulty" in limit.reason
