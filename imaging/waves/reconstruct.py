"""Wave field from the phase images of one acquisition: unwrapping, harmonics, scale, rotation to world axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.displacement import along_directions, without_slice_means, world_noise
from palpate.imaging.wavefield import ASSUMED_DENSITY_KG_M3, WaveField
from palpate.imaging.waves.harmonics import (
    POOLING_MM,
    HarmonicNoise,
    Pooling,
    first_harmonic,
    forward_in_time,
    harmonics,
    measure_noise,
    noise_correlation,
    signal_free_harmonics,
)
from palpate.imaging.waves.slice_timing import SliceTiming, slice_timing
from palpate.imaging.waves.unwrap import Unwrapped, unwrap_vibration, unwrapped_steps
from palpate.units import hz_to_rad_s, um_to_m


@dataclass(frozen=True, slots=True)
class Direction:
    """Reconstruction of one encoding direction.

    Attributes:
        unwrapped: unwrapped vibration phase.
        noise: measured noise; None with fewer than four offsets and no scan without motion.
        first_rad: first harmonic U_1 along the encoding axis at one common time, radians, shape (i, j, k).
        mean_kept: whether the slices' mean motion is still in first_rad.
    """

    unwrapped: Unwrapped
    noise: HarmonicNoise | None
    first_rad: NDArray[np.complex128]
    mean_kept: bool


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Harmonic motion at one frequency in phase units, before the mask is final.

    Attributes:
        acquisition: acquisition that was reconstructed.
        directions: reconstruction of each encoding direction.
        timing: correction for slices acquired at different times.
        menc_um_per_rad: displacement per radian of the acquisition's phase in use.
        menc_known: whether a header or the settings stated it.
    """

    acquisition: PhaseAcquisition
    directions: tuple[Direction, ...]
    timing: SliceTiming
    menc_um_per_rad: float
    menc_known: bool

    @property
    def noise_holds_motion(self) -> bool:
        """Whether noise was measured by the second harmonic of a scan with motion, which is never free of motion."""
        acquisition = self.acquisition
        return acquisition.still_phase_rad is None and 2 in signal_free_harmonics(acquisition.phase_rad.shape[1])

    def worst_noise_rad(self) -> NDArray[np.float64]:
        """Return the noisiest direction's noise by voxel, radians, shape (i, j, k); zeros where none was measured."""
        measured = [one.noise.voxel_std_rad for one in self.directions if one.noise is not None]
        return np.max(measured, axis=0) if measured else np.zeros(self.acquisition.phase_rad.shape[2:])

    def wave_field(self, mask: NDArray[np.bool_], label: str, density_kg_m3: float | None) -> WaveField:
        """Return the wave field on a mask; 0 outside it. Where the density is unknown, the usual one is assumed."""
        axes = self.acquisition.encoding_axes
        encoded = np.stack([one.first_rad for one in self.directions]) * mask
        stds = np.array([one.noise.std_rad if one.noise else np.nan for one in self.directions])
        errors_rad = np.array([one.noise.linear_phase_error_rad if one.noise else 0.0 for one in self.directions])
        noise_m = um_to_m(world_noise(stds, axes) * self.menc_um_per_rad)
        displacement, directions = along_directions(encoded, axes)
        return WaveField(
            displacement_m=um_to_m(displacement * self.menc_um_per_rad),
            mask=mask,
            affine_mm=self.acquisition.affine_mm,
            frequency_hz=self.acquisition.frequency_hz,
            # A noise of exactly zero is no measurement: synthetic phase without noise, or phase stored as constants.
            noise_std_m=noise_m if noise_m > 0 else None,
            density_kg_m3=density_kg_m3 or ASSUMED_DENSITY_KG_M3,
            label=label,
            linear_phase_error_std_m=um_to_m(world_noise(errors_rad, axes) * self.menc_um_per_rad),
            density_assumed=density_kg_m3 is None,
            motion_encoding_known=self.menc_known,
            slice_thickness_mm=self.acquisition.slice_thickness_mm,
            acquired_matrix=self.acquisition.acquired_matrix,
            directions=directions,
            noise_correlation=None if directions is None else self._noise_correlation(mask),
        )

    def _noise_correlation(self, mask: NDArray[np.bool_]) -> tuple[float, float] | None:
        """Return the correlation of the noise of neighbours along i and j, mean of the directions; None if unknown."""
        still = self.acquisition.still_phase_rad
        phases = [one.unwrapped.phase_rad for one in self.directions] if still is None else list(still)
        found = [noise_correlation(one, mask, still=still is not None) for one in phases]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None
        along_i, along_j = np.mean(known, axis=0).tolist()
        return along_i, along_j


def reconstruct(acquisition: PhaseAcquisition, mask: NDArray[np.bool_], settings: IngestSettings) -> Reconstruction:
    """Turn phase images into harmonic motion along each encoding direction.

    Args:
        acquisition: phase images of one frequency.
        mask: tissue, shape (i, j, k).
        settings: ingest settings of the study.
    """
    omega = hz_to_rad_s(acquisition.frequency_hz)
    times_s = acquisition.slice_time_s
    forward = settings.time_step_sign == "positive"
    phases = [one if forward else forward_in_time(one) for one in acquisition.phase_rad]
    steps = np.stack([unwrapped_steps(one, mask) for one in phases])
    timing = slice_timing(steps, mask, None if times_s is None else omega * times_s, choice=settings.slice_timing)
    stills = acquisition.still_phase_rad if acquisition.still_phase_rad is not None else [None] * len(phases)
    few = len(phases) < 3
    width = POOLING_MM / np.linalg.norm(acquisition.affine_mm[:3, :2], axis=0)
    directions = tuple(
        _direction(phase, mask, step, still, timing, settings, Pooling(magnitude, width) if few else None)
        for phase, step, still, magnitude in zip(phases, steps, stills, acquisition.magnitude.mean(axis=1), strict=True)
    )
    stated = settings.menc_um_per_rad or acquisition.menc_um_per_rad
    return Reconstruction(
        acquisition=acquisition,
        directions=directions,
        timing=timing,
        menc_um_per_rad=(stated or settings.assumed_menc_um_per_rad) / acquisition.encoding_gain,
        menc_known=stated is not None,
    )


def _direction(
    phase_rad: NDArray[np.float64],
    mask: NDArray[np.bool_],
    steps: NDArray[np.float64],
    still_phase_rad: NDArray[np.float64] | None,
    timing: SliceTiming,
    settings: IngestSettings,
    pooling: Pooling | None,
) -> Direction:
    """Harmonic motion of one encoding direction, its noise from the scan without motion where there is one."""
    unwrapped = unwrap_vibration(phase_rad, mask, steps=steps, slice_phase_rad=timing.phase_rad)
    first_rad = first_harmonic(unwrapped.phase_rad) * np.exp(-1j * timing.phase_rad)
    kept = settings.bulk_motion == "keep" or (settings.bulk_motion == "auto" and unwrapped.mean_determined)
    if still_phase_rad is None:
        noise = measure_noise(unwrapped.phase_rad, mask, pooling=pooling)
    else:
        noise = measure_noise(still_phase_rad, mask, still=True, pooling=pooling)
    return Direction(
        unwrapped=unwrapped,
        noise=noise,
        first_rad=first_rad if kept else without_slice_means(first_rad, mask),
        mean_kept=kept,
    )


def quality(reconstruction: Reconstruction, field: WaveField) -> Mapping[str, object]:
    """Return figures of quality of one frequency's reconstruction, as JSON values; medians are over the mask."""
    acquisition, timing = reconstruction.acquisition, reconstruction.timing
    return {
        "offsets": acquisition.phase_rad.shape[1],
        "menc_um_per_rad": reconstruction.menc_um_per_rad,
        "encoding_axes_ras": acquisition.encoding_axes.round(6).tolist(),
        "slice_timing": {
            "applied": timing.applied,
            "agreement_of_neighbouring_slices_as_measured": timing.agreement_as_measured,
            "agreement_corrected": timing.agreement_corrected,
        },
        "directions": [_direction_quality(one, field.mask) for one in reconstruction.directions],
    }


def _direction_quality(direction: Direction, mask: NDArray[np.bool_]) -> dict[str, object]:
    """Return figures of one encoding direction, in radians of phase."""
    unwrapped, noise = direction.unwrapped, direction.noise
    amplitudes = np.median(np.abs(harmonics(unwrapped.phase_rad)[1:, mask]), axis=1)
    waves = np.median(np.abs(without_slice_means(direction.first_rad, mask)[mask]))
    return {
        "harmonic_amplitudes_rad": amplitudes.tolist(),
        "first_harmonic_without_slice_means_rad": float(waves),
        "noise_std_rad": None if noise is None else noise.std_rad,
        "noise_std_between_neighbours_rad": None if noise is None else noise.local_std_rad,
        "linear_phase_error_rad": None if noise is None else noise.linear_phase_error_rad,
        "wrapped_share": unwrapped.wrapped_share,
        "repaired_share": unwrapped.repaired_share,
        "slice_means": "kept" if direction.mean_kept else "removed",
        "slice_mean_misfit_rad2": unwrapped.misfit_rad2,
        "slice_mean_margin_rad2": unwrapped.margin_rad2 if np.isfinite(unwrapped.margin_rad2) else None,
    }
