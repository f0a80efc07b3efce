"""Scan that is small enough for every example: three crossing shear waves in uniform tissue, with noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHAPE, VOXEL_MM, FREQUENCY_HZ = (11, 7, 7), 2.0, 90.0
STORAGE_KPA, LOSS_KPA, DENSITY_KG_M3 = 3.0, 0.9, 1000.0
NOISE_UM = 0.2
AFFINE_MM = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])


def displacement_um(seed: int = 0) -> NDArray[np.complex128]:
    """Return U with u(t) = Re(U exp(+i omega t)), micrometres, shape (11, 7, 7, 3).

    Args:
        seed: seed of the noise.
    """
    x, y, z = 1e-3 * VOXEL_MM * np.indices(SHAPE)
    speed_m_s = np.sqrt(1e3 * (STORAGE_KPA + 1j * LOSS_KPA) / DENSITY_KG_M3)
    waves = 10.0 * np.exp(-2j * np.pi * FREQUENCY_HZ / speed_m_s * np.stack([y, z, x], axis=-1))
    real, imaginary = np.random.default_rng(seed).normal(0.0, NOISE_UM, (2, *waves.shape))
    return np.asarray(waves + real + 1j * imaginary)
