"""Regions to be written as RTSTRUCT and SEG: masks, and their way from the elastogram's grid to other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.dicom_out.image_grid import ImageGrid, nearest_on, upright

type RegionKind = Literal["stiff", "soft", "informed", "forecast"]

COLOURS: Final[dict[RegionKind, tuple[int, int, int]]] = {
    "stiff": (230, 60, 40),
    "soft": (40, 120, 230),
    "informed": (120, 200, 80),
    "forecast": (240, 170, 30),
}
"""Red, green and blue, 0 to 255, in which viewers draw regions."""


@dataclass(frozen=True, slots=True)
class RegionMask:
    """Region on voxels.

    Attributes:
        name: name, at most 16 ASCII characters, which planning systems show and keep.
        words: description, at most 64 characters.
        kind: kind, by which it is coloured.
        mask: voxels inside, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        algorithm: method by which it was found, in words.
    """

    name: str
    words: str
    kind: RegionKind
    mask: NDArray[np.bool_]
    affine_mm: NDArray[np.float64]
    algorithm: str = "palpate"

    @property
    def volume_ml(self) -> float:
        """Volume of the voxels inside, millilitres."""
        return float(self.mask.sum() * abs(np.linalg.det(self.affine_mm[:3, :3])) / 1000.0)


def on_grid(
    regions: Sequence[RegionMask], grid: ImageGrid, back_mm: NDArray[np.float64]
) -> tuple[tuple[RegionMask, ...], tuple[str, ...]]:
    """Return regions on the planes of images: a voxel lies in a region where its centre does.

    Args:
        regions: regions on their own voxels.
        grid: planes of the images.
        back_mm: world points of the images to those of the regions, shape (4, 4).

    Returns:
        Regions with a voxel at least, and the names of those that fall between the centres of all voxels.
    """
    outside = np.False_
    placed = [
        replace(one, mask=nearest_on(one.mask, one.affine_mm, grid, back_mm, outside), affine_mm=grid.affine_mm)
        for one in regions
    ]
    kept = tuple(one for one in placed if one.mask.any())
    return kept, tuple(one.name for one in placed if not one.mask.any())


def upright_region(region: RegionMask) -> RegionMask:
    """Return a region on its own grid with rows and columns turned the way images are."""
    mask, affine_mm = upright(region.mask, region.affine_mm)
    return replace(region, mask=mask, affine_mm=affine_mm)
