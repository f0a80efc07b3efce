"""Check of the phase's scale by the images: wrapped phase must wrap at a whole turn.

Phase images repeat after 2 pi. Where the phase leaves the range, neighbouring pixels jump by nearly the whole range,
and noise in air fills it. So images with such jumps show the period at which they wrap, and a scale for which this
period is not 2 pi is wrong: a slope of another program, milliradians taken for steps, degrees for radians. Images
without jumps show nothing: then a wrong factor scales displacement, which stiffness does not depend on.

Each encoding is checked by itself, and so is each scale that its headers state: right images would hide wrong ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.limits.check_limits import PHASE_RANGE, WRAP_JUMP, WRAPPED_PAIRS

_MOST_VALUES = 400_000
_TAIL = 5e-5
"""Share of the values that are left out at each end of the range."""
_MASS = 0.02
"""Share of the values above which a single value is a background, such as air that was set to zero."""


def wrap_period_rad(phase_rad: NDArray[np.float64], scales: NDArray[np.float64] | None = None) -> float | None:
    """Measure the period at which phase images wrap, for the encoding and scale where it is farthest from 2 pi.

    Args:
        phase_rad: phase as scaled, before anything wraps it anew, shape (encoding, offset, i, j, k).
        scales: slope by which each image was scaled, shape (encoding, offset, k); None where all have one.

    Returns:
        The period in radians; None where the images show no wraps.
    """
    periods = [period for part in _parts(phase_rad, scales) if (period := _period_rad(part)) is not None]
    return max(periods, key=lambda period: abs(np.log(period / (2.0 * np.pi))), default=None)


def _parts(phase_rad: NDArray[np.float64], scales: NDArray[np.float64] | None) -> Iterator[NDArray[np.float64]]:
    """Yield images that share an encoding and a scale, shape (..., i, j, k)."""
    for encoding, images in enumerate(phase_rad):
        slopes = np.ones(1) if scales is None else np.unique(scales[encoding])
        if scales is None or slopes.size == 1:
            yield images
            continue
        slices = np.moveaxis(images, -1, 1)[..., np.newaxis]
        for slope in slopes:
            yield slices[scales[encoding] == slope]


def _period_rad(phase_rad: NDArray[np.float64]) -> float | None:
    """Period at which images of one scale wrap, shape (..., i, j, k); None where they show no wraps."""
    columns = phase_rad.shape[-3]
    images = phase_rad.reshape(-1, columns, *phase_rad.shape[-2:]).transpose(0, 2, 3, 1).reshape(-1, columns)
    lines = images[:: max(1, images.size // _MOST_VALUES)]
    values, counts = np.unique(lines, return_counts=True)
    background = values[counts > _MASS * lines.size]
    shown = ~np.isin(lines, background)
    if np.count_nonzero(shown) < columns:
        return None
    low, high = np.quantile(lines[shown], [_TAIL, 1.0 - _TAIL])
    used = float(high - low)
    pairs = shown[:, 1:] & shown[:, :-1]
    if used <= 0.0 or not pairs.any():
        return None
    jumps = np.abs(np.diff(lines, axis=1))[pairs] > WRAP_JUMP * used
    return used if float(jumps.mean()) > WRAPPED_PAIRS else None


def check_phase_scale(period_rad: float | None, where: str) -> None:
    """Refuse phase whose images wrap at another period than a whole turn.

    Args:
        period_rad: result of wrap_period_rad.
        where: name of the acquisition for the error.

    Raises:
        InputError: the period is not 2 pi.
    """
    if period_rad is None:
        return
    share = period_rad / (2.0 * np.pi)
    if not PHASE_RANGE < share < 1.0 / PHASE_RANGE:
        raise InputError(
            where,
            found=f"phase images that wrap over a range of {period_rad:.3g} rad as scaled",
            expected="a range that spans 2 pi, 6.28 rad",
            advice=f"The scale of the phase is wrong by a factor of about {share:.2g}: check Rescale Slope, Intercept "
            "and Type, and export the images as the scanner made them.",
        )
