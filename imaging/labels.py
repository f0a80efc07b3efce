"""Labelled regions of the anatomy on the voxels of a wave field.

A voxel of the wave field is larger than one of the segmentation and may lie across a border, so that it belongs to
each region by a share: the part of 27 points spread through it that carry the label. Label 0 is no region.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.errors import InputError
from palpate.imaging.nifti import Volume, read_nifti

_OFFSETS = np.array(list(product((-1.0, 0.0, 1.0), repeat=3))) / 3.0
"""Points within a voxel, in voxels from its centre."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Shares of labelled regions.

    Attributes:
        numbers: the labels, ascending, shape (R,).
        shares: W, share of each region in each voxel, shape (N, R); rows sum to at most one.
    """

    numbers: NDArray[np.int64]
    shares: sparse.csr_matrix


def no_regions(voxels: int) -> Regions:
    """Of an anatomy that nobody labelled.

    Args:
        voxels: N.
    """
    return Regions(np.zeros(0, dtype=np.int64), sparse.csr_matrix((voxels, 0)))


def read_regions(path: Path, mask: NDArray[np.bool_], affine_mm: NDArray[np.float64]) -> Regions:
    """Shares of a segmentation's regions in the voxels of a mask.

    Args:
        path: NIfTI of whole numbers in the same world coordinates.
        mask: shape (i, j, k); its N voxels in C order.
        affine_mm: voxel indices of the mask to world RAS millimetres, shape (4, 4).

    Raises:
        InputError: unreadable, not a volume of whole numbers, or no label lies in the mask.
    """
    volume = read_nifti(path)
    _demand_labels(path, volume)
    points = np.argwhere(mask)[:, None] + _OFFSETS
    inside = _labels_at(volume, points @ affine_mm[:3, :3].T + affine_mm[:3, 3])
    numbers = np.unique(inside[inside > 0])
    if not numbers.size:
        raise InputError(
            path,
            found="no label inside the wave field's mask",
            expected="a segmentation that overlaps it in world coordinates (RAS, mm)",
            advice="Register the segmentation to the scan, or leave the labels out.",
        )
    counts = [(inside == number).mean(axis=1) for number in numbers]
    return Regions(numbers, sparse.csr_matrix(np.stack(counts, axis=1)))


def _demand_labels(path: Path, volume: Volume) -> None:
    values = volume.values
    if values.ndim != 3:
        found = f"an array of shape {values.shape}"
        raise InputError(path, found=found, expected="shape (i, j, k)", advice="Write one label a voxel.")
    wrong = ~np.isfinite(values) | (values < 0) | (values != np.round(values))
    if wrong.any():
        raise InputError(
            path,
            found=f"{int(wrong.sum())} values that are no labels, such as {values[wrong][0]:g}",
            expected="whole numbers, 0 for no region",
            advice="Give the segmentation, not a probability or intensity image.",
        )


def _labels_at(volume: Volume, points_mm: NDArray[np.float64]) -> NDArray[np.int64]:
    """Labels of the nearest voxels to world points, shape (..., 3); 0 outside the volume."""
    inverse = np.linalg.inv(volume.affine_mm)
    index = np.rint(points_mm @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.int64)
    within = np.all((index >= 0) & (index < volume.values.shape), axis=-1)
    found = np.zeros(within.shape, dtype=np.int64)
    found[within] = volume.values[tuple(index[within].T)].astype(np.int64)
    return found
