"""MRE acquisition as the scanner made it: phase and magnitude per encoding direction and time offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.limits.plausible import demand_directions, demand_frequency

_SPACE: Final = 3


@dataclass(frozen=True, slots=True)
class PhaseAcquisition:
    """Phase images of one frequency, before any processing, as every vendor's reader delivers them.

    Attributes:
        phase_rad: phase phi, radians, wrapped to [-pi, pi], shape (direction, offset, i, j, k).
        magnitude: signal, arbitrary units, same shape.
        affine_mm: voxel indices to world RAS millimetres, shape (4, 4).
        frequency_hz: frequency f of the vibration, hertz.
        encoding_axes: encoding axes E, unit vectors in RAS along which each of one to three directions measures
            displacement, shape (direction, 3); linearly independent. Shorter where a direction's gain is below
            encoding_gain.
        slice_time_s: acquisition time of each slice after the first instant of its image, seconds, shape (k,);
            None where the header does not state it.
        menc_um_per_rad: displacement per radian of one encoding, micrometres; None where the header does not state it.
        run: position of this acquisition's series among those of its study, from 0; frequencies of one series
            share it.
        facts: technical parameters to keep, by an allow-list; nothing that names a person.
        encoding_gain: radians of phase_rad per radian of one encoding: 1 for an image as it is, 2 for the difference
            of two opposite encodings.
        still_phase_rad: phase of a scan with the actuator off, relative to its mean over time, shape as phase_rad;
            None where there is none.
        slice_thickness_mm: thickness of the excited slices, mm; None where the header does not state it.
        acquired_matrix: columns and rows that the scanner measured, before it interpolated; None where the header
            does not state them.
        wrap_period_rad: period at which the images wrap as the reader scaled them, where phase_rad was computed from
            others (palpate.imaging.checks.phase_scale); None where phase_rad is as scaled, or shows no wraps.
        direction_assumed: whether the one direction is the usual one, through the slices, which nothing states.
        stored_matrix: columns and rows of the images as stored, where phase_rad lies on another grid
            (palpate.imaging.waves.acquired_grid); None where it is theirs.
    """

    phase_rad: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    affine_mm: NDArray[np.float64]
    frequency_hz: float
    encoding_axes: NDArray[np.float64]
    slice_time_s: NDArray[np.float64] | None
    menc_um_per_rad: float | None
    run: int
    facts: Mapping[str, object]
    encoding_gain: float = 1.0
    still_phase_rad: NDArray[np.float64] | None = None
    slice_thickness_mm: float | None = None
    acquired_matrix: tuple[int, int] | None = None
    wrap_period_rad: float | None = None
    direction_assumed: bool = False
    stored_matrix: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Name of the acquisition in messages: its series numbers."""
        stated = [value for key, value in self.facts.items() if key.startswith("series_number")]
        flat = [one for value in stated for one in (value if isinstance(value, list | tuple) else [value])]
        numbers = sorted({one for one in flat if isinstance(one, int)})
        return "series " + ", ".join(map(str, numbers)) if numbers else "the acquisition"

    def __post_init__(self) -> None:
        """Refuse an acquisition whose parts do not fit together.

        Raises:
            ValueError: shapes disagree, there are fewer than 3 offsets, or the axes are not one to three vectors.
            InputError: the frequency is one that no elastography uses, or the axes are nearly dependent.
        """
        demand_frequency(self.name, self.frequency_hz)
        if self.phase_rad.ndim != 5 or self.phase_rad.shape != self.magnitude.shape:
            raise ValueError(f"phase {self.phase_rad.shape} and magnitude {self.magnitude.shape} must be alike, 5-D")
        directions, offsets = self.phase_rad.shape[:2]
        if offsets < 3:
            raise ValueError(f"{offsets} offsets cannot determine a harmonic; at least 3 are needed")
        if self.encoding_axes.shape != (directions, 3) or not 1 <= directions <= _SPACE:
            raise ValueError("one to three encoding axes are needed, one for each direction")
        demand_directions(self.name, self.encoding_axes)
        if self.slice_time_s is not None and self.slice_time_s.shape != (self.phase_rad.shape[4],):
            raise ValueError("one time per slice is needed")
        if self.still_phase_rad is not None and self.still_phase_rad.shape != self.phase_rad.shape:
            raise ValueError("the scan without motion must have the shape of the scan with motion")
