"""Single-slice images of an acquisition in their places: encoding by encoding, offset by offset, slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.slice_grid import SliceGrid
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.imaging.dicom.time_order import seconds_of_day

_SECONDS_A_DAY: Final = 86400.0
_TIME_TOLERANCE_S: Final = 5e-4
"""Largest difference between images in a slice's time after the first slice that still counts as one time, seconds."""


@dataclass(frozen=True, slots=True)
class Place:
    """Image and its place in the acquisition.

    Attributes:
        instance: image at this place.
        encoding: index of the motion encoding.
        offset: index of the time offset.
    """

    instance: Instance
    encoding: int
    offset: int


@dataclass(frozen=True, slots=True)
class ImageTable:
    """Every image of one kind (phase, magnitude, ...) of an acquisition, complete and without doubles.

    Attributes:
        grid: grid on which the slices lie.
        images: table[encoding][offset][slice].
    """

    grid: SliceGrid
    images: tuple[tuple[tuple[Instance, ...], ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of encodings and number of offsets."""
        return len(self.images), len(self.images[0])

    def every(self) -> list[Instance]:
        """Return all images, encoding by encoding, offset by offset, slice by slice."""
        return [one for offsets in self.images for slices in offsets for one in slices]

    def values(self, read: Callable[[Instance, NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the images' values, shape (encoding, offset, i, j, k).

        Args:
            read: function from an image and its stored pixels, shape (i, j), to its values.
        """
        volumes = np.empty((*self.shape, *self.grid.shape))
        for encoding, offsets in enumerate(self.images):
            for offset, slices in enumerate(offsets):
                for k, image in enumerate(slices):
                    volumes[encoding, offset, :, :, k] = read(image, self.grid.pixels(image))
        return volumes

    def numbers(self, read: Callable[[Instance], float]) -> NDArray[np.float64]:
        """Return one number of each image, shape (encoding, offset, k)."""
        return np.array([[[read(one) for one in slices] for slices in offsets] for offsets in self.images])

    def slice_time_s(self) -> NDArray[np.float64] | None:
        """Return the time of each slice after the earliest slice of its volume, seconds, shape (k,).

        The result is None where headers do not say, where they say the same time for all slices, or where volumes
        disagree by more than half a millisecond: then the times are not those of single slices.

        Raises:
            InputError: some images state a time and others do not, so that slices of one image could not be told apart.
        """
        times = np.array([[[seconds_of_day(one) for one in slices] for slices in offsets] for offsets in self.images])
        if not np.any(np.isfinite(times)):
            return None
        demand_all_times(self.every(), times.ravel())
        # Seconds of the day: an image that crosses midnight still has its first slice before its last.
        after = (times - times[..., :1] + _SECONDS_A_DAY / 2) % _SECONDS_A_DAY - _SECONDS_A_DAY / 2
        typical = np.median(after, axis=(0, 1))
        if np.abs(after - typical).max() > _TIME_TOLERANCE_S or np.ptp(typical) == 0:
            return None
        return np.asarray(typical - typical.min())


def image_table(places: Iterable[Place], grid: SliceGrid, where: str) -> ImageTable:
    """Put images into their places.

    Args:
        places: images with their places, in any order.
        grid: grid on which all of them lie.
        where: name of the images in errors.

    Raises:
        InputError: an image is missing or there twice.
    """
    cells: dict[tuple[int, int, int], Instance] = {}
    for one in places:
        key = (one.encoding, one.offset, grid.index_of(one.instance))
        if min(key) < 0:
            raise InputError(
                one.instance.place,
                found=f"time offset {one.offset + 1}, encoding {one.encoding + 1}",
                expected="both counted from 1",
                advice=FULL_EXPORT,
            )
        if key in cells:
            raise InputError(
                one.instance.place,
                found=f"{_spoken(*key)} a second time",
                expected="every slice of every encoding and offset once",
                advice="Remove the repeated images; scans of several encodings are told apart by series or direction.",
            )
        cells[key] = one.instance
    # A damaged offset may be any number; of more offsets than images some are missing anyway.
    encodings, offsets = (1 + min(max(key[axis] for key in cells), len(cells)) for axis in (0, 1))
    slices = range(grid.shape[2])
    wanted = [(e, n, k) for e in range(encodings) for n in range(offsets) for k in slices]
    missing = [key for key in wanted if key not in cells]
    if missing:
        raise InputError(
            where,
            found=f"no image of {_spoken(*missing[0])} ({len(missing)} missing in all)",
            expected=f"{len(slices)} slices of {encodings} encodings and {offsets} offsets",
            advice=FULL_EXPORT,
        )
    rows = tuple(tuple(tuple(cells[e, n, k] for k in slices) for n in range(offsets)) for e in range(encodings))
    return ImageTable(grid, rows)


def demand_all_times(images: Sequence[Instance], times: NDArray[np.float64]) -> None:
    """Raise InputError where some images lack the time that others state: slices would count as simultaneous.

    Args:
        images: images of an acquisition.
        times: acquisition times of the images, NaN where there is none, shape (n,).
    """
    lacking = np.flatnonzero(~np.isfinite(times))
    if 0 < len(lacking) < len(images):
        raise InputError(
            images[int(lacking[0])].place,
            found="no readable acquisition time, which other images of the series have",
            expected="the time in every image, or in none",
            advice=FULL_EXPORT,
        )


def _spoken(encoding: int, offset: int, k: int) -> str:
    """Say where an image belongs, counted from 1."""
    return f"slice {k + 1} of encoding {encoding + 1}, offset {offset + 1}"
