"""Image on which a region of a DICOM file was drawn, where several images share its frame of reference.

Two things tell: the series that the file names, and where its voxels or planes lie. Segmentations keep the voxels of
the image under them, but often only the slices that a segment reaches, and in another order of the axes; contours lie
on the slices of the image, along one of its axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.deidentify.identifiers import same_identifier
from palpate.imaging.deidentify.key import Key
from palpate.imaging.regions.contours import ContourShape
from palpate.imaging.regions.region import DrawnRegion, VoxelShape

type World = Literal["elastogram", "t1"]

_OFF_VOXEL: Final = 0.05
"""Distance from whole voxels up to which two lattices are one, voxels."""
_OFF_SLICE: Final = 0.1
"""Distance from a slice up to which a contour lies on it, slices; files keep 0.01 to 0.1 mm of each coordinate."""
_PARALLEL: Final = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class SessionImage:
    """Image of a session on which regions may have been drawn.

    Attributes:
        world: world of its coordinates.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        shape: number of voxels along i, j, k.
        series_uid: series of its DICOM files, as the record of ingest has it; empty where it states none.
    """

    world: World
    affine_mm: NDArray[np.float64]
    shape: tuple[int, ...]
    series_uid: str


def drawn_on(region: DrawnRegion, images: Sequence[SessionImage], key: Key | None) -> World | None:
    """Return the world of the one image on which a region was drawn; None where none or several may be it.

    Args:
        region: region of a DICOM file.
        images: images that may lie in its frame of reference.
        key: key that may have made identifiers of the record; None where nobody has it.
    """
    named = {one for one in images if any(same_identifier(uid, one.series_uid, key) for uid in region.series_uids)}
    fitting = {one for one in images if _lies_on(region, one)} or {one for one in images if _on_slices(region, one)}
    found = named & fitting if named and fitting else named | fitting
    return found.pop().world if len(found) == 1 else None


def _lies_on(region: DrawnRegion, image: SessionImage) -> bool:
    """Return whether the voxels of a region are voxels of an image, in any order and direction of the axes."""
    if not isinstance(region.shape, VoxelShape):
        return False
    volume = region.shape.volume
    between = np.linalg.inv(image.affine_mm) @ volume.affine_mm
    turn, start = np.rint(between[:3, :3]), np.rint(between[:3, 3])
    if np.any(np.abs(turn).sum(axis=0) != 1.0) or np.any(np.abs(turn).sum(axis=1) != 1.0):
        return False
    corners = np.array(list(product(*((0.0, size - 1.0) for size in volume.values.shape))))
    off = corners @ (between[:3, :3] - turn).T + between[:3, 3] - start
    index = corners @ turn.T + start
    within = np.all(index >= 0.0) and np.all(index < np.array(image.shape))
    return bool(within and np.abs(off).max() <= _OFF_VOXEL)


def _on_slices(region: DrawnRegion, image: SessionImage) -> bool:
    """Return whether the planes of a region are slices of an image, along any of its axes."""
    planes = _planes(region)
    if planes is None:
        return False
    normal, points_mm = planes
    to_index = np.linalg.inv(image.affine_mm)
    for axis, size in enumerate(image.shape):
        across = to_index[axis, :3]
        if abs(float(across @ normal)) < _PARALLEL * float(np.linalg.norm(across)):
            continue
        index = points_mm @ across + to_index[axis, 3]
        off = np.abs(index - np.rint(index)).max()
        if off <= _OFF_SLICE and index.min() >= -_OFF_SLICE and index.max() <= size - 1 + _OFF_SLICE:
            return True
    return False


def _planes(region: DrawnRegion) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the normal of a region's planes and points that span them, world RAS, mm; None where it has no planes."""
    shape = region.shape
    if isinstance(shape, ContourShape):
        rings = zip(shape.planes_mm, shape.polygons, strict=True)
        points = np.concatenate([np.insert(one.begin, 2, height, axis=1) for height, one in rings])
        return shape.axes[2], points @ shape.axes
    if isinstance(shape, VoxelShape):
        affine_mm = shape.volume.affine_mm
        # Segmentations are read with their slices along the first axis.
        count, rows, columns = shape.volume.values.shape
        corners = np.array(list(product(range(count), (0, rows - 1), (0, columns - 1))), dtype=np.float64)
        normal = np.cross(affine_mm[:3, 1], affine_mm[:3, 2])
        return normal / np.linalg.norm(normal), corners @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    return None
