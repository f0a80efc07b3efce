"""Images of one slice each, sorted into a stack by where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.geometry import affine_from, pixel_spacing_mm, slice_axes
from palpate.imaging.dicom.series import numbers

FULL_EXPORT: Final = "Export the complete series again from the scanner or archive."
_SPACING_TOLERANCE: Final = 0.02
_SAME_PLACE_MM: Final = 0.01


@dataclass(frozen=True, slots=True)
class Stack:
    """Parallel slices, evenly spaced, each with equally many images.

    Attributes:
        slices: for each slice, from the lowest along the normal i x j, its images in the order of InstanceNumber.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
    """

    slices: tuple[tuple[Instance, ...], ...]
    affine_mm: NDArray[np.float64]

    @property
    def images_per_slice(self) -> int:
        """How many images each slice has."""
        return len(self.slices[0])

    def volumes(self, number: int) -> NDArray[np.float64]:
        """Stored values of the image of that number of every slice, shape (i, j, k).

        Raises:
            InputError: pixels cannot be read, or have another size than their header says.
        """
        return np.stack([_pixels(images[number]).T for images in self.slices], axis=2)


def stack_slices(instances: Sequence[Instance]) -> Stack:
    """Sort images of one grid into slices.

    Raises:
        InputError: orientation, spacing, size or in-plane position change, slices are missing, a slice has more or
            fewer images than another, or an image number appears twice.
    """
    axes = slice_axes(instances[0])
    _demand_one_grid(instances, axes)
    corners = np.stack([numbers(one, "ImagePositionPatient", 3) for one in instances])
    heights = corners @ axes[:, 2]
    order = np.argsort(heights, kind="stable")
    starts = [0, *(np.flatnonzero(np.diff(heights[order]) > _SAME_PLACE_MM) + 1).tolist(), len(order)]
    groups = [[instances[n] for n in order[a:b]] for a, b in pairwise(starts)]
    lowest = np.array([heights[order[a]] for a in starts[:-1]])
    between_mm = even_spacing_mm([one[0].place for one in groups], lowest)
    slices = tuple(tuple(sorted(one, key=_image_number)) for one in groups)
    _demand_equal_counts(slices)
    edges_mm = np.append(pixel_spacing_mm(instances[0]), between_mm)
    return Stack(slices, affine_from(axes, edges_mm, corners[order[0]]))


def even_spacing_mm(places: Sequence[str], heights: NDArray[np.float64]) -> float:
    """The distance between slices.

    Args:
        places: what errors call each slice.
        heights: positions along the normal, ascending, shape (k,), millimetres.

    Raises:
        InputError: there is one slice only, two coincide, or one is missing.
    """
    if len(heights) < 2:
        raise InputError(places[0], found="a single slice", expected="at least two", advice=FULL_EXPORT)
    gaps = np.diff(heights)
    typical = float(np.median(gaps))
    where = places[1 + int(np.argmax(np.abs(gaps - typical)))]
    if gaps.min() < 1e-3:
        raise InputError(
            where, found="two slices at one place", expected="every slice once", advice="Give one series only."
        )
    if np.abs(gaps - typical).max() > max(_SPACING_TOLERANCE * typical, 0.01):
        raise InputError(
            where,
            found=f"gaps of {gaps.min():.3g} to {gaps.max():.3g} mm between slices",
            expected=f"{typical:.3g} mm throughout (a slice is missing)",
            advice=FULL_EXPORT,
        )
    return typical


def _demand_one_grid(instances: Sequence[Instance], axes: NDArray[np.float64]) -> None:
    """Raise InputError where an image has another orientation, spacing, size or in-plane position than the first."""
    first = instances[0]
    spacing_mm, size = pixel_spacing_mm(first), _size(first)
    corner = numbers(first, "ImagePositionPatient", 3) @ axes[:, :2]
    for one in instances[1:]:
        same = (
            np.allclose(slice_axes(one), axes, atol=1e-4)
            and np.allclose(pixel_spacing_mm(one), spacing_mm, rtol=1e-4)
            and _size(one) == size
            and np.allclose(numbers(one, "ImagePositionPatient", 3) @ axes[:, :2], corner, atol=0.05)
        )
        if not same:
            raise InputError(
                one.place,
                found="another orientation, pixel spacing, size or in-plane position than in the images before",
                expected="parallel slices of one size, one above the other",
                advice="Give the images of one acquisition, not resampled.",
            )


def _demand_equal_counts(slices: Sequence[Sequence[Instance]]) -> None:
    """Raise InputError where a slice lacks an image or has one too many."""
    for images in slices:
        seen = [_image_number(one) for one in images]
        for (before, after), one in zip(pairwise(seen), images[1:], strict=True):
            if before == after:
                raise InputError(
                    one.place,
                    found=f"image number {after} a second time",
                    expected="every image once",
                    advice="Remove the repeated images.",
                )
    counts = [len(images) for images in slices]
    usual = max(set(counts), key=counts.count)
    for number, images in enumerate(slices, start=1):
        if len(images) != usual:
            raise InputError(
                images[0].place,
                found=f"{len(images)} images of slice {number} of {len(slices)}",
                expected=f"{usual}, as of the other slices",
                advice=FULL_EXPORT,
            )


def _size(instance: Instance) -> tuple[int, int]:
    rows, columns = (int(numbers(instance, name, 1)[0]) for name in ("Rows", "Columns"))
    return rows, columns


def _image_number(instance: Instance) -> int:
    return int(numbers(instance, "InstanceNumber", 1)[0])


def _pixels(instance: Instance) -> NDArray[np.float64]:
    pixels = instance.pixels()
    if pixels.shape != _size(instance):
        raise InputError(
            instance.place,
            found=f"{pixels.shape} pixels",
            expected=f"{_size(instance)} as in its header",
            advice=FULL_EXPORT,
        )
    return pixels
