"""A wave field with known tissue: shear waves from several sides through a uniform viscoelastic solid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField

MODULUS_PA = 3000 + 1200j
FREQUENCY_HZ = 60.0
SHAPE = (18, 16, 8)
_TURNED = np.linalg.qr(np.array([[-1.9, 0.3, 0.2], [0.3, 1.9, -0.4], [0.1, 0.4, 1.9]]))[0]
OBLIQUE = np.vstack([np.column_stack([_TURNED * [1.9, 2.0, 1.95], [40, -30, 12]]), [0, 0, 0, 1.0]])
STRAIGHT = np.diag([2.0, 2.0, 2.0, 1.0])


def shear_waves(
    affine_mm: NDArray[np.float64] = STRAIGHT,
    *,
    shape: tuple[int, int, int] = SHAPE,
    noise: float = 0.0,
    seed: int = 0,
    frequency_hz: float = FREQUENCY_HZ,
) -> WaveField:
    """Eight plane shear waves, u = e exp(-i k n . x) with e across n, k = omega sqrt(rho / G*), about 10 um in all.

    Args:
        affine_mm: voxel indices to world millimetres.
        shape: of the grid.
        noise: sigma over the mean length of U; stated as the field's noise where it is above zero.
        seed: of directions, phases and noise.
        frequency_hz: f.
    """
    generator = np.random.default_rng(seed)
    k = 2 * np.pi * frequency_hz * np.sqrt(1000.0 / MODULUS_PA)
    place_m = 1e-3 * (np.moveaxis(np.indices(shape), 0, -1) @ affine_mm[:3, :3].T)
    place_m -= place_m.mean(axis=(0, 1, 2))
    waves = np.zeros((*shape, 3), dtype=np.complex128)
    for _ in range(8):
        ahead, other = generator.normal(size=(2, 3))
        ahead /= np.linalg.norm(ahead)
        across = np.cross(ahead, other)
        start = across / np.linalg.norm(across) * np.exp(2j * np.pi * generator.uniform())
        waves += 4e-6 * np.exp(-1j * k * (place_m @ ahead))[..., None] * start
    sigma = noise * float(np.linalg.norm(np.abs(waves), axis=-1).mean())
    parts = sigma * generator.normal(size=(2, *waves.shape))
    mask = np.ones(shape, dtype=bool)
    return WaveField(
        displacement_m=waves + parts[0] + 1j * parts[1],
        mask=mask,
        affine_mm=affine_mm,
        frequency_hz=frequency_hz,
        noise_std_m=sigma or None,
        density_kg_m3=1000.0,
        label="sub-01_ses-01",
    )
