"""Simulated MRE scan of a vibrating head: wrapped phase and magnitude images with noise and motion.

In encoding direction d (unit vector E_d), at offset n of N, slice k shows

    phi = E_d . u(t) / MENC + background_d + motion_dn,      t = n T / N + s_k,

with u(t) = Re(U exp(+i omega t)) and s_k the time at which slice k is acquired. The complex signal
M exp(i phi) receives complex Gaussian noise; its angle is the wrapped phase, its absolute value the magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.grid import ScanGrid
from palpate.units import m_to_um

_SIGNAL = 900.0
"""Magnitude of the median tissue, in stored units of the 12-bit image."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Simulated MRE acquisition and the truth about it.

    Attributes:
        phase_rad: phase phi, radians, wrapped to (-pi, pi], shape (direction, offset, i, j, k).
        magnitude: signal M, stored units, same shape.
        encoding_axes: encoding directions E, unit vectors in world RAS, shape (direction, 3).
        slice_times_ms: acquisition times s of the slices after the start of each image, milliseconds, shape (k,).
        noise_std_um: standard deviation of each of real and imaginary part of the first harmonic where the signal is
            median, micrometres.
        wrapped_share: share of brain samples whose phase left (-pi, pi].
    """

    phase_rad: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    encoding_axes: NDArray[np.float64]
    slice_times_ms: NDArray[np.float64]
    noise_std_um: float
    wrapped_share: float


def acquire(
    settings: PhantomSettings, grid: ScanGrid, displacement_m: NDArray[np.complex128], contrast: NDArray[np.float64]
) -> Scan:
    """Simulate the measurement of a displacement. Equal settings, with their seed, give equal images.

    Args:
        settings: motion encoding, offsets, noise and motion of the scan.
        grid: voxels of the scan.
        displacement_m: displacement U along world R, A, S, shape (i, j, k, 3), metres.
        contrast: relative signal, zero in air, shape (i, j, k).
    """
    generator = np.random.default_rng([settings.seed, 3])
    brain = contrast > 0
    axes = encoding_axes(grid)
    times_ms = slice_times_ms(grid.shape[2], settings.slice_interval_ms)
    vibration = _vibration_rad(settings, m_to_um(displacement_m @ axes.T), times_ms)
    phase = vibration + _background_rad(settings, grid, generator) + _motion_rad(settings, grid, generator)
    signal = contrast * _SIGNAL / np.median(contrast[brain])
    mean_um = float(m_to_um(np.linalg.norm(np.abs(displacement_m[brain]), axis=-1)).mean())
    noise_std_um = settings.noise_percent / 100 * mean_um
    # A phase noise s gives the first harmonic of N offsets the noise MENC s sqrt(2 / N).
    noise_rad = noise_std_um / settings.menc_um_per_rad * np.sqrt(settings.offsets / 2)
    noise = generator.standard_normal((2, *phase.shape)) * (_SIGNAL * noise_rad)
    measured = signal * np.exp(1j * phase) + noise[0] + 1j * noise[1]
    return Scan(
        phase_rad=np.angle(measured),
        magnitude=np.abs(measured),
        encoding_axes=axes,
        slice_times_ms=times_ms,
        noise_std_um=noise_std_um,
        wrapped_share=float((np.abs(phase[..., brain]) > np.pi).mean()),
    )


def encoding_axes(grid: ScanGrid) -> NDArray[np.float64]:
    """Return the unit vectors in RAS along which the real scan's sequence encodes, shape (3, 3).

    They are the slice normal, down the rows, and against the columns.
    """
    return np.stack([grid.axes[:, 2], grid.axes[:, 1], -grid.axes[:, 0]])


def slice_times_ms(n_slices: int, interval_ms: float) -> NDArray[np.float64]:
    """Return acquisition times of interleaved slices (first every other one), milliseconds, shape (k,)."""
    order = np.concatenate([np.arange(0, n_slices, 2), np.arange(1, n_slices, 2)])
    times = np.empty(n_slices)
    times[order] = np.arange(n_slices) * interval_ms
    return times


def _vibration_rad(
    settings: PhantomSettings, along_um: NDArray[np.complex128], times_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Phase of the vibration, shape (direction, offset, i, j, k); `along_um` has shape (i, j, k, direction)."""
    turns = np.arange(settings.offsets)[:, None] / settings.offsets + settings.frequency_hz * times_ms / 1e3
    moments = np.exp(2j * np.pi * turns)
    amplitude_rad = np.moveaxis(along_um, -1, 0) / settings.menc_um_per_rad
    return np.asarray((amplitude_rad[:, None] * moments[None, :, None, None, :]).real)


def _background_rad(settings: PhantomSettings, grid: ScanGrid, generator: np.random.Generator) -> NDArray[np.float64]:
    """Static phase of each direction: a random paraboloid over the block, shape (direction, 1, i, j, k)."""
    x, y, z = _normalised(grid)
    terms = np.stack([np.ones_like(x), x, y, z, x * y, y * z, x * z, x**2, y**2])
    weights = generator.standard_normal((3, len(terms))) / np.sqrt(len(terms))
    return np.asarray(settings.background_rad * np.tensordot(weights, terms, axes=1)[:, None])


def _motion_rad(settings: PhantomSettings, grid: ScanGrid, generator: np.random.Generator) -> NDArray[np.float64]:
    """Phase of bulk motion in each image: an offset and a ramp, shape (direction, offset, i, j, k)."""
    x, y, z = _normalised(grid)
    terms = np.stack([np.ones_like(x), x, y, z])
    weights = generator.standard_normal((3, settings.offsets, len(terms)))
    return np.asarray(settings.motion_rad * np.tensordot(weights, terms, axes=1))


def _normalised(grid: ScanGrid) -> list[NDArray[np.float64]]:
    """Voxel coordinates from -1 to 1 across the grid."""
    axes = [np.linspace(-1, 1, n) for n in grid.shape]
    return list(np.meshgrid(*axes, indexing="ij"))
