"""Mid-plane of a head or body: where left meets right on a planning image.

Along each line from left to right, the middle between the first and the last voxel of the head is a point of the
mid-plane. Where the lines do not yet run along the plane's own normal, the middles of a long head lie between its plane
and the one that is wanted, so lines and plane are found in turns. Lines that the border of the image cuts have no middle.
An ear, a nose or a coil seen on one side moves few of the points, and a trimmed fit passes over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_AIR: Final = 0.1
"""Brightness over that of bright tissue below which a voxel is air."""
_VOXEL_MM: Final = 3.0
"""Edge to which finer voxels are thinned out, mm."""
_LINE_MM: Final = 5.0
"""Width of a line, mm."""
_LEAST_LINES: Final = 60
_LEAST_WIDTH: Final = 0.6
"""Width of a line over the widest one from which it counts: shorter ones end in the neck or the top of the head."""
_TURNS: Final = 15
_ROUNDS: Final = 3
_LARGEST_SPREAD_MM: Final = 6.0
"""Median distance of the lines' middles from the plane above which the image has no clear mid-plane, mm."""


@dataclass(frozen=True, slots=True)
class MidPlane:
    """Plane between left and right.

    Attributes:
        point_mm: a point of the plane, world R A S millimetres, shape (3,).
        normal: its unit normal, which points to the right of the patient, shape (3,).
    """

    point_mm: NDArray[np.float64]
    normal: NDArray[np.float64]

    def to_the_right_mm(self, point_mm: NDArray[np.float64]) -> float:
        """Return the distance of a point from the plane, positive on the right, mm.

        Args:
            point_mm: point, world R A S millimetres, shape (3,).
        """
        return float((point_mm - self.point_mm) @ self.normal)


def midplane_of(values: NDArray[np.floating], affine_mm: NDArray[np.float64]) -> MidPlane | None:
    """Return the mid-plane of the head on an image; None where the image shows none clearly.

    Args:
        values: planning image, shape (i, j, k).
        affine_mm: voxel indices to world R A S millimetres, shape (4, 4).
    """
    steps = np.maximum(1, np.round(_VOXEL_MM / np.linalg.norm(affine_mm[:3, :3], axis=0))).astype(int)
    coarse = values[:: steps[0], :: steps[1], :: steps[2]]
    index = np.argwhere(_head(coarse))
    if not len(index):
        return None
    border = np.any((index == 0) | (index == np.array(coarse.shape) - 1), axis=1)
    places_mm = (index * steps) @ affine_mm[:3, :3].T + affine_mm[:3, 3]
    plane: MidPlane | None = MidPlane(places_mm.mean(axis=0), np.array([1.0, 0.0, 0.0]))
    for _ in range(_TURNS):
        if plane is not None:
            plane = _next(plane, places_mm, border)
    return plane


def _head(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return the largest piece that is brighter than air."""
    filled = np.nan_to_num(values)
    bright = ndimage.binary_opening(filled > _AIR * np.percentile(filled, 99.5))
    pieces, count = ndimage.label(bright)
    if count == 0:
        return np.asarray(bright)
    return np.asarray(pieces == 1 + int(np.bincount(pieces.ravel())[1:].argmax()))


def _next(plane: MidPlane, places_mm: NDArray[np.float64], border: NDArray[np.bool_]) -> MidPlane | None:
    """Return the plane through the middles of lines along the normal of a plane; None where there is none.

    Args:
        plane: plane so far.
        places_mm: places of the head's voxels, shape (n, 3).
        border: whether each lies on the border of the image, shape (n,).
    """
    turned = _axes(plane.normal)
    own_mm = (places_mm - plane.point_mm) @ turned
    cells = np.floor(own_mm[:, 1:] / _LINE_MM).astype(int)
    _, line = np.unique(cells, axis=0, return_inverse=True)
    order = np.lexsort((own_mm[:, 0], line))
    first = np.flatnonzero(np.diff(line[order], prepend=-1))
    last = np.append(first[1:], len(order)) - 1
    ends = order[first], order[last]
    width_mm = own_mm[ends[1], 0] - own_mm[ends[0], 0]
    whole = (width_mm >= _LEAST_WIDTH * width_mm.max()) & ~border[ends[0]] & ~border[ends[1]]
    if whole.sum() < _LEAST_LINES:
        return None
    middles_mm = (own_mm[ends[0]] + own_mm[ends[1]])[whole] / 2.0
    solution = _fit(middles_mm)
    if np.median(np.abs(_away(middles_mm, solution))) > _LARGEST_SPREAD_MM:
        return None
    normal = np.array([1.0, -solution[1], -solution[2]])
    middle_mm = middles_mm.mean(axis=0)
    middle_mm[0] -= _away(middle_mm[None], solution)[0]
    return MidPlane(plane.point_mm + turned @ middle_mm, turned @ normal / np.linalg.norm(normal))


def _axes(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal and two directions across it as columns, shape (3, 3)."""
    up = np.array([0.0, 0.0, 1.0])
    front = np.cross(up, normal)
    front /= np.linalg.norm(front)
    return np.column_stack([normal, front, np.cross(normal, front)])


def _fit(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a, b, c of the plane u = a + b v + c w through most of the points, shape (3,)."""
    design = np.column_stack([np.ones(len(points_mm)), points_mm[:, 1:]])
    kept = np.ones(len(points_mm), dtype=bool)
    for _ in range(_ROUNDS):
        solution, *_ = np.linalg.lstsq(design[kept], points_mm[kept, 0])
        away_mm = np.abs(_away(points_mm, solution))
        kept = away_mm <= max(1.0, 3.0 * float(np.median(away_mm)))
    return np.asarray(solution)


def _away(points_mm: NDArray[np.float64], solution: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances of points from a plane along u, mm."""
    return np.asarray(points_mm[:, 0] - solution[0] - points_mm[:, 1:] @ solution[1:])
