"""Images of one slice each, sorted into a stack by their positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.slice_grid import SliceGrid, slice_grid
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.imaging.dicom.time_order import demand_numbered


@dataclass(frozen=True, slots=True)
class Stack:
    """Parallel slices, evenly spaced, each with equally many images.

    Attributes:
        grid: grid on which they lie.
        slices: the images of each slice, k tuples of the same length; image n of every slice belongs together.
    """

    grid: SliceGrid
    slices: tuple[tuple[Instance, ...], ...]

    @property
    def images_per_slice(self) -> int:
        """Number of images that each slice has."""
        return len(self.slices[0])

    def volume(self, number: int) -> NDArray[np.float64]:
        """Return the stored values of the image of that number of every slice, shape (i, j, k).

        Raises:
            InputError: pixels cannot be read, or have another size than their header says.
        """
        return np.stack([self.grid.pixels(images[number]) for images in self.slices], axis=2)

    def chosen(self, numbers: Sequence[int]) -> Stack:
        """Return the stack of some images of each slice.

        Args:
            numbers: positions among the images of a slice.
        """
        return Stack(self.grid, tuple(tuple(images[number] for number in numbers) for images in self.slices))

    def parted(self, belongs: Callable[[Instance], bool]) -> tuple[Stack, Stack]:
        """Return the stacks of the images that satisfy a condition, and of the others, in the order they have."""
        first, second = (
            tuple(tuple(one for one in images if belongs(one) == wanted) for images in self.slices)
            for wanted in (True, False)
        )
        return Stack(self.grid, first), Stack(self.grid, second)


def stack_slices(instances: Sequence[Instance]) -> Stack:
    """Sort images of one grid into slices; the images of a slice keep the order in which they are given.

    Raises:
        InputError: images lie on no common grid, or a slice has more or fewer images than another.
    """
    grid = slice_grid(instances)
    slices = grid.by_slice(instances)
    counts = [len(images) for images in slices]
    usual = max(sorted(set(counts)), key=counts.count)
    for number, images in enumerate(slices, start=1):
        if len(images) > usual:
            demand_numbered(images, "the images of a slice")
        if len(images) != usual:
            raise InputError(
                images[0].place,
                found=f"{len(images)} images of slice {number} of {len(slices)}",
                expected=f"{usual}, as of the other slices",
                advice=FULL_EXPORT,
            )
    return Stack(grid, tuple(tuple(images) for images in slices))
