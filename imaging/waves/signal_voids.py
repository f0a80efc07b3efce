"""Voxels of a mask without signal, whose displacement is noise alone. Checks of a wave field rest on the others.

Within a slice a wave is smooth on the scale of a voxel, and noise is not. Along four lines through a voxel, those of
both axes and both diagonals, its displacement u is compared with the mean of its two neighbours u+ and u-,

    r^2 = min over lines of |u - (u+ + u-) / 2|^2,    g^2 = mean over lines of |u+ - u-|^2 / 4.

A void agrees along no line; a sound voxel beside one does along the lines that miss it. A voxel is a void where r^2 is
far above its median over the mask, which noise and the waves' curvature set, and no small part of g^2: where waves are
loud, they bend more as well. Only slices by themselves are looked at, so that slices of a wrong order or time are no
voids. Where many voxels look like voids, the field is at fault, and all of it is judged.

The search before an inversion (outliers.py) finds single wrong voxels more sharply, also between slices, at many times
the cost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.limits.check_limits import VOID_RESIDUAL, VOID_SHARE, VOID_SLOPE
from palpate.imaging.wavefield import WaveField

_LINES: Final = ((1, 0), (0, 1), (1, 1), (1, -1))
_AMID: Final = 3
"""Least number of voids among the 26 voxels around one that is amid a void, as those around the corner of a patch."""


def with_signal(field: WaveField) -> WaveField:
    """Return a wave field with a mask of the voxels that have signal, and their noise; itself where all or none have.

    Args:
        field: wave field to look at.
    """
    signal = signal_mask(field)
    if not signal.any() or np.array_equal(signal, field.mask):
        return field
    noise_m = field.noise_std_m
    if noise_m is not None and field.noise_map_m is not None:
        # The root mean square of a map, where nobody states one number, is that of the voids.
        noise_m = min(noise_m, float(np.sqrt(np.mean(field.noise_map_m[signal] ** 2))))
    return replace(field, mask=signal, noise_std_m=noise_m, noise_map_m=None)


def signal_mask(field: WaveField) -> NDArray[np.bool_]:
    """Return the voxels of the mask that were measured and are no voids, shape (i, j, k).

    Args:
        field: wave field to look at.
    """
    displacement = np.where(field.mask[..., None], field.displacement_m, 0.0)
    measured = np.asarray(displacement.any(axis=-1), dtype=np.bool_)
    if field.measured is not None:
        measured &= field.measured
    void = _voids(displacement, measured)
    return measured & ~void if np.count_nonzero(void) <= VOID_SHARE * np.count_nonzero(measured) else measured


def _voids(displacement: NDArray[np.complex128], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels that agree with their neighbours along no line, shape (i, j, k)."""
    residual, slope, lines = np.full(mask.shape, np.inf), np.zeros(mask.shape), np.zeros(mask.shape)
    for step in _LINES:
        (ahead, behind), both = _beside(displacement, step), np.logical_and(*_beside(mask, step)) & mask
        missed = np.sum(np.abs(displacement - 0.5 * (ahead + behind)) ** 2, axis=-1)
        residual = np.where(both, np.minimum(residual, missed), residual)
        slope += np.where(both, np.sum(np.abs(ahead - behind) ** 2, axis=-1) / 4.0, 0.0)
        lines += both
    told = lines > 0
    if not told.any():
        return told
    residual = np.where(told, residual, 0.0)
    strange = residual > VOID_RESIDUAL * float(np.median(residual[told]))
    void = strange & (residual * lines > VOID_SLOPE * slope)
    # Amid a void a voxel may lie between two others by chance.
    around = ndimage.convolve(void.astype(np.uint8), np.ones((3, 3, 3), dtype=np.uint8), mode="constant")
    return np.asarray(void | (strange & (around >= _AMID)))


def _beside[T: np.generic](values: NDArray[T], step: tuple[int, int]) -> tuple[NDArray[T], NDArray[T]]:
    """Return the values one step ahead and one step behind within the slice, zero outside the grid."""
    padded = np.pad(values, [(1, 1), (1, 1), *[(0, 0)] * (values.ndim - 2)])
    rows, columns = values.shape[:2]
    ahead, behind = (
        padded[1 + sign * step[0] : 1 + sign * step[0] + rows, 1 + sign * step[1] : 1 + sign * step[1] + columns]
        for sign in (1, -1)
    )
    return ahead, behind
