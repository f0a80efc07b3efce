"""Slices of a volume in radiological orientation and true proportions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_POSITIVE = ("R", "A", "S")
_NEGATIVE = ("L", "P", "I")


@dataclass(frozen=True, slots=True)
class SliceView:
    """Orientation, proportions and window of a grid's slices, perpendicular to its third axis.

    Attributes:
        transposed: whether i runs down the picture instead of across it.
        flip_across: whether the axis across the picture is reversed.
        flip_down: whether the axis down the picture is reversed.
        labels: directions of the patient at the left, right, top and bottom edge of the picture.
        aspect: height over width of a pixel.
        size_mm: width and height of the picture, mm.
        window: range of the voxels along i and j that are shown.
    """

    transposed: bool
    flip_across: bool
    flip_down: bool
    labels: tuple[str, str, str, str]
    aspect: float
    size_mm: tuple[float, float]
    window: tuple[slice, slice]

    @classmethod
    def of(cls, affine_mm: NDArray[np.float64], region: NDArray[np.bool_]) -> SliceView:
        """Choose the view of a grid, cut to a region and two voxels around it.

        Args:
            affine_mm: voxel indices to world RAS millimetres, shape (4, 4); may be oblique.
            region: mask of the region that must be seen, shape (i, j, k); where it is empty all of the grid is shown.
        """
        edges = affine_mm[:3, :3]
        sizes_mm = np.linalg.norm(edges, axis=0)
        main = _main_axes(edges / sizes_mm)
        transposed = main[0] > main[1]
        across, down = (1, 0) if transposed else (0, 1)
        window = (_extent(region.any(axis=(1, 2))), _extent(region.any(axis=(0, 2))))
        counts = [part.stop - part.start for part in window]
        # Left of the picture shows the patient's right or front; the top shows front or head.
        flip_across = edges[main[across], across] > 0.0
        flip_down = edges[main[down], down] > 0.0
        return cls(
            transposed=transposed,
            flip_across=bool(flip_across),
            flip_down=bool(flip_down),
            labels=(_POSITIVE[main[across]], _NEGATIVE[main[across]], _POSITIVE[main[down]], _NEGATIVE[main[down]]),
            aspect=float(sizes_mm[down] / sizes_mm[across]),
            size_mm=(float(counts[across] * sizes_mm[across]), float(counts[down] * sizes_mm[down])),
            window=window,
        )

    def picture[T: np.generic](self, volume: NDArray[T], index: int) -> NDArray[T]:
        """Return one slice as rows from top to bottom and columns from left to right."""
        plane = volume[self.window[0], self.window[1], index]
        plane = plane if self.transposed else plane.T
        plane = plane[:, ::-1] if self.flip_across else plane
        return plane[::-1] if self.flip_down else plane


def _extent(seen: NDArray[np.bool_]) -> slice:
    """From two voxels before the first that is seen to two after the last; all where none is."""
    places = np.flatnonzero(seen)
    if not len(places):
        return slice(0, len(seen))
    return slice(max(0, int(places[0]) - 2), min(len(seen), int(places[-1]) + 3))


def _main_axes(directions: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return for each grid axis the world axis it runs along most, each world axis once."""
    left = np.abs(directions)
    main = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(int(np.argmax(left)), left.shape)
        main[axis] = int(world)
        left[world, :] = -1.0
        left[:, axis] = -1.0
    return main[0], main[1], main[2]


def chosen_slices(region: NDArray[np.bool_], count: int = 3) -> tuple[int, ...]:
    """Choose slices through the lower, middle and upper part of a region, by its volume.

    Args:
        region: mask of the region, shape (i, j, k).
        count: number of slices.
    """
    area = region.sum(axis=(0, 1)).astype(float)
    if not area.any():
        return (region.shape[2] // 2,)
    reached = np.cumsum(area) / area.sum()
    shares = (np.arange(count) + 0.5) / count
    return tuple(sorted({int(np.searchsorted(reached, share)) for share in shares}))
