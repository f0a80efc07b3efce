"""Planning image below the maps: cut to the head, averaged down where it is finer than needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.compact_nifti import compact_image
from palpate.imaging.files.maps import Map
from palpate.service.report.scene import LARGEST, QUICK, SceneImage, grey

_AIR: Final = 0.06
"""Brightness over that of bright tissue below which voxels at the border of the image are air."""
_MARGIN_MM: Final = 4.0


def planning_image(anatomy: Map, voxel_mm: float) -> SceneImage:
    """Return the whole head as an image of 8-bit greys, with a preview where it is large.

    Args:
        anatomy: planning image, in the world of the maps.
        voxel_mm: edge below which voxels are averaged, mm.
    """
    cut = without_air(anatomy)
    averaged = average_down(cut, voxel_mm)
    while averaged.values.size > LARGEST:
        voxel_mm *= 1.25
        averaged = average_down(cut, voxel_mm)
    greys = replace(averaged, values=grey(averaged.values).astype(np.float32))
    return SceneImage("anatomy", "T1-weighted", compact_image(greys.values, greys.affine_mm), _preview(greys))


def _preview(greys: Map) -> bytes | None:
    """Return the image averaged down for the first picture; None where it is small enough itself."""
    coarse, voxel_mm = greys, float(np.linalg.norm(greys.affine_mm[:3, :3], axis=0).min())
    while coarse.values.size > QUICK:
        voxel_mm *= 1.25
        coarse = average_down(greys, voxel_mm)
    return None if coarse is greys else compact_image(np.rint(coarse.values), coarse.affine_mm)


def without_air(anatomy: Map) -> Map:
    """Return the part of an image that holds everything brighter than air, with a margin.

    Args:
        anatomy: image to cut.
    """
    filled = np.nan_to_num(anatomy.values)
    bright = filled > _AIR * np.percentile(filled, 99.5)
    margin = np.ceil(_MARGIN_MM / np.linalg.norm(anatomy.affine_mm[:3, :3], axis=0)).astype(int)
    box = []
    for axis in range(3):
        # A line of noise is no tissue: half a percent of the plane must be bright.
        share = bright.mean(axis=tuple(n for n in range(3) if n != axis))
        seen = np.flatnonzero(share > 0.005)
        first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (0, bright.shape[axis] - 1)
        box.append(slice(max(0, first - margin[axis]), min(bright.shape[axis], last + 1 + margin[axis])))
    affine_mm = anatomy.affine_mm.copy()
    affine_mm[:3, 3] += affine_mm[:3, :3] @ [one.start for one in box]
    return Map(anatomy.values[tuple(box)], affine_mm, anatomy.units, anatomy.description)


def average_down(image: Map, voxel_mm: float) -> Map:
    """Average over whole blocks of voxels, so that no edge is shorter than about `voxel_mm`.

    Args:
        image: image to average.
        voxel_mm: wanted edge of a voxel, millimetres.
    """
    sizes_mm = np.linalg.norm(image.affine_mm[:3, :3], axis=0)
    block = np.clip(np.floor(voxel_mm / sizes_mm + 0.25), 1, image.values.shape).astype(int)
    if np.all(block == 1):
        return image
    count = np.array(image.values.shape) // block
    kept = image.values[tuple(slice(0, n) for n in count * block)]
    blocks = kept.reshape(count[0], block[0], count[1], block[1], count[2], block[2])
    affine_mm = image.affine_mm.copy()
    affine_mm[:3, :3] *= block
    affine_mm[:3, 3] += image.affine_mm[:3, :3] @ ((block - 1) / 2.0)
    return Map(blocks.mean(axis=(1, 3, 5)), affine_mm, image.units, image.description)


def resampled(image: Map, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an image at points of the world by the nearest voxel; NaN outside.

    Args:
        image: image to sample.
        points_mm: points, R A S millimetres, shape (..., 3).
    """
    inverse = np.linalg.inv(image.affine_mm)
    index = np.floor(points_mm @ inverse[:3, :3].T + inverse[:3, 3] + 0.5).astype(int)
    inside = np.all((index >= 0) & (index < image.values.shape), axis=-1)
    found = np.full(points_mm.shape[:-1], np.nan)
    found[inside] = image.values[tuple(index[inside].T)]
    return found
