"""Scans with the actuator off: they give no wave field, but the noise of the scans with motion on the same voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition

_PREFIX = "series_number"


def with_noise_scans(acquisitions: Sequence[PhaseAcquisition], numbers: Sequence[int]) -> tuple[PhaseAcquisition, ...]:
    """Return the acquisitions with motion, each with the phase of a scan without motion on the same voxels.

    Args:
        acquisitions: acquisitions from a reader that took all series for scans with motion.
        numbers: SeriesNumbers of scans without motion; an acquisition is one of them if any of its series is listed.

    Raises:
        InputError: none is left with motion, or one of those has no scan without motion on its voxels.
    """
    if not numbers:
        return tuple(acquisitions)
    still = [one for one in acquisitions if set(series_of(one)) & set(numbers)]
    moving = [one for one in acquisitions if not set(series_of(one)) & set(numbers)]
    demand_motion(moving)
    return tuple(_with_noise(one, still) for one in moving)


def demand_motion(moving: Sequence[object]) -> None:
    """Raise InputError where no scan with motion is left."""
    if not moving:
        raise InputError(
            "no_motion_series",
            found="every elastography series among those without motion",
            expected="at least one with the actuator on",
            advice="Correct no_motion_series in the ingest settings.",
        )


def demand_listed(numbers: Sequence[int], found: Sequence[int]) -> None:
    """Raise InputError where a scan without motion is announced that is not there.

    A number mistyped would leave the scan that was meant among those with motion, as a wave field of noise.

    Args:
        numbers: SeriesNumbers that are announced.
        found: SeriesNumbers of the study.
    """
    missing = sorted(set(numbers) - set(found))
    if missing:
        raise InputError(
            "no_motion_series",
            found=f"series {', '.join(map(str, missing))}, which the study does not have",
            expected=f"some of {', '.join(map(str, sorted(set(found))))}",
            advice="Correct no_motion_series in the ingest settings.",
        )


def series_of(acquisition: PhaseAcquisition) -> list[int]:
    """Return the SeriesNumbers that an acquisition's facts name."""
    values = [value for name, value in acquisition.facts.items() if name.startswith(_PREFIX)]
    flat = [one for value in values for one in (value if isinstance(value, list | tuple) else [value])]
    return [one for one in flat if isinstance(one, int)]


def around_mean(phase_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the phase relative to the mean phasor over the offsets, radian, shape (direction, offset, i, j, k)."""
    turns = np.exp(1j * phase_rad)
    return np.angle(turns * turns.mean(axis=1, keepdims=True).conj())


def _with_noise(acquisition: PhaseAcquisition, still: Sequence[PhaseAcquisition]) -> PhaseAcquisition:
    matching = [one for one in still if _same_protocol(one, acquisition)]
    if not matching:
        raise InputError(
            f"series {series_of(still[0])[0]}" if still else "no_motion_series",
            found=f"no scan without motion on the voxels and offsets of series {series_of(acquisition)[0]}",
            expected="the same protocol, with the actuator off",
            advice="Take the series out of no_motion_series in the ingest settings.",
        )
    numbers = series_of(matching[0])
    facts = dict(acquisition.facts) | {"series_number_without_motion": numbers[0] if len(numbers) == 1 else numbers}
    return replace(acquisition, still_phase_rad=around_mean(matching[0].phase_rad), facts=facts)


def _same_protocol(one: PhaseAcquisition, other: PhaseAcquisition) -> bool:
    return (
        one.phase_rad.shape == other.phase_rad.shape
        and np.allclose(one.affine_mm, other.affine_mm, atol=1e-3)
        and np.allclose(one.encoding_axes, other.encoding_axes, atol=1e-3)
        and one.encoding_gain == other.encoding_gain
    )
