"""Displacement along the world axes from the phase of three encoding directions, or along one or two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_SPACE = 3
_INDEPENDENT = 0.02
"""Correlation of neighbours below which noise counts as white."""
LEAST_OSS_SNR = 3.0
"""Signal-to-noise of the octahedral shear strain above which inversions are usually trusted (McGarry et al. 2011)."""


def along_directions(
    encoded: NDArray[np.complex128], encoding_axes: NDArray[np.float64]
) -> tuple[NDArray[np.complex128], NDArray[np.float64] | None]:
    """Return displacement along R, A, S from three axes, or along fewer axes as they are.

    Args:
        encoded: displacement m along the encoding axes, shape (n, i, j, k), any unit.
        encoding_axes: encoding axes E in RAS per row, shape (n, 3), independent; a length below 1 is a smaller gain.

    Returns:
        Displacement, shape (i, j, k, n), and the unit vectors of its components, shape (n, 3); None for R, A, S.
    """
    if len(encoding_axes) == _SPACE:
        return to_world(encoded, encoding_axes), None
    lengths = np.linalg.norm(encoding_axes, axis=1)
    along = np.moveaxis(encoded, 0, -1) / lengths
    return np.asarray(along), np.asarray(encoding_axes / lengths[:, None])


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
    """Return the noise of a component, root mean square over all, from the noise along the encoding axes.

    Args:
        encoded_std: standard deviation sigma along each axis, shape (n,).
        encoding_axes: encoding axes E, one unit vector in RAS per row, shape (n, 3). Components are those along R, A, S
            from three axes, or along fewer axes as they are.
    """
    if len(encoding_axes) < _SPACE:
        return float(np.sqrt(np.mean((encoded_std / np.linalg.norm(encoding_axes, axis=1)) ** 2)))
    inverse = np.linalg.inv(encoding_axes)
    return float(np.sqrt(np.mean((inverse**2) @ encoded_std**2)))


def world_noise_map(encoded_std: NDArray[np.float64], encoding_axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the noise of the components along R, A, S from that along the encoding axes, voxel by voxel.

    Args:
        encoded_std: standard deviation sigma along each axis, shape (i, j, k, n); NaN where it is not known.
        encoding_axes: encoding axes E, one unit vector in RAS per row, shape (n, 3). Along fewer than three axes the
            noise stays along them.
    """
    if len(encoding_axes) < _SPACE:
        return np.asarray(encoded_std / np.linalg.norm(encoding_axes, axis=1))
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
    directions: NDArray[np.float64] | None = None,
    correlation: tuple[float, float] | None = None,
) -> float:
    """Return the median over the mask of oss_snr_map; NaN where the image is too thin or the noise is not known."""
    if not strain_shows(displacement.shape, directions) or noise_std <= 0:
        return float("nan")
    return float(np.median(oss_snr_map(displacement, mask, affine_mm, noise_std, seed, directions, correlation)[mask]))


def strain_shows(shape: tuple[int, ...], directions: NDArray[np.float64] | None) -> bool:
    """Return whether an image has voxels enough for the derivatives that oss_snr_map takes."""
    return min(shape[: _SPACE if directions is None else 2]) >= 2


def oss_snr_map(
    displacement: NDArray[np.complex128],
    mask: NDArray[np.bool_],
    affine_mm: NDArray[np.float64],
    noise_std: float,
    seed: int = 0,
    directions: NDArray[np.float64] | None = None,
    correlation: tuple[float, float] | None = None,
) -> NDArray[np.float64]:
    """Return the signal-to-noise of the octahedral shear strain (McGarry et al. 2011), shape (i, j, k).

    The noise's share of the strain, its median, comes from one draw of white noise through the same differences.
    Of fewer than three components it is the strain that these alone make within the slices: such exams have thick
    slices, each of which may see the vibration at another time.

    Args:
        displacement: displacement U, any unit, shape (i, j, k, n), at least two voxels along each axis, or along i and
            j where n < 3.
        mask: tissue, shape (i, j, k).
        affine_mm: voxel indices to world millimetres, shape (4, 4).
        noise_std: standard deviation sigma of real and imaginary parts, in the unit of U, above zero.
        seed: seed of that draw.
        directions: unit vectors of the components in R, A, S, shape (n, 3); None for R, A, S.
        correlation: correlation of the noise of neighbours along i and j; None for white noise.
    """
    generator = np.random.default_rng(seed)
    noise = generator.normal(scale=noise_std, size=(2, *displacement.shape))
    if correlation is not None:
        smooth = ndimage.gaussian_filter(noise, (0.0, *map(_blur, correlation), 0.0, 0.0), mode="wrap")
        noise = smooth * (noise_std / smooth.std())
    # Beyond the border the nearest tissue's motion goes on; zeros there would be strain that is none.
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    signal, spread = (
        _octahedral_strain(np.asarray(one[tuple(nearest)]), affine_mm, directions)
        for one in (displacement, noise[0] + 1j * noise[1])
    )
    return np.asarray(signal / np.median(spread[mask]))


def _blur(correlation: float) -> float:
    """Return the width of a Gaussian, voxels, that gives white noise so large a correlation of neighbours."""
    return 0.5 / float(np.sqrt(-np.log(correlation))) if correlation > _INDEPENDENT else 0.0


def _octahedral_strain(
    displacement: NDArray[np.complex128], affine_mm: NDArray[np.float64], directions: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Amplitude of the octahedral shear strain, up to the factor 2/3 and the unit of length, shape (i, j, k)."""
    axes = range(3) if directions is None else range(2)
    if directions is not None:
        displacement = displacement @ directions
    along_voxels = np.zeros((*displacement.shape, 3), dtype=np.complex128)
    for axis in axes:
        along_voxels[..., axis] = np.gradient(displacement, axis=axis)
    gradient = along_voxels @ np.linalg.inv(affine_mm[:3, :3])
    strain = 0.5 * (gradient + np.swapaxes(gradient, -1, -2))
    normal = np.diagonal(strain, axis1=-2, axis2=-1)
    differences = np.abs(normal - np.roll(normal, 1, axis=-1)) ** 2
    shears = np.abs(strain[..., [0, 0, 1], [1, 2, 2]]) ** 2
    return np.asarray(np.sqrt(differences.sum(axis=-1) + 6.0 * shears.sum(axis=-1)))
