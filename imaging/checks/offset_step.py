"""Check that the time offsets fill exactly one period of the vibration, from the phase images themselves.

Motion of one frequency is x(t) = c + A cos(omega t) + B sin(omega t) in every voxel. For a supposed set of times the
least squares of this model leave a residual whose expectation under white noise of variance s^2 is (N - 3) s^2 a voxel
whatever the times are. So the times with the least residual are the maximum-likelihood estimate, noise biases no
comparison, and everything follows from the N x N matrix of second moments over voxels. For even times this is the
recurrence x[k-1] + x[k+1] = 2 cos(step) x[k], fitted with errors in all variables.

Whole turns of a patch and linear phase errors of images are planes over each slice, which are subtracted before.
Three offsets determine c, A and B exactly for any times, so that no residual is left for a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.limits.check_limits import (
    DIRECTION_GAIN,
    EQUAL_RESIDUALS,
    OFFSETS_DOUBTED,
    OFFSETS_GAIN,
    OFFSETS_REFUSED,
)
from palpate.imaging.waves.slice_planes import slice_planes
from palpate.quality_warning import QualityWarning

_TURN = 2.0 * np.pi
_FREE = 3
"""Number of unknowns of each voxel's own motion: its mean and its complex amplitude."""


@dataclass(frozen=True, slots=True)
class OffsetTimes:
    """Supposed times of the offsets that explain the images best.

    Attributes:
        words: best supposition, such as "the last of 8 offsets is missing"; empty where even spacing explains best.
        unexplained: share of the variation over time that one harmonic at even spacing over one period leaves.
        ratio: residual of the best supposition over that of even spacing; 1 where even spacing is the best.
    """

    words: str
    unexplained: float
    ratio: float

    @property
    def gain(self) -> float:
        """Share of the variation over time that the best supposition explains beyond even spacing."""
        return self.unexplained * (1.0 - self.ratio)


def offset_times(phases_rad: NDArray[np.float64], mask: NDArray[np.bool_]) -> OffsetTimes | None:
    """Compare even spacing over one period with the times that incomplete and repeated exports give.

    Losses of the export are found from all directions together. Offsets may be exchanged in one direction alone, which
    the others would hide, so that each direction is also compared by itself.

    Args:
        phases_rad: unwrapped phase, shape (direction, offset, i, j, k).
        mask: tissue, shape (i, j, k).

    Returns:
        The comparison; None with three offsets, which cannot show it.
    """
    offsets = phases_rad.shape[1]
    if offsets <= _FREE:
        return None
    moments = [_second_moments(one[:, mask], mask) for one in phases_rad]
    whole = _compared(np.sum(moments, axis=0), list(_suppositions(offsets)))
    exchanges = list(_exchanges(offsets))
    alone = [_compared(of_direction, exchanges) for of_direction in moments]
    shown = [
        number for number, told in enumerate(alone) if told.gain >= DIRECTION_GAIN and told.ratio < OFFSETS_DOUBTED
    ]
    if not shown or (whole.gain >= OFFSETS_GAIN and whole.ratio < OFFSETS_REFUSED):
        return whole
    worst = min(shown, key=lambda number: alone[number].ratio)
    return replace(alone[worst], words=f"{alone[worst].words} in direction {worst + 1}")


def _compared(moments: NDArray[np.float64], supposed: Sequence[tuple[str, NDArray[np.float64]]]) -> OffsetTimes:
    """Compare even spacing with supposed times by second moments of the offsets, shape (N, N)."""
    offsets = len(moments)
    total = float(np.trace(moments))
    even = _residual(moments, _TURN * np.arange(offsets) / offsets)
    if total <= 0.0 or even <= 1e-12 * total:
        return OffsetTimes("", even / total if total > 0.0 else 0.0, 1.0)
    # Rounding may leave less than nothing where the supposed times explain all.
    others = [(max(_residual(moments, times), 0.0), words) for words, times in supposed]
    least = min(residual for residual, _ in others)
    # Of suppositions that explain equally well the simplest is named, which comes first.
    residual, words = next(one for one in others if one[0] <= EQUAL_RESIDUALS * least)
    return OffsetTimes(words if residual < even else "", even / total, min(residual / even, 1.0))


def check_offset_times(found: OffsetTimes | None, offsets: int, where: str) -> tuple[QualityWarning, ...]:
    """Warn of offsets that do not fill one period, or refuse them.

    Args:
        found: result of offset_times.
        offsets: number N of time offsets.
        where: name of the acquisition for an error.

    Raises:
        InputError: another set of times explains the images beyond doubt.
    """
    if found is None:
        sentence = f"{where} has {offsets} time offsets: nothing shows whether they fill one period of the vibration."
        advice = "Check that no offset is missing from the export; four or more offsets would show it."
        return (QualityWarning("few-offsets", sentence, advice),)
    if not found.words or found.gain < OFFSETS_GAIN:
        return ()
    if found.ratio < OFFSETS_REFUSED:
        raise InputError(
            where,
            found=f"{offsets} time offsets that do not fill one period of the vibration: the images fit "
            f"{1.0 / max(found.ratio, 1e-9):.3g} times better if {found.words}",
            expected=f"{offsets} offsets in steps of 1/{offsets} period",
            advice="Export the complete series again, every offset once and in order.",
        )
    if found.ratio < OFFSETS_DOUBTED:
        sentence = (
            f"The {offsets} time offsets of {where} may not fill one period of the vibration: the images fit better if "
            f"{found.words}."
        )
        advice = "Check that the export holds every offset once and in order; amplitude and stiffness depend on it."
        return (QualityWarning("offsets-not-one-period", sentence, advice),)
    return ()


def demand_different_images(acquisition: PhaseAcquisition) -> None:
    """Raise InputError where two phase images of an acquisition are the same to the last bit, or a direction has none.

    Noise makes every image different; equal ones are one image exported twice, as two offsets or as two directions.

    Args:
        acquisition: acquisition as read.
    """
    phase = acquisition.phase_rad
    for direction, images in enumerate(phase):
        if np.ptp(images) == 0.0:
            raise InputError(
                acquisition.name,
                found=f"phase images of direction {direction + 1} that hold one value everywhere",
                expected="measured phase along every encoding direction",
                advice="A direction that was not measured must be left out, never filled; export the series again.",
            )
    seen: dict[bytes, tuple[int, int]] = {}
    for direction, offset in np.ndindex(*phase.shape[:2]):
        image = phase[direction, offset]
        key = blake2b(np.ascontiguousarray(image).tobytes()).digest()
        if key in seen and np.ptp(image) > 0.0:
            other = seen[key]
            raise InputError(
                acquisition.name,
                found=f"the same phase image as direction {other[0] + 1}, offset {other[1] + 1} and as direction "
                f"{direction + 1}, offset {offset + 1}",
                expected="an image of its own for every direction and time offset",
                advice="Remove the repeated image, and export the series again where one is missing for it.",
            )
        seen[key] = (direction, offset)


def _suppositions(offsets: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield what exports get wrong, and the times 2 pi t / T of the offsets that follow."""
    k = np.arange(offsets)
    yield f"the last of {offsets + 1} offsets is missing", _TURN * k / (offsets + 1)
    for lacking in range(1, offsets):
        words = f"offset {lacking + 1} of {offsets + 1} is missing"
        yield words, _TURN * np.where(k >= lacking, k + 1, k) / (offsets + 1)
    if offsets > _FREE + 1:
        yield f"one of {offsets} offsets is too many (a period has {offsets - 1})", _TURN * k / (offsets - 1)
    for periods in range(2, offsets // 2 + 1):
        yield f"they cover {periods} periods", _TURN * periods * k / offsets
    yield "they cover half a period", np.pi * k / offsets
    for lacking in range(2, max(offsets // 2, 3)):
        yield f"the last {lacking} of {offsets + lacking} offsets are missing", _TURN * k / (offsets + lacking)
    yield from _exchanges(offsets)


def _exchanges(offsets: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield two of the offsets in each other's place, and the times that follow."""
    k = np.arange(offsets)
    for one, other in combinations(range(offsets), 2):
        order = k.copy()
        order[[one, other]] = other, one
        yield f"offsets {one + 1} and {other + 1} are exchanged", _TURN * order / offsets


def _residual(moments: NDArray[np.float64], times: NDArray[np.float64]) -> float:
    """Return what mean, cosine and sine at these times leave of the second moments, as for three numbers a voxel."""
    model = np.column_stack([np.ones_like(times), np.cos(times), np.sin(times)])
    vectors, sizes, _ = np.linalg.svd(model, full_matrices=False)
    # Two offsets a period show only one of cosine and sine.
    basis = vectors[:, sizes > 1e-6 * sizes[0]]
    left = np.eye(len(times)) - basis @ basis.T
    free = (len(times) - _FREE) / (len(times) - basis.shape[1])
    return float(free * np.einsum("ab,bc,ca->", left, moments, left))


def _second_moments(values: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Second moments of the offsets over voxels, each slice's plane and each voxel's mean taken off, shape (N, N).

    Args:
        values: phase in the mask's voxels, shape (offset, voxel).
        mask: shape (i, j, k).
    """
    waves = values - values.mean(axis=0)
    for inside, terms in slice_planes(mask):
        waves[:, inside] -= (terms @ np.linalg.lstsq(terms, waves[:, inside].T, rcond=None)[0]).T
    return np.asarray(waves @ waves.T / max(values.shape[1], 1))
