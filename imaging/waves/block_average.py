"""Mean of a wave field over blocks of voxels, for scans whose fine voxels cost more than they contribute.

A zone's factorisation grows as the square of its nodes, so halving the voxel multiplies the cost of an organ by more
than thirty, while waves of several centimetres need no voxels of a millimetre. The mean over a block keeps the noise
white and lowers it by the root of the number of voxels. It also lowers the amplitude of a wave by a constant
(about 1 - (k h)^2 / 24 along its way, for blocks of width h), which changes no modulus in uniform tissue.
"""

from __future__ import annotations

import dataclasses
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.errors import InputError
from palpate.imaging.wavefield import WaveField

type Factors = tuple[int, int, int]


def block_average(field: WaveField, factors: Factors) -> WaveField:
    """Return the wave field on voxels that are larger by whole factors.

    Args:
        field: wave field to average, with its mask, noise and linear phase errors.
        factors: number of voxels of a block along i, j, k; voxels that do not fill a block at the end of an axis are
            left out.

    Returns:
        Means of the displacement, each at the middle of its block; tissue where the whole block is tissue; noise
        over the root of a block's voxels, phase errors (of whole slices) over the root of its slices.

    Raises:
        InputError: no block is all tissue.
    """
    mask = _blocks(field.mask, factors).all(axis=(1, 3, 5))
    if not mask.any():
        raise InputError(
            "mask",
            found=f"no block of {' x '.join(map(str, factors))} voxels that is all tissue",
            expected="tissue thicker than a block",
            advice="Average over fewer voxels.",
        )
    inside = np.where(field.mask[..., None], field.displacement_m, 0.0)
    displacement = np.asarray(_blocks(inside, factors).mean(axis=(1, 3, 5)), dtype=np.complex128)
    affine = field.affine_mm.copy()
    affine[:3, :3] *= factors
    affine[:3, 3] += field.affine_mm[:3, :3] @ ((np.array(factors) - 1) / 2)
    noise = field.noise_std_m
    return dataclasses.replace(
        field,
        displacement_m=displacement,
        mask=mask,
        affine_mm=affine,
        noise_std_m=None if noise is None else noise / float(np.sqrt(prod(factors))),
        linear_phase_error_std_m=field.linear_phase_error_std_m / float(np.sqrt(factors[2])),
        noise_map_m=None,
        measured=None if field.measured is None else _blocks(field.measured, factors).all(axis=(1, 3, 5)),
    )


def nearest_blocks(mask: NDArray[np.bool_], coarse: NDArray[np.bool_], factors: Factors) -> NDArray[np.int64]:
    """Return the block of each voxel, or the nearest of the blocks that are all tissue, shape (N,).

    Args:
        mask: mask of N voxels, shape (i, j, k).
        coarse: mask of the blocks that consist of tissue only, see block_average.
        factors: numbers of voxels of a block along i, j, k.
    """
    number = np.full(coarse.shape, -1, dtype=np.int64)
    number[coarse] = np.arange(np.count_nonzero(coarse))
    place = np.minimum(np.argwhere(mask) // factors, np.array(coarse.shape) - 1)
    nearest = ndimage.distance_transform_edt(~coarse, return_distances=False, return_indices=True)
    return np.asarray(number[tuple(nearest[(slice(None), *place.T)])])


def _blocks[T: np.generic](volume: NDArray[T], factors: Factors) -> NDArray[T]:
    """Shape (i, j, k, ...) to (i / a, a, j / b, b, k / c, c, ...)."""
    counts = [extent // factor for extent, factor in zip(volume.shape, factors, strict=False)]
    cut = volume[tuple(slice(count * factor) for count, factor in zip(counts, factors, strict=True))]
    pairs = [size for pair in zip(counts, factors, strict=True) for size in pair]
    return cut.reshape(*pairs, *volume.shape[3:])
