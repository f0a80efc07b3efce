"""Positions of a scan's slices, and the slice that an image shows, whatever else tells its images apart.

Nothing here depends on the order in which images are given: an archive's file names must not move a slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.geometry import affine_from, pixel_spacing_mm, slice_axes
from palpate.imaging.dicom.series import numbers
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT, even_spacing_mm
from palpate.imaging.dicom.time_order import number_or_nan
from palpate.progress import say

_SHIFT_TOLERANCE: Final = 0.1
"""Share of a pixel by which slices may lie beside each other: headers round orientations to three decimals or more."""
_SPACING_TOLERANCE: Final = 0.02
"""Relative difference that rounding of positions and spacing explains."""
_SAME_SLICE_MM: Final = 0.01
"""Positions are written with at least two decimals; slices are never this close."""
_PROPORTIONAL: Final = 0.1
"""Share of the largest shift that may remain when a shift in proportion to height is taken off a sheared stack."""


@dataclass(frozen=True, slots=True)
class SliceGrid:
    """Voxel grid of a stack of parallel slices.

    Attributes:
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        shape: number of voxels along i (within a row), j (down the rows), k (slices along their normal).
        normal_lps: unit vector along which slices are counted, shape (3,).
        heights_mm: position of each slice along normal_lps, millimetres, shape (k,).
    """

    affine_mm: NDArray[np.float64]
    shape: tuple[int, int, int]
    normal_lps: NDArray[np.float64]
    heights_mm: NDArray[np.float64]

    def index_of(self, instance: Instance) -> int:
        """Return the index k of the slice that an image of this stack shows."""
        height_mm = numbers(instance, "ImagePositionPatient", 3) @ self.normal_lps
        return int(np.abs(self.heights_mm - height_mm).argmin())

    def by_slice(self, instances: Sequence[Instance]) -> list[list[Instance]]:
        """Return the images of each slice, k lists, in the order in which they were given."""
        groups: list[list[Instance]] = [[] for _ in self.heights_mm]
        for instance in instances:
            groups[self.index_of(instance)].append(instance)
        return groups

    def pixels(self, instance: Instance) -> NDArray[np.float64]:
        """Return the stored values of one slice, shape (i, j).

        Raises:
            InputError: there are other pixels than the header announces.
        """
        pixels = instance.pixels()
        if pixels.shape != self.shape[1::-1]:
            raise InputError(
                instance.place,
                found=f"{pixels.shape} pixels",
                expected=f"{self.shape[1::-1]} as in its header",
                advice=FULL_EXPORT,
            )
        return pixels.T


def slice_grid(instances: Sequence[Instance]) -> SliceGrid:
    """Find the grid on which images lie, of which any number may show the same slice.

    Raises:
        InputError: slices are tilted or shifted against each other, of several sizes, unevenly spaced, or only one.
    """
    axes, spacing_mm = _demand_parallel(instances)
    _demand_one_size(instances)
    corners = np.stack([numbers(instance, "ImagePositionPatient", 3) for instance in instances])
    heights = corners @ axes[:, 2]
    order = np.lexsort((*corners.T, heights))
    firsts = order[np.flatnonzero(np.diff(heights[order], prepend=-np.inf) > _SAME_SLICE_MM)]
    if len(firsts) < 2:
        raise InputError(
            instances[0].place,
            found="images of one slice only",
            expected="at least two slices, as a wave field needs volume",
            advice=FULL_EXPORT,
        )
    _demand_upright(instances, corners @ axes, firsts, _SHIFT_TOLERANCE * float(spacing_mm.min()))
    between_mm = even_spacing_mm([instances[n].place for n in firsts], heights[firsts])
    _say_left_out_slices(instances[0], between_mm)
    rows, columns = (int(numbers(instances[0], name, 1)[0]) for name in ("Rows", "Columns"))
    return SliceGrid(
        affine_mm=affine_from(axes, np.append(spacing_mm, between_mm), corners[firsts[0]]),
        shape=(columns, rows, len(firsts)),
        normal_lps=axes[:, 2],
        heights_mm=heights[firsts],
    )


def _say_left_out_slices(instance: Instance, between_mm: float) -> None:
    """Say where slices lie a multiple of the stated spacing apart, as where every second one is missing.

    Some scanners state the gap between slices there, which can be half their distance: so nothing is refused.
    """
    stated_mm = number_or_nan(instance, "SpacingBetweenSlices")
    if not stated_mm > 0.0:
        return
    times = between_mm / stated_mm
    if round(times) >= 2 and abs(times - round(times)) < _SPACING_TOLERANCE * times:
        say(
            f"{instance.place}: slices {between_mm:.3g} mm apart where Spacing Between Slices states {stated_mm:.3g} "
            f"mm: {round(times) - 1} of {round(times)} slices may be missing, or it states the gap between them"
        )


def _demand_parallel(instances: Sequence[Instance]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the axes of all slices, as slice_axes, and their pixel spacing.

    Raises:
        InputError: a slice has another orientation or spacing than the others.
    """
    # Headers may differ in the last digits; the choice must not hang on which file comes first.
    written = [_written_orientation(instance) for instance in instances]
    counts = Counter(written)
    usual = max(sorted(counts), key=counts.__getitem__)
    reference = instances[written.index(usual)]
    axes = slice_axes(reference)
    spacing_mm = pixel_spacing_mm(reference)
    for instance in instances:
        if not np.allclose(slice_axes(instance), axes, atol=1e-4) or not np.allclose(
            pixel_spacing_mm(instance), spacing_mm, rtol=1e-4
        ):
            raise InputError(
                instance.place,
                found="another slice orientation or pixel spacing than in other slices",
                expected="parallel slices of one size",
                advice="Give the folder of one series only.",
            )
    return axes, spacing_mm


def _written_orientation(instance: Instance) -> tuple[float, ...]:
    """Return the orientation and spacing as written."""
    written = (numbers(instance, "ImageOrientationPatient", 6), numbers(instance, "PixelSpacing", 2))
    return tuple(float(value) for values in written for value in values)


def _demand_one_size(instances: Sequence[Instance]) -> None:
    """Raise InputError where images have different numbers of rows or columns."""
    first = [instances[0].header.get(name) for name in ("Rows", "Columns")]
    for instance in instances[1:]:
        size = [instance.header.get(name) for name in ("Rows", "Columns")]
        if size != first:
            raise InputError(
                instance.place,
                found=f"{size[0]} x {size[1]} pixels",
                expected=f"{first[0]} x {first[1]} as in {instances[0].place}",
                advice=FULL_EXPORT,
            )


def _demand_upright(
    instances: Sequence[Instance], along: NDArray[np.float64], firsts: NDArray[np.intp], tolerance_mm: float
) -> None:
    """Raise InputError where slices do not lie above each other, so that no rectangular grid holds them.

    Args:
        instances: all images.
        along: their corners along rows, columns and normal, shape (n, 3), millimetres.
        firsts: numbers of the first image of each slice, from the lowest.
        tolerance_mm: shift that headers' rounding explains.
    """
    shifts = along[:, :2] - along[firsts[0], :2]
    distances = np.linalg.norm(shifts, axis=1)
    if distances.max() <= tolerance_mm:
        return
    heights = along[:, 2] - along[firsts[0], 2]
    proportional = np.outer(heights, heights @ shifts / (heights @ heights))
    worst = int(np.argmax(distances))
    sheared = np.linalg.norm(shifts - proportional, axis=1).max() <= _PROPORTIONAL * distances.max()
    raise InputError(
        instances[worst].place,
        found=f"slices shifted sideways in proportion to their height, {distances[worst]:.3g} mm over the stack "
        "(a tilted gantry, or images resampled to a sheared grid)"
        if sheared
        else f"a slice shifted sideways against the others by {distances[worst]:.3g} mm, at another in-plane position",
        expected="slices stacked along their normal",
        advice="Resample the volume to a rectangular grid first, or export the series without tilt."
        if sheared
        else "Give the images of one acquisition only.",
    )
