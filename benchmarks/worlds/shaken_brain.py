"""Phase images of a shaken brain whose true motion is known, as a test of unwrapping.

Brain and signal are the in-silico head's (ICBM152), in five slices of 4 mm or in a block. The motion is a sum of plane
shear waves and of one rigid motion a direction, both as large as in the public scan (docs/decisions/0010). The static
phase is rough: smooth fields of several turns, a vortex, and voxels of random phase where vessels would be. Noise is
complex Gaussian, so that its phase grows where the signal is weak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from worlds.moved_heads import block_grid, slab_grid

from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.tissue import Head

WAVELENGTH_MM: Final = 32.0
"""Wavelength of shear waves of 50 Hz in 2.6 kPa, and of 20 Hz in 0.4 kPa, millimetres."""
_WAVES: Final = 40
_WAVES_RAD: Final = (0.9, 2.3, 1.9)
"""Median amplitude of the waves along the three directions of the public scan, radians of phase."""
_RIGID_RAD: Final = (0.5, 1.9, 8.6)
"""Amplitude of the rigid motion along the three directions of the public scan, radians of phase."""
_SLICE_TIMES_PERIODS: Final = (0.0, 0.8, 0.6, 0.4, 0.2)
_VESSELS: Final = 0.003
"""Share of voxels without a usable phase."""


@dataclass(frozen=True, slots=True)
class Shake:
    """Settings of the brain's vibration and of its imaging.

    Attributes:
        slab: whether to image five slices at different times of the vibration; else a block, all slices at once.
        offsets: number N of time offsets in one period.
        amplitude: amplitude of all motion, as a multiple of the public scan's.
        snr: signal-to-noise ratio: median signal over the noise of real and imaginary part.
        seed: seed of everything random.
    """

    slab: bool = True
    offsets: int = 8
    amplitude: float = 1.0
    snr: float = 20.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Shaken:
    """Images of a shaken brain and their truth.

    Attributes:
        acquisition: phase and magnitude images as a scanner would deliver them.
        brain: true mask of the brain, shape (i, j, k).
        vibration_rad: true motion in phase, without noise, zero mean over time, shape (direction, offset, i, j, k).
    """

    acquisition: PhaseAcquisition
    brain: NDArray[np.bool_]
    vibration_rad: NDArray[np.float64]


def shaken_brain(head: Head, shake: Shake) -> Shaken:
    """Simulate the images of a shaken brain. They depend on the seed alone.

    Args:
        head: tissue of the head.
        shake: settings of the vibration and of the imaging.
    """
    generator = np.random.default_rng([31, shake.seed])
    grid = slab_grid() if shake.slab else block_grid()
    brain = head.in_brain(grid.points_mm)
    lateness = np.array(_SLICE_TIMES_PERIODS if shake.slab else [0.0] * grid.shape[2])
    turns = np.arange(shake.offsets)[:, None] / shake.offsets + lateness
    moving = (_motion(grid, generator)[:, None] * np.exp(2j * np.pi * turns)[None, :, None, None, :]).real
    moving *= shake.amplitude
    signal = head.magnitude_at(grid.points_mm) / np.median(head.magnitude_at(grid.points_mm)[brain])
    vessels = brain & (generator.random(grid.shape) < _VESSELS)
    signal[vessels] = 0.0
    noise = generator.standard_normal((2, *moving.shape)) / shake.snr
    image = signal * np.exp(1j * (moving + _static_phase(grid, generator))) + noise[0] + 1j * noise[1]
    acquisition = PhaseAcquisition(
        phase_rad=np.angle(image),
        magnitude=np.abs(image),
        affine_mm=grid.affine_mm,
        frequency_hz=20.0,
        encoding_axes=grid.axes.T,
        slice_time_s=lateness / 20.0 if shake.slab else None,
        menc_um_per_rad=1.0,
        run=0,
        facts={},
    )
    return Shaken(acquisition, brain, moving)


def _motion(grid: ScanGrid, generator: np.random.Generator) -> NDArray[np.complex128]:
    """U along the voxels' axes, radians, shape (3, i, j, k): plane shear waves from everywhere, and a rigid motion."""
    points = grid.points_mm
    waves = np.zeros((3, *grid.shape), dtype=np.complex128)
    for _ in range(_WAVES):
        travel = generator.standard_normal(3)
        travel /= np.linalg.norm(travel)
        across = np.cross(travel, generator.standard_normal(3))
        strength = generator.standard_normal() + 1j * generator.standard_normal()
        wave = strength * np.exp(-2j * np.pi / WAVELENGTH_MM * points @ travel)
        waves += (across @ grid.axes)[:, None, None, None] * wave
    waves *= (np.array(_WAVES_RAD) / np.median(np.abs(waves), axis=(1, 2, 3)))[:, None, None, None]
    phases = generator.uniform(0.0, 2.0 * np.pi, 3)
    return waves + (np.array(_RIGID_RAD) * np.exp(1j * phases))[:, None, None, None]


def _static_phase(grid: ScanGrid, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the static phase of each direction, shape (3, 1, i, j, k): smooth turns, a vortex, and no order at all."""
    smooth = generator.standard_normal((3, 1, *grid.shape))
    smooth = ndimage.gaussian_filter(smooth, (0, 0, 6, 6, 1))
    i, j = np.indices(grid.shape[:2]) - np.array(grid.shape[:2])[:, None, None] / 2 - 0.5
    vortex = np.arctan2(j, i)[None, None, :, :, None]
    rough = 0.5 * generator.standard_normal((3, 1, *grid.shape))
    return np.asarray(8.0 * smooth / smooth.std() + vortex + rough)
