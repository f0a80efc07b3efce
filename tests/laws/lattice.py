"""The symmetries of a voxel lattice: what is true of a box must be true of the box laid on another side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Turn:
    """A rotation or reflection that maps voxel axes onto voxel axes.

    Attributes:
        axes: axis of the old box that becomes each axis of the new one, a permutation of 0, 1, 2.
        flips: for each new axis, whether it runs backwards.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def lengths[T: np.generic](self, values: NDArray[T]) -> NDArray[T]:
        """Per-axis quantities without a sign, such as extents and edges, shape (3,)."""
        return values[list(self.axes)]

    def scalars[T: np.generic](self, volume: NDArray[T]) -> NDArray[T]:
        """A volume of scalars, shape (i, j, k, ...)."""
        rest = range(3, volume.ndim)
        return np.flip(volume.transpose(*self.axes, *rest), [axis for axis in range(3) if self.flips[axis]])

    def vectors[T: np.generic](self, volume: NDArray[T]) -> NDArray[T]:
        """A volume of vectors with components along the voxel axes, shape (i, j, k, 3)."""
        signs = np.where(self.flips, -1.0, 1.0)
        return np.asarray(self.scalars(volume)[..., list(self.axes)] * signs)


TURNS = (
    Turn((1, 2, 0), (False, False, False)),
    Turn((0, 2, 1), (False, True, False)),
    Turn((2, 1, 0), (True, False, True)),
)
"""A permutation, one with a turn by a right angle, and a reflection."""
