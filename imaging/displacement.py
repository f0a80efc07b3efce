"""From the phase of three encoding directions to displacement along the world axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_OSS_SNR = 3.0
"""Signal-to-noise of the octahedral shear strain that inversions are usually trusted from (McGarry et al. 2011)."""


def to_world(encoded: NDArray[np.complex128], encoding_axes: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Displacement along R, A, S from displacement along three oblique axes: u = E^-1 m.

    Args:
        encoded: m, shape (3, i, j, k), any unit.
        encoding_axes: E, one unit vector in RAS per row, shape (3, 3), independent.

    Returns:
        u, shape (i, j, k, 3), in the same unit.
    """
    return np.asarray(np.einsum("cd,d...->...c", np.linalg.inv(encoding_axes), encoded))


def world_noise(encoded_std: NDArray[np.float64], encoding_axes: NDArray[np.float64]) -> float:
    """Noise of a world component, root mean square over the three, from the noise along the encoding axes.

    Args:
        encoded_std: sigma along each axis, shape (3,).
        encoding_axes: E, shape (3, 3).
    """
    inverse = np.linalg.inv(encoding_axes)
    return float(np.sqrt(np.mean((inverse**2) @ encoded_std**2)))


def without_slice_means(field: NDArray[np.complex128], mask: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """A field less its mean over the mask in each slice, shape (i, j, k)."""
    counts = np.maximum(mask.sum(axis=(0, 1)), 1)
    return np.asarray(field - (field * mask).sum(axis=(0, 1)) / counts)


def oss_snr(
    displacement: NDArray[np.complex128],
    mask: NDArray[np.bool_],
    affine_mm: NDArray[np.float64],
    noise_std: float,
    seed: int = 0,
) -> float:
    """Signal-to-noise of the octahedral shear strain, median over the mask (McGarry et al. 2011).

    The noise's share of the strain comes from one draw of white noise through the same differences.

    Args:
        displacement: U, shape (i, j, k, 3).
        mask: tissue, shape (i, j, k).
        affine_mm: voxel indices to world millimetres, shape (4, 4).
        noise_std: sigma of real and imaginary parts, in the unit of U.
        seed: of that draw.
    """
    if min(displacement.shape[:3]) < 2 or noise_std <= 0:
        return float("nan")
    generator = np.random.default_rng(seed)
    noise = generator.normal(scale=noise_std, size=(2, *displacement.shape))
    signal = _octahedral_strain(displacement, affine_mm)[mask]
    spread = _octahedral_strain(np.asarray(noise[0] + 1j * noise[1]), affine_mm)[mask]
    return float(np.median(signal) / np.median(spread))


def _octahedral_strain(displacement: NDArray[np.complex128], affine_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitude of the octahedral shear strain, up to the factor 2/3 and the unit of length, shape (i, j, k)."""
    along_voxels = np.stack([np.gradient(displacement, axis=axis) for axis in range(3)], axis=-1)
    gradient = along_voxels @ np.linalg.inv(affine_mm[:3, :3])
    strain = 0.5 * (gradient + np.swapaxes(gradient, -1, -2))
    normal = np.diagonal(strain, axis1=-2, axis2=-1)
    differences = np.abs(normal - np.roll(normal, 1, axis=-1)) ** 2
    shears = np.abs(strain[..., [0, 0, 1], [1, 2, 2]]) ** 2
    return np.asarray(np.sqrt(differences.sum(axis=-1) + 6.0 * shears.sum(axis=-1)))
