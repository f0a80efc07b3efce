"""Map of labels: one whole number a voxel, each number a region with a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.config.region_choice import names_beside
from palpate.errors import InputError
from palpate.imaging.anatomy.labels import demand_labels
from palpate.imaging.files.nifti import StoredVolume, demand_scanner_world, read_stored, same_grid, voxel_volume_ml
from palpate.imaging.region_values.label_names import demand_names, read_label_names


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Map of labels.

    Attributes:
        where: its file, by a name that errors may repeat.
        labels: number of each voxel's label, 0 for none, of an integer type, shape (i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        names: name of each label that some voxel has, by its number, ascending.
        counts: number of voxels of each label, by its number.
    """

    where: Path | str
    labels: NDArray[np.integer]
    affine_mm: NDArray[np.float64]
    names: Mapping[int, str]
    counts: Mapping[int, int]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, millilitres."""
        return voxel_volume_ml(self.affine_mm)

    def on_grid(self, affine_mm: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
        """Return whether the labels lie on the voxels of a grid.

        Args:
            affine_mm: voxel indices of the grid to world RAS millimetres, shape (4, 4).
            shape: number of voxels along i, j, k.
        """
        return self.labels.shape == shape and same_grid(self.affine_mm, affine_mm, shape)


def read_label_map(path: Path, table: Path | None = None) -> LabelMap:
    """Read labels and their names.

    Args:
        path: segmentation, NIfTI or .mgz of whole numbers, one a voxel.
        table: table of names; None takes one that lies beside the labels, and names labels by their numbers where
            there is none.

    Raises:
        InputError: a file is unreadable; values are no labels; no voxel has one; a label has no name in the table; or
            the file states that its coordinates are a template's.
    """
    volume = read_stored(path)
    demand_labels(path, volume)
    demand_scanner_world(path, volume, "segmentation")
    labels = _whole(volume)
    counted = np.bincount(labels.ravel()) if labels.max() < labels.size else None
    if counted is None:
        numbers, sizes = np.unique(labels, return_counts=True)
    else:
        numbers = np.flatnonzero(counted)
        sizes = counted[numbers]
    counts = {int(number): int(size) for number, size in zip(numbers, sizes, strict=True) if number > 0}
    if not counts:
        raise InputError(
            path,
            found="no voxel with a label above 0",
            expected="at least one region",
            advice="Check the segmentation.",
        )
    table = names_beside(path) if table is None else table
    names = {number: f"label {number}" for number in counts}
    if table is not None:
        names = read_label_names(table)
        demand_names(path, list(counts), names, table)
    return LabelMap(path, labels, volume.affine_mm, {number: names[number] for number in counts}, counts)


def _whole(volume: StoredVolume) -> NDArray[np.integer]:
    """Return labels in a small integer type, in C order."""
    largest = max(float(np.asarray(one, dtype=np.float64).max()) for one in volume.slabs())
    return np.ascontiguousarray(volume.values, dtype=np.min_scalar_type(int(largest)))
