"""Outlines of a region on one plane along the edges of its pixels, so that reading them back gives the same pixels.

Pixels that touch at a corner only belong to different outlines. A hole is cut by a keyhole, a channel without width
there and back, as DICOM asks of closed contours (PS3.3, C.8.8.6.3): readers that join contours by the even-odd rule and
readers that fill each contour find the same pixels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

type Corners = NDArray[np.float64]
"""Corners of an outline in order, columns and rows, 0 being the outer corner of the first pixel; shape (n, 2)."""

_STEPS: Final = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Steps along columns and rows; each turns the one before it towards the inside."""
_WITHIN_PIXEL: Final = 0.25
"""Place of a channel between the edges of its row of pixels: their centres, which are asked for, stay clear of it."""


def outlines(inside: NDArray[np.bool_]) -> list[Corners]:
    """Return the outlines of a region, one for each part that is connected over edges of pixels, holes cut out.

    Args:
        inside: pixels of the region, shape (rows, columns).
    """
    loops = [_corners(loop) for loop in _loops(inside)]
    parts = [loop for loop in loops if _area(loop) > 0.0]
    # From the left: what lies left of a hole is its part's edge or a hole that was cut already.
    for hole in sorted((loop for loop in loops if _area(loop) < 0.0), key=lambda loop: float(loop[:, 0].min())):
        _cut(parts, hole, inside)
    return parts


def _loops(inside: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """Return closed ways along edges of pixels with the region on one side, corner by corner."""
    ways = _edges(inside)
    loops = []
    while ways:
        start = next(iter(ways))
        here, step, loop = start, next(iter(ways[start])), [start]
        while True:
            ways[here].discard(step)
            if not ways[here]:
                del ways[here]
            here = (here[0] + _STEPS[step][0], here[1] + _STEPS[step][1])
            if here == start and _next(ways.get(here, set()), step) is None:
                break
            following = _next(ways[here], step)
            assert following is not None
            step = following
            loop.append(here)
        loops.append(loop)
    return loops


def _next(steps: set[int], before: int) -> int | None:
    """Return the step that stays with the same pixel where a corner offers two."""
    if not steps:
        return None
    towards = (before + 1) % 4
    return towards if towards in steps else next(iter(steps))


def _edges(inside: NDArray[np.bool_]) -> dict[tuple[int, int], set[int]]:
    """Return the steps along the region's edge that start at each corner."""
    padded = np.pad(inside, 1)
    rows, columns = np.nonzero(inside)
    ways: dict[tuple[int, int], set[int]] = {}
    # Neighbour (row, column) across an edge, and the corner at which the step along that edge starts.
    for step, ((down, right), (column, row)) in enumerate(
        zip(((-1, 0), (0, 1), (1, 0), (0, -1)), ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True)
    ):
        free = ~padded[rows + 1 + down, columns + 1 + right]
        for corner in zip((columns[free] + column).tolist(), (rows[free] + row).tolist(), strict=True):
            ways.setdefault(corner, set()).add(step)
    return ways


def _corners(loop: list[tuple[int, int]]) -> Corners:
    """Return a way without the points at which it goes straight on."""
    points = np.array(loop, dtype=np.float64)
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[np.any(before != after, axis=1)]


def _area(corners: Corners) -> float:
    following = np.roll(corners, -1, axis=0)
    return float(0.5 * np.sum(corners[:, 0] * following[:, 1] - following[:, 0] * corners[:, 1]))


def _cut(parts: list[Corners], hole: Corners, inside: NDArray[np.bool_]) -> None:
    """Join a hole to the part around it by a channel to the left."""
    ends = np.roll(hole, -1, axis=0)
    left = float(hole[:, 0].min())
    at = int(np.flatnonzero((hole[:, 0] == left) & (ends[:, 0] == left))[0])
    row = int(min(hole[at, 1], ends[at, 1]))
    height = row + _WITHIN_PIXEL
    outside = np.flatnonzero(~inside[row, : int(left)])
    border = float(outside[-1] + 1) if len(outside) else 0.0
    channel = np.array([[border, height], [left, height]])
    turned = np.roll(hole, -(at + 1), axis=0)
    for number, part in enumerate(parts):
        following = np.roll(part, -1, axis=0)
        spans = np.minimum(part[:, 1], following[:, 1]) < height
        spans &= np.maximum(part[:, 1], following[:, 1]) > height
        met = np.flatnonzero((part[:, 0] == border) & (following[:, 0] == border) & spans)
        if len(met):
            place = int(met[0]) + 1
            parts[number] = np.concatenate([part[:place], channel, turned, channel[::-1], part[place:]])
            return
    raise AssertionError("a hole without a part around it")
