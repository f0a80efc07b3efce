"""Drawn region: a shape in the patient's world, which tells of any point whether it lies inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.files.nifti import StoredVolume, same_grid, voxel_indices
from palpate.quality_warning import QualityWarning

INSIDE: Final = 0.5
"""Share from which a point counts as inside."""


class Shape(Protocol):
    """Shape in world RAS millimetres."""

    @property
    def volume_mm3(self) -> float:
        """Volume, cubic millimetres."""
        ...

    @property
    def box_mm(self) -> NDArray[np.float64]:
        """Lowest and highest corner of a box that holds the shape, world RAS millimetres, shape (2, 3)."""
        ...

    def shares(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far points belong to the shape, 0 to 1, shape (...).

        Args:
            points_mm: points in world RAS millimetres, shape (..., 3).
        """
        ...


@dataclass(frozen=True, slots=True)
class DrawnRegion:
    """Region that a user drew.

    Attributes:
        where: its file, by a name that errors may repeat.
        kind: "NIfTI", "SEG", "RTSTRUCT" or "sphere".
        shape: its shape in the world.
        number: number of the segment or ROI; None where the file is NIfTI.
        name: name of the segment or ROI, of the words that may be repeated; empty where there are none.
        frame_uid: frame of reference of its coordinates; empty where the file is NIfTI.
        warnings: warnings about how it was drawn.
        facts: further entries of the record.
        person: number, name and birth date of the file's patient; only ever compared. Empty where the file is NIfTI.
        series_uids: series of the images that the file refers to; only ever compared.
    """

    where: Path | str
    kind: str
    shape: Shape
    number: int | None = None
    name: str = ""
    frame_uid: str = ""
    warnings: tuple[QualityWarning, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    person: tuple[str, ...] = field(default=(), repr=False)
    series_uids: tuple[str, ...] = field(default=(), repr=False)

    def on_grid(self, affine_mm: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
        """Return whether the region is drawn on the voxels of a grid.

        Args:
            affine_mm: voxel indices of the grid to world RAS millimetres, shape (4, 4).
            shape: number of voxels along i, j, k.
        """
        if not isinstance(self.shape, VoxelShape):
            return False
        own = self.shape.volume
        return own.values.shape == shape and same_grid(own.affine_mm, affine_mm, shape)

    def inside(self, affine_mm: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return the voxels of a grid whose centres lie in the region, shape (i, j, k).

        Args:
            affine_mm: voxel indices of the grid to world RAS millimetres, shape (4, 4).
            shape: number of voxels along i, j, k.
        """
        found = np.zeros(shape, dtype=bool)
        within = np.moveaxis(np.indices(shape[:2], dtype=np.float64), 0, -1)
        for k in range(shape[2]):
            index = np.concatenate([within, np.full((*shape[:2], 1), float(k))], axis=-1)
            found[..., k] = self.shape.shares(index @ affine_mm[:3, :3].T + affine_mm[:3, 3]) >= INSIDE
        return found


@dataclass(frozen=True, slots=True)
class VoxelShape:
    """Shape that voxels hold.

    Attributes:
        volume: voxels of any numeric type, shape (i, j, k), and their affine.
        full: value of a voxel that lies wholly inside.
    """

    volume: StoredVolume
    full: float

    @property
    def volume_mm3(self) -> float:
        """Volume, cubic millimetres; each voxel counts by its share."""
        voxel_mm3 = abs(float(np.linalg.det(self.volume.affine_mm[:3, :3])))
        total = sum(float(np.asarray(one, dtype=np.float64).sum()) for one in self.volume.slabs())
        return total / self.full * voxel_mm3

    @property
    def box_mm(self) -> NDArray[np.float64]:
        """Lowest and highest corner of a box that holds the voxels inside, world RAS millimetres, shape (2, 3)."""
        inside = np.asarray(self.volume.values, dtype=bool)
        spans = [np.flatnonzero(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        ends = [(one[0] - 0.5, one[-1] + 0.5) for one in spans]
        corners = np.array(list(product(*ends)))
        corners_mm = corners @ self.volume.affine_mm[:3, :3].T + self.volume.affine_mm[:3, 3]
        return np.stack([corners_mm.min(axis=0), corners_mm.max(axis=0)])

    def shares(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of the voxel in which each point lies, shape (...); 0 outside the grid.

        Args:
            points_mm: points in world RAS millimetres, shape (..., 3).
        """
        values = self.volume.values
        index = np.rint(voxel_indices(self.volume.affine_mm, points_mm)).astype(np.int64)
        within = np.all((index >= 0) & (index < values.shape), axis=-1)
        found = np.zeros(within.shape)
        found[within] = np.asarray(values[tuple(index[within].T)], dtype=np.float64) / self.full
        return found
