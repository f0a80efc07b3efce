"""Displacement along the world axes from the phase of three encoding directions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LEAST_OSS_SNR = 3.0
"""Signal-to-noise of the octahedral shear strain above which inversions are usually trusted (McGarry et al. 2011)."""


def to_world(encoded: NDArray[np.complex128], encoding_axes: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return displacement along R, A, S from displacement along three oblique axes: u = E^-1 m.

    Args:
        encoded: displacement m along the encoding axes, shape (3, i, j, k), any unit.
        encoding_axes: encoding axes E, one unit vector in RAS per row, shape (3, 3), independent.

    Returns:
        Displacement u, shape (i, j, k, 3), in the same unit.
    """
    return np.asarray(np.einsum("cd,d...->...c", np.linalg.inv(encoding_axes), encoded))


def world_noise(encoded_std: NDArray[np.float64], encoding_axes: NDArray[np.float64]) -> float:
    """Return the noise of a world component, root mean square over the three, from the noise along the encoding axes.

    Args:
        encoded_std: standard deviation sigma along each axis, shape (3,).
        encoding_axes: encoding axes E, one unit vector in RAS per row, shape (3, 3).
    """
    inverse = np.linalg.inv(encoding_axes)
    return float(np.sqrt(np.mean((inverse**2) @ encoded_std**2)))


def world_noise_map(encoded_std: NDArray[np.float64], encoding_axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the noise of the components along R, A, S from that along the encoding axes, voxel by voxel.

    Args:
        encoded_std: standard deviation sigma along each axis, shape (i, j, k, 3); NaN where it is not known.
        encoding_axes: encoding axes E, one unit vector in RAS per row, shape (3, 3).
    """
    return np.asarray(np.sqrt(encoded_std**2 @ (np.linalg.inv(encoding_axes) ** 2).T))


def without_slice_means(field: NDArray[np.complex128], mask: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """Return a field less its mean over the mask in each slice, shape (i, j, k)."""
    counts = np.maximum(mask.sum(axis=(0, 1)), 1)
    return np.asarray(field - (field * mask).sum(axis=(0, 1)) / counts)


def oss_snr(
    displacement: NDArray[np.complex128],
    mask: NDArray[np.bool_],
    affine_mm: NDArray[np.float64],
    noise_std: float,
    seed: int = 0,
) -> float:
    """Return the median over the mask of oss_snr_map; NaN for a single slice or where the noise is not known."""
    if min(displacement.shape[:3]) < 2 or noise_std <= 0:
        return float("nan")
    return float(np.median(oss_snr_map(displacement, mask, affine_mm, noise_std, seed)[mask]))


def oss_snr_map(
    displacement: NDArray[np.complex128],
    mask: NDArray[np.bool_],
    affine_mm: NDArray[np.float64],
    noise_std: float,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the signal-to-noise of the octahedral shear strain (McGarry et al. 2011), shape (i, j, k).

    The noise's share of the strain, its median, comes from one draw of white noise through the same differences.

    Args:
        displacement: displacement U, any unit, shape (i, j, k, 3), at least two voxels along each axis.
        mask: tissue, shape (i, j, k).
        affine_mm: voxel indices to world millimetres, shape (4, 4).
        noise_std: standard deviation sigma of real and imaginary parts, in the unit of U, above zero.
        seed: seed of that draw.
    """
    generator = np.random.default_rng(seed)
    noise = generator.normal(scale=noise_std, size=(2, *displacement.shape))
    # Beyond the border the nearest tissue's motion goes on; zeros there would be strain that is none.
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    signal, spread = (
        _octahedral_strain(np.asarray(one[tuple(nearest)]), affine_mm)
        for one in (displacement, noise[0] + 1j * noise[1])
    )
    return np.asarray(signal / np.median(spread[mask]))


def _octahedral_strain(displacement: NDArray[np.complex128], affine_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amplitude of the octahedral shear strain, up to the factor 2/3 and the unit of length, shape (i, j, k)."""
    along_voxels = np.stack([np.gradient(displacement, axis=axis) for axis in range(3)], axis=-1)
    gradient = along_voxels @ np.linalg.inv(affine_mm[:3, :3])
    strain = 0.5 * (gradient + np.swapaxes(gradient, -1, -2))
    normal = np.diagonal(strain, axis1=-2, axis2=-1)
    differences = np.abs(normal - np.roll(normal, 1, axis=-1)) ** 2
    shears = np.abs(strain[..., [0, 0, 1], [1, 2, 2]]) ** 2
    return np.asarray(np.sqrt(differences.sum(axis=-1) + 6.0 * shears.sum(axis=-1)))
