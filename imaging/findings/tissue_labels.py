"""Labels of tissue on the voxels of the maps, whose medians are references of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.region_values.weights import WeightedRegion

_MOST: Final = 0.5
"""Share of a voxel from which it has a label."""


@dataclass(frozen=True, slots=True)
class TissueLabels:
    """Labels of tissue on the voxels of the maps.

    Attributes:
        numbers: number of each voxel's label, 0 for none, shape (i, j, k).
        names: name of each label by its number.
    """

    numbers: NDArray[np.integer]
    names: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, regions: Sequence[WeightedRegion], voxels: NDArray[np.int32], shape: tuple[int, ...]) -> Self:
        """Return the label that holds at least half of each voxel.

        Args:
            regions: labels on the voxels of a posterior, each with its number.
            voxels: indices of the N voxels, shape (N, 3).
            shape: shape (i, j, k) of the grid.
        """
        numbers = np.zeros(shape, dtype=np.int32)
        for one in regions:
            numbers[tuple(voxels[one.shares >= _MOST].T)] = one.number or 0
        return cls(numbers, {one.number: one.name for one in regions if one.number})

    def on_grid(self, shape: tuple[int, ...]) -> NDArray[np.integer]:
        """Return the numbers, shape (i, j, k).

        Args:
            shape: shape of the grid of the maps.

        Raises:
            InputError: the labels have another shape.
        """
        if self.numbers.shape != shape:
            raise InputError(
                "labels",
                found=f"shape {self.numbers.shape}",
                expected=f"the grid of the maps, {shape}",
                advice="Carry the labels onto the grid of the maps first.",
            )
        return self.numbers

    def name_of(self, mask: NDArray[np.bool_]) -> str:
        """Return the name of the label that most voxels of a mask have; empty where most have none.

        Args:
            mask: mask with at least one voxel, shape (i, j, k).
        """
        numbers, counts = np.unique(self.numbers[mask], return_counts=True)
        return self.names.get(int(numbers[counts.argmax()]), "")
