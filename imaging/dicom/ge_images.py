"""GE's elastography images as complex signals.

Liver sequences (fgremre, epimre) store in one series, for every slice, first the waves of all offsets and then the
magnitudes. Waves are signed milliradians without a rescale tag, scaled so that 3141.5 means pi. One series encodes one
direction.

Brain sequences store real and imaginary parts. For every slice and offset the encodings follow each other, real part
before imaginary part.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom import ge_private
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.image_table import demand_all_times
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.slice_spacing import FULL_EXPORT
from palpate.imaging.dicom.stack import Stack, stack_slices
from palpate.imaging.dicom.time_order import MOMENT, NUMBER, POSITION, TRIGGER, demand_numbered, in_order
from palpate.progress import say

PI_STORED: Final = 3141.5
"""Stored value that means pi in a wave image."""
_LARGEST_STORED: Final = 3142.0


@dataclass(frozen=True, slots=True)
class Encoded:
    """Complex images of one series.

    Attributes:
        series: series that they come from.
        signals: complex signals, shape (encoding, offset, i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        slice_time_s: acquisition time of each slice, seconds, shape (k,); None where the header does not say.
    """

    series: Series
    signals: NDArray[np.complex128]
    affine_mm: NDArray[np.float64]
    slice_time_s: NDArray[np.float64] | None

    def has_grid_of(self, other: Encoded) -> bool:
        """Return whether both have the same voxels and offsets."""
        same = self.signals.shape[1:] == other.signals.shape[1:]
        return same and np.allclose(self.affine_mm, other.affine_mm, atol=1e-3)


def is_complex(series: Series) -> bool:
    """Return whether a series holds real and imaginary parts rather than waves and magnitudes."""
    kinds = ge_private.kinds(series)
    if kinds is not None:
        return set(kinds) <= {ge_private.REAL, ge_private.IMAGINARY}
    images = len(series.instances) / max(
        len({str(one.header.get("ImagePositionPatient")) for one in series.instances}), 1
    )
    return images > 3 * ge_private.offsets(series)


def read_waves(series: Series) -> Encoded:
    """Read one direction: magnitude * exp(i * phase), shape (1, offset, i, j, k).

    Raises:
        InputError: images are missing or doubled, or their values are no phase and magnitude.
    """
    offsets = ge_private.offsets(series)
    stack = _stack(series, 2 * offsets, f"{offsets} waves and {offsets} magnitudes")
    waves, magnitudes = (_in_time(one, series) for one in _waves_and_magnitudes(series, stack, offsets))
    phase_rad = np.stack([_phase_rad(waves, number) for number in range(offsets)])
    magnitude = np.stack([_magnitude(magnitudes, number) for number in range(offsets)])
    signals = np.asarray(magnitude * np.exp(1j * phase_rad), dtype=np.complex128)
    return Encoded(series, signals[None], stack.grid.affine_mm, _slice_times_s(waves))


def read_complex(series: Series, encodings: int) -> Encoded:
    """Read all encodings of a series of real and imaginary parts.

    Args:
        series: series of raw images.
        encodings: number of encodings in the scheme.

    Raises:
        InputError: images are missing or doubled, or lack their partner.
    """
    offsets = ge_private.offsets(series)
    stack = _stack(
        series, 2 * encodings * offsets, f"real and imaginary parts of {encodings} encodings x {offsets} offsets"
    )
    # Only their numbers tell the encodings of an offset apart.
    ordered = _numbered(stack)
    kinds = _kinds(series)
    if kinds is None:
        parts = (
            ordered.chosen(range(0, ordered.images_per_slice, 2)),
            ordered.chosen(range(1, ordered.images_per_slice, 2)),
        )
    else:
        parts = _parted(ordered, kinds, (ge_private.REAL, ge_private.IMAGINARY))
    signals = np.empty((encodings, offsets, *stack.grid.shape), dtype=np.complex128)
    for number in range(encodings * offsets):
        offset, encoding = divmod(number, encodings)
        signals[encoding, offset] = parts[0].volume(number) + 1j * parts[1].volume(number)
    return Encoded(series, signals, stack.grid.affine_mm, _slice_times_s(ordered))


def _stack(series: Series, images: int, meaning: str) -> Stack:
    """Sort a series into slices, each with so many images."""
    stack = stack_slices(series.instances)
    where = f"series {series.number}"
    stated = ge_private.slice_count(series.instances[0])
    if stated is not None and stated != len(stack.slices):
        raise InputError(
            where,
            found=f"{len(stack.slices)} slices",
            expected=f"{stated} as (0021,104F) says",
            advice=FULL_EXPORT,
        )
    if stack.images_per_slice != images:
        raise InputError(
            where,
            found=f"{stack.images_per_slice} images of every slice",
            expected=f"{images}: {meaning}",
            advice=FULL_EXPORT,
        )
    return stack


def _kinds(series: Series) -> dict[int, int] | None:
    """Return the kind of every image by its identity as an object; None where headers do not tell."""
    kinds = ge_private.kinds(series)
    return None if kinds is None else {id(one): kind for one, kind in zip(series.instances, kinds, strict=True)}


def _waves_and_magnitudes(series: Series, stack: Stack, offsets: int) -> tuple[Stack, Stack]:
    """Return waves and magnitudes, told apart by (0043,102F), by number (waves come first), or by sign.

    Raises:
        InputError: nothing tells them apart, or there are not equally many of both.
    """
    kinds = _kinds(series)
    if kinds is not None:
        return _parted(stack, kinds, (ge_private.PHASE, ge_private.MAGNITUDE))
    if NUMBER.tells(stack.slices):
        ordered = _numbered(stack)
        return ordered.chosen(range(offsets)), ordered.chosen(range(offsets, 2 * offsets))
    waves, magnitudes = stack.parted(lambda one: bool((one.pixels() < 0).any()))
    if any(len(images) != offsets for images in waves.slices):
        demand_numbered(stack.slices[0], "the images of a slice")
        raise InputError(
            f"series {series.number}",
            found="nothing that tells waves from magnitudes: neither (0043,102F), instance numbers nor the sign of "
            "the values",
            expected=f"{offsets} waves, which are signed, and {offsets} magnitudes of every slice",
            advice=FULL_EXPORT,
        )
    return waves, magnitudes


def _parted(stack: Stack, kinds: dict[int, int], pair: tuple[int, int]) -> tuple[Stack, Stack]:
    """Return the images of two kinds.

    Args:
        stack: slices.
        kinds: kind of each image, by its identity as an object.
        pair: the two kinds.

    Raises:
        InputError: there are not equally many of both in a slice.
    """
    for images in stack.slices:
        of_slice = [kinds[id(one)] for one in images]
        first, second = (of_slice.count(one) for one in pair)
        if first != second or first + second != len(of_slice):
            names = ("magnitude", "phase", "real", "imaginary")
            raise InputError(
                images[0].place,
                found=f"{first} {names[pair[0]]} and {second} {names[pair[1]]} images of its slice",
                expected="equally many, as (0043,102F) tells them apart",
                advice=FULL_EXPORT,
            )
    return stack.parted(lambda one: kinds[id(one)] == pair[0])


def _in_time(stack: Stack, series: Series) -> Stack:
    """Return the images of every slice from the first offset to the last."""
    return Stack(stack.grid, in_order(stack.slices, f"series {series.number}"))


def _numbered(stack: Stack) -> Stack:
    """Return the images of every slice by temporal position, where headers count it, and Instance Number.

    Raises:
        InputError: two images of a slice have the same number.
    """
    for images in stack.slices:
        demand_numbered(images, "the images of a slice")
    positions = {POSITION.read(one) for images in stack.slices for one in images}
    counted = len(positions) > 1 and all(np.isfinite(one) for one in positions)
    slices = (
        sorted(images, key=lambda one: (POSITION.read(one) if counted else 0.0, NUMBER.read(one)))
        for images in stack.slices
    )
    ordered = Stack(stack.grid, tuple(tuple(images) for images in slices))
    if any(_goes_back(MOMENT.of(images)) for images in ordered.slices):
        say(
            f"{ordered.slices[0][0].place}: images ordered by instance number; by acquisition time they would follow "
            "each other otherwise"
        )
    return ordered


def _goes_back(times_s: list[float]) -> bool:
    """Return whether times that are all known fall from one image to the next."""
    return all(np.isfinite(times_s)) and any(after < before for before, after in pairwise(times_s))


def _phase_rad(stack: Stack, number: int) -> NDArray[np.float64]:
    """Phase = stored * pi / 3141.5, shape (i, j, k)."""
    stored = stack.volume(number)
    where = stack.slices[0][number]
    _demand_no_rescaling(where)
    if np.abs(stored).max() > _LARGEST_STORED:
        raise InputError(
            where.place,
            found=f"a wave image with values up to {np.abs(stored).max():g}",
            expected="milliradians within -3142 to 3142",
            advice="Give the raw series of waves and magnitudes, not unwrapped, scaled or derived images.",
        )
    return np.clip(stored * (np.pi / PI_STORED), -np.pi, np.pi)


def _magnitude(stack: Stack, number: int) -> NDArray[np.float64]:
    """Signal, not negative, shape (i, j, k)."""
    stored = stack.volume(number)
    if stored.min() < 0:
        raise InputError(
            stack.slices[0][number].place,
            found="negative values where magnitudes are expected",
            expected="the waves of all offsets before the magnitudes, in the order of Instance Number",
            advice="Export the raw series with the scanner's own numbering.",
        )
    return stored


def _demand_no_rescaling(instance: Instance) -> None:
    slope, intercept = (instance.header.get(name) for name in ("RescaleSlope", "RescaleIntercept"))
    if float(1 if slope is None else slope) != 1 or float(0 if intercept is None else intercept) != 0:
        raise InputError(
            instance.place,
            found=f"wave images with a rescale slope of {slope} and intercept of {intercept}",
            expected="milliradians as stored, which GE writes without rescaling",
            advice="Export the series as the scanner made it.",
        )


def _slice_times_s(stack: Stack) -> NDArray[np.float64] | None:
    """Trigger Time of each slice's first image, from the earliest; None where no slice has one."""
    firsts = [images[0] for images in stack.slices]
    times_ms = np.array([TRIGGER.read(one) for one in firsts])
    if not np.any(np.isfinite(times_ms)):
        return None
    demand_all_times(firsts, times_ms)
    return np.asarray((times_ms - times_ms.min()) / 1e3)
