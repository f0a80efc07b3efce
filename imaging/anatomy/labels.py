"""Regions of the anatomy on the voxels of a wave field: from a segmentation, or from the anatomical image itself.

A voxel of the wave field is larger than one of the anatomy and may lie across a border, so that it belongs to each
region by a share, the mean over 27 points spread through it. At a point of a segmentation the share is 0 or 1; label 0
is no region. An image is divided into three classes by its brightness - in a T1-weighted brain fluid, grey and white
matter - and a point between the brightness of two pure classes belongs to both in proportion (partial volume).

Where one tissue is much softer than its neighbours, a small share of them in its voxels changes it by a large factor,
so that the dark class, fluid in a T1, is expected to vary twice as much as the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import map_coordinates

from palpate.errors import InputError
from palpate.imaging.anatomy.partial_volume import TISSUES, pure_intensities
from palpate.imaging.files.nifti import (
    WITHIN_A_VOXEL,
    StoredVolume,
    Volume,
    demand_scanner_world,
    read_stored,
    read_volume,
    voxel_indices,
)
from palpate.imaging.registration.rigid import Rigid

_FEWEST_INTENSITIES = 100
"""Least number of different values in the mask of an image with tissue contrast."""

_LARGE_LITRES = 0.3
"""Volume of a mask from which on it contains every tissue, litres: a fourth of a brain."""

_SURROUNDINGS_MM = 20.0
"""Width of the surroundings of a smaller mask that are used as well, mm."""

_VARIABILITY = np.array([2.0, 1.0, 1.0])
"""Expected variability of the dark, middle and bright class relative to other tissue."""

_LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class Regions:
    """Shares of labelled regions.

    Attributes:
        numbers: numbers of the labels, ascending, shape (R,).
        fractions: matrix W, fraction of each voxel in each region, shape (N, R); rows sum to at most one.
        variability: expected variation within each region over that of other tissue, shape (R,).
    """

    numbers: NDArray[np.int64]
    fractions: sparse.csr_matrix
    variability: NDArray[np.float64]


def no_regions(voxels: int) -> Regions:
    """Return the regions of an anatomy without labels: none.

    Args:
        voxels: number N of voxels.
    """
    return Regions(np.zeros(0, dtype=np.int64), sparse.csr_matrix((voxels, 0)), np.ones(0))


def read_regions(
    path: Path, mask: NDArray[np.bool_], affine_mm: NDArray[np.float64], motion: Rigid | None = None
) -> Regions:
    """Return the fractions of a segmentation's regions in the voxels of a mask.

    Args:
        path: segmentation, NIfTI of whole numbers.
        mask: voxels to describe, shape (i, j, k); its N voxels count in C order.
        affine_mm: voxel indices of the mask to world RAS millimetres, shape (4, 4).
        motion: motion from the mask's world to the segmentation's; None where they are the same.

    Raises:
        InputError: the file is unreadable or no volume of whole numbers, or no label lies in the mask.
    """
    volume = read_stored(path)
    demand_labels(path, volume)
    demand_scanner_world(path, volume, "segmentation")
    inside = _labels_at(volume, _points_mm(mask, affine_mm, motion))
    numbers = np.unique(inside[inside > 0])
    if not numbers.size:
        raise InputError(
            path,
            found="no label inside the wave field's mask",
            expected="a segmentation that overlaps it in world coordinates (RAS, mm)",
            advice="Register the segmentation to the scan, or leave the labels out.",
        )
    counts = [(inside == number).mean(axis=1) for number in numbers]
    return Regions(numbers, sparse.csr_matrix(np.stack(counts, axis=1)), np.ones(len(numbers)))


def read_classes(
    path: Path, mask: NDArray[np.bool_], affine_mm: NDArray[np.float64], motion: Rigid | None = None
) -> Regions:
    """Return the fractions of an image's three classes of brightness in a mask's voxels: dark 1, middle 2, bright 3.

    The brightness of pure classes follows from the histogram of the points in the mask; for a small mask from that of
    its surroundings as well, since a block of brain need not hold any pure fluid.

    Args:
        path: anatomical image, NIfTI of intensities.
        mask: voxels to describe, shape (i, j, k); its N voxels count in C order.
        affine_mm: voxel indices of the mask to world RAS millimetres, shape (4, 4).
        motion: motion from the mask's world to the image's; None where they are the same.

    Returns:
        The fractions; no regions where the image does not reach the mask, or is nearly uniform in it.

    Raises:
        InputError: the file is unreadable, or no volume of finite numbers.
    """
    volume = read_volume(path)
    if volume.values.ndim != 3 or not np.all(np.isfinite(volume.values)):
        raise InputError(
            path,
            found=f"shape {volume.values.shape}, {int(np.sum(~np.isfinite(volume.values)))} values not finite",
            expected="one finite intensity a voxel, shape (i, j, k)",
            advice="Write the anatomy again, or leave it out.",
        )
    index = voxel_indices(volume.affine_mm, _points_mm(mask, affine_mm, motion))
    seen = map_coordinates(volume.values, np.moveaxis(index, -1, 0), order=1, mode="constant", cval=np.nan)
    inside = np.isfinite(seen)
    around = _surroundings(volume, index) if _litres(mask, affine_mm) < _LARGE_LITRES else seen[inside]
    if len(np.unique(seen[inside])) < _FEWEST_INTENSITIES or len(np.unique(around)) <= TISSUES:
        return no_regions(int(np.count_nonzero(mask)))
    dark, middle, bright = pure_intensities(around)
    first = np.clip((middle - seen) / (middle - dark), 0.0, 1.0)
    third = np.clip((seen - middle) / (bright - middle), 0.0, 1.0)
    fractions = np.stack([first, 1.0 - first - third, third], axis=-1)
    fractions = np.where(inside[..., None], fractions, 0.0).mean(axis=1)
    return Regions(np.arange(1, 4), sparse.csr_matrix(fractions), _VARIABILITY)


def _litres(mask: NDArray[np.bool_], affine_mm: NDArray[np.float64]) -> float:
    return float(np.count_nonzero(mask) * abs(np.linalg.det(affine_mm[:3, :3])) * 1e-6)


def _surroundings(volume: Volume, index: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intensities in a box around points, inside the image: anatomy that was cut to the brain is 0 outside.

    Args:
        volume: the anatomy.
        index: positions of the points in its voxels, shape (..., 3).
    """
    reach = _SURROUNDINGS_MM / np.linalg.norm(volume.affine_mm[:3, :3], axis=0)
    points = index.reshape(-1, 3)
    first = np.maximum(np.floor(points.min(axis=0) - reach), 0).astype(int)
    behind = np.maximum(np.ceil(points.max(axis=0) + reach) + 1, 0).astype(int)
    box = volume.values[tuple(slice(*ends) for ends in zip(first, behind, strict=True))]
    return np.asarray(box[box > 0], dtype=np.float64)


def _points_mm(mask: NDArray[np.bool_], affine_mm: NDArray[np.float64], motion: Rigid | None) -> NDArray[np.float64]:
    """World coordinates, in the anatomy, of the points in each voxel of a mask, shape (N, 27, 3)."""
    points_mm = np.asarray((np.argwhere(mask)[:, None] + WITHIN_A_VOXEL) @ affine_mm[:3, :3].T + affine_mm[:3, 3])
    return points_mm if motion is None else motion.moved(points_mm)


def demand_labels(path: Path, volume: StoredVolume) -> None:
    """Refuse a volume that is no segmentation.

    Args:
        path: file to name in the error.
        volume: content of the file.

    Raises:
        InputError: the volume holds more than one value a voxel, or values that are no whole numbers from 0 on.
    """
    if volume.values.ndim != 3:
        found = f"an array of shape {volume.values.shape}"
        raise InputError(path, found=found, expected="shape (i, j, k)", advice="Write one label a voxel.")
    count, example = 0, 0.0
    for slab in volume.slabs():
        values = np.asarray(slab, dtype=np.float64)
        wrong = ~np.isfinite(values) | (values < 0) | (values > _LARGEST) | (values != np.round(values))
        if wrong.any():
            example = example if count else float(values[wrong][0])
            count += int(wrong.sum())
    if count:
        raise InputError(
            path,
            found=f"{count} values that are no labels, such as {example:g}",
            expected="whole numbers, 0 for no region",
            advice="Give the segmentation, not a probability or intensity image.",
        )


def _labels_at(volume: StoredVolume, points_mm: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return labels of the nearest voxels to world points, shape (..., 3); 0 outside the volume."""
    index = np.rint(voxel_indices(volume.affine_mm, points_mm)).astype(np.int64)
    within = np.all((index >= 0) & (index < volume.values.shape), axis=-1)
    found = np.zeros(within.shape, dtype=np.int64)
    found[within] = volume.values[tuple(index[within].T)].astype(np.int64)
    return found
