"""The sign of time, judged from waves whose modulus is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from palpate.imaging.checks.passivity import apparent_modulus_pa
from palpate.imaging.wavefield import WaveField

MODULUS_PA = 3000 + 1200j


def _waves(rotation_deg: float) -> WaveField:
    """Shear waves through a uniform tissue: u = e exp(-i k x), k = omega sqrt(rho / G*), decaying as they travel."""
    omega = 2 * np.pi * 60
    k = omega * np.sqrt(1000 / MODULUS_PA)
    shape = (40, 36, 3)
    position_m = np.moveaxis(np.indices(shape), 0, -1) * 2e-3
    angle = np.radians(rotation_deg)
    along = position_m @ [np.cos(angle), np.sin(angle), 0]
    motion = np.exp(-1j * k * along)[..., None] * [-np.sin(angle), np.cos(angle), 1.0]
    affine = np.diag([2.0, 2.0, 4.0, 1.0])
    return WaveField(
        displacement_m=motion * 1e-6,
        mask=np.ones(shape, dtype=bool),
        affine_mm=affine,
        frequency_hz=60.0,
        noise_std_m=None,
        density_kg_m3=1000.0,
        label="sub-01",
    )


@pytest.mark.parametrize("rotation_deg", [0, 30, 200])
def test_modulus_of_a_uniform_tissue(rotation_deg: float) -> None:
    """Where its assumptions hold the estimate must be right, not only its sign; smoothing and differences cost 15 %."""
    found = apparent_modulus_pa(_waves(rotation_deg))
    assert found is not None
    assert abs(found - MODULUS_PA) < 0.15 * abs(MODULUS_PA)


def test_conjugate_field_gains_energy() -> None:
    """A wrong sign of time must show as G'' < 0 and leave G' alone."""
    field = _waves(30)
    right, wrong = (
        apparent_modulus_pa(field),
        apparent_modulus_pa(replace(field, displacement_m=field.displacement_m.conj())),
    )
    assert right is not None
    assert wrong is not None
    assert wrong == pytest.approx(right.conjugate())


def test_thin_mask_gives_no_estimate() -> None:
    """Near its edges a mask tells nothing, and no figure is better than a wrong one."""
    field = _waves(0)
    thin = np.zeros_like(field.mask)
    thin[10:18] = True
    assert apparent_modulus_pa(replace(field, mask=thin)) is None
