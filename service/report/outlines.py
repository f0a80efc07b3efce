"""Outlines of regions for the viewer: shells of voxels fine enough to look like lines in any slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.files.compact_nifti import compact_image

_FINE_MM: Final = 1.3
"""Edge of the outline's voxels that is aimed at, mm; finer ones would be lost on an image of 1.2 mm."""
STEP: Final = 10
"""Distance of the numbers of outlines: a colour table blends neighbouring entries."""
_LARGEST: Final = 12_000_000
"""Number of voxels above which outlines are not made finer than the maps."""


@dataclass(frozen=True, slots=True)
class ViewerOutline:
    """Outline that can be switched on and off.

    Attributes:
        name: name for people.
        level: field, shape (i, j, k), whose surface of 0.5 is the outline; a mask is one.
        rgb: colour, 0 to 255 each.
        shown: whether it is shown at first.
    """

    name: str
    level: NDArray[np.floating] | NDArray[np.bool_]
    rgb: tuple[int, int, int]
    shown: bool = True


def outline_volume(outlines: Sequence[ViewerOutline], affine_mm: NDArray[np.float64]) -> bytes:
    """Return a compact NIfTI with STEP times the number of the outline, from 1 on, in the voxels of its shell.

    Where shells meet the first outline counts.

    Args:
        outlines: outlines, one at least, all of one grid.
        affine_mm: voxel indices of that grid to world R A S millimetres, shape (4, 4).
    """
    shape = outlines[0].level.shape
    factors = _factors(shape, affine_mm)
    numbers = np.zeros([(n + 2) * f for n, f in zip(shape, factors, strict=True)], dtype=np.uint8)
    for number, one in reversed(list(enumerate(outlines, start=1))):
        numbers[_shell(one.level, factors)] = STEP * number
    return compact_image(numbers, _finer(affine_mm, factors))


def _factors(shape: tuple[int, ...], affine_mm: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the number of fine voxels along each edge of a voxel."""
    edges_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    factors = np.maximum(1, np.round(edges_mm / _FINE_MM)).astype(int)
    while np.prod(np.array(shape) + 2) * np.prod(factors) > _LARGEST and factors.max() > 1:
        factors[factors.argmax()] -= 1
    return tuple(int(one) for one in factors)


def _shell(level: NDArray[np.floating] | NDArray[np.bool_], factors: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the fine voxels just outside the surface of 0.5, on a grid with one more voxel on every side."""
    padded = np.pad(np.nan_to_num(level.astype(np.float32)), 1)
    for axis, factor in enumerate(factors):
        if factor > 1:
            padded = _refined(padded, axis, factor) if level.dtype != np.bool_ else np.repeat(padded, factor, axis)
    inside = padded > 0.5
    return np.asarray(ndimage.binary_dilation(inside) & ~inside)


def _refined(values: NDArray[np.float32], axis: int, factor: int) -> NDArray[np.float32]:
    """Return values linearly between voxel centres along an axis, constant beyond the outer ones."""
    count = values.shape[axis]
    at = np.clip((np.arange(count * factor) + 0.5) / factor - 0.5, 0.0, count - 1.0)
    below = np.minimum(at.astype(int), max(count - 2, 0))
    share = (at - below).astype(np.float32).reshape([-1 if n == axis else 1 for n in range(3)])
    upper = np.take(values, np.minimum(below + 1, count - 1), axis)
    return np.asarray(np.take(values, below, axis) * (1.0 - share) + upper * share)


def _finer(affine_mm: NDArray[np.float64], factors: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the affine of the fine grid, which begins one whole voxel before the coarse one."""
    scale = 1.0 / np.array(factors)
    fine = affine_mm.copy()
    fine[:3, :3] = affine_mm[:3, :3] * scale
    fine[:3, 3] = affine_mm[:3, 3] + affine_mm[:3, :3] @ (0.5 * scale - 1.5)
    return fine
