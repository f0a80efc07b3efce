"""GE's elastography images as complex signals.

Liver sequences (fgremre, epimre) store in one series, for every slice, first the waves of all offsets and then the
magnitudes. Waves are signed milliradians without a rescale tag, scaled so that 3141.5 means pi. One series encodes one
direction.

Brain sequences store real and imaginary parts. For every slice and offset the encodings follow each other, real part
before imaginary part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.dicom import ge_private
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.image_table import demand_all_times
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.slices import FULL_EXPORT, Stack, stack_slices

PI_STORED: Final = 3141.5
"""What a wave image stores for pi."""
_LARGEST_STORED: Final = 3142.0


@dataclass(frozen=True, slots=True)
class Encoded:
    """The complex images of one series.

    Attributes:
        series: where they come from.
        signals: shape (encoding, offset, i, j, k).
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        slice_time_s: when each slice was acquired, shape (k,); None where the header does not say.
    """

    series: Series
    signals: NDArray[np.complex128]
    affine_mm: NDArray[np.float64]
    slice_time_s: NDArray[np.float64] | None

    def has_grid_of(self, other: Encoded) -> bool:
        """Whether both have the same voxels and offsets."""
        same = self.signals.shape[1:] == other.signals.shape[1:]
        return same and np.allclose(self.affine_mm, other.affine_mm, atol=1e-3)


def is_complex(series: Series) -> bool:
    """Whether a series holds real and imaginary parts rather than waves and magnitudes."""
    kinds = {ge_private.kind(one) for one in series.instances}
    if None not in kinds:
        return kinds <= {ge_private.REAL, ge_private.IMAGINARY}
    images = len(series.instances) / max(
        len({str(one.header.get("ImagePositionPatient")) for one in series.instances}), 1
    )
    return images > 3 * ge_private.offsets(series)


def read_waves(series: Series) -> Encoded:
    """One direction: magnitude * exp(i * phase), shape (1, offset, i, j, k).

    Raises:
        InputError: images are missing or doubled, or their values are no phase and magnitude.
    """
    offsets = ge_private.offsets(series)
    stack = _stack(series, 2 * offsets, f"{offsets} waves and {offsets} magnitudes")
    halves = (range(offsets), range(offsets, 2 * offsets))
    waves, magnitudes = _told_apart(stack, (ge_private.PHASE, ge_private.MAGNITUDE), halves)
    phase_rad = np.stack([_phase_rad(stack, number) for number in waves])
    magnitude = np.stack([_magnitude(stack, number) for number in magnitudes])
    signals = np.asarray(magnitude * np.exp(1j * phase_rad), dtype=np.complex128)
    return Encoded(series, signals[None], stack.affine_mm, _slice_times_s(stack))


def read_complex(series: Series, encodings: int) -> Encoded:
    """All encodings of a series of real and imaginary parts.

    Args:
        series: raw images.
        encodings: how many the scheme has.

    Raises:
        InputError: images are missing or doubled, or lack their partner.
    """
    offsets = ge_private.offsets(series)
    stack = _stack(
        series, 2 * encodings * offsets, f"real and imaginary parts of {encodings} encodings x {offsets} offsets"
    )
    turns = (range(0, stack.images_per_slice, 2), range(1, stack.images_per_slice, 2))
    reals, imaginaries = _told_apart(stack, (ge_private.REAL, ge_private.IMAGINARY), turns)
    voxels = stack.volumes(0).shape
    signals = np.empty((encodings, offsets, *voxels), dtype=np.complex128)
    for number, (real, imaginary) in enumerate(zip(reals, imaginaries, strict=True)):
        offset, encoding = divmod(number, encodings)
        signals[encoding, offset] = stack.volumes(real) + 1j * stack.volumes(imaginary)
    return Encoded(series, signals, stack.affine_mm, _slice_times_s(stack))


def _stack(series: Series, images: int, meaning: str) -> Stack:
    """Slices of a series, each with so many images."""
    stack = stack_slices(series.instances)
    where = f"series {series.number}"
    stated = ge_private.slice_count(series.instances[0])
    if stated is not None and stated != len(stack.slices):
        raise InputError(
            where, found=f"{len(stack.slices)} slices", expected=f"{stated}, as its header says", advice=FULL_EXPORT
        )
    if stack.images_per_slice != images:
        raise InputError(
            where,
            found=f"{stack.images_per_slice} images of every slice",
            expected=f"{images}: {meaning}",
            advice=FULL_EXPORT,
        )
    return stack


def _told_apart(
    stack: Stack, pair: tuple[int, int], otherwise: tuple[Sequence[int], Sequence[int]]
) -> tuple[Sequence[int], Sequence[int]]:
    """Numbers of the images of two kinds within each slice, as (0043,102F) tells them.

    Args:
        stack: slices.
        pair: the two kinds.
        otherwise: the numbers where the header does not tell.

    Raises:
        InputError: the header tells, but there are not equally many of both, or slices differ in their order.
    """
    kinds = [[ge_private.kind(one) for one in images] for images in stack.slices]
    if any(None in of_slice for of_slice in kinds):
        return otherwise
    for images, of_slice in zip(stack.slices, kinds, strict=True):
        first, second = (of_slice.count(one) for one in pair)
        if first != second or first + second != len(of_slice) or of_slice != kinds[0]:
            names = ("magnitude", "phase", "real", "imaginary")
            raise InputError(
                images[0].place,
                found=f"{first} {names[pair[0]]} and {second} {names[pair[1]]} images of its slice, or another order",
                expected="equally many, in the same order in every slice, as (0043,102F) tells them apart",
                advice=FULL_EXPORT,
            )
    return (
        [number for number, one in enumerate(kinds[0]) if one == pair[0]],
        [number for number, one in enumerate(kinds[0]) if one == pair[1]],
    )


def _phase_rad(stack: Stack, number: int) -> NDArray[np.float64]:
    """Phase = stored * pi / 3141.5, shape (i, j, k)."""
    stored = stack.volumes(number)
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
    stored = stack.volumes(number)
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
    times_ms = np.array([_trigger_ms(one) for one in firsts])
    if not np.any(np.isfinite(times_ms)):
        return None
    demand_all_times(firsts, times_ms)
    return np.asarray((times_ms - times_ms.min()) / 1e3)


def _trigger_ms(instance: Instance) -> float:
    """Trigger Time; NaN where there is none."""
    try:
        return float(instance.header.get("TriggerTime"))
    except (TypeError, ValueError):
        return float("nan")
