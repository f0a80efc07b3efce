"""Abdomen of uniform stiffness in a few slices of one motion direction, as GE's liver sequence stores it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.config.phantom import PhantomSettings
from palpate.imaging.phantom.ge import WAVE_SERIES, write_waves
from palpate.imaging.phantom.grid import ScanGrid, block, rotation
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.scan import acquire
from palpate.units import hz_to_rad_s

WIDE: Final = (64, 48)
PIXEL_MM: Final = 4.0
STACKS: Final = ((4, 11.0), (8, 5.0))
"""Number of slices and their distance, mm: even seeds the first, odd ones the second."""
FREQUENCY_HZ: Final = 60.0
WAVES: Final = 12
"""Number of plane shear waves from all sides, most of them along the slices."""
STORAGE_KPA: Final = (1.8, 4.0)
"""Softest and stiffest tissue."""
LOSS_TANGENT: Final = 0.15


def write_exam(folder: Path, seed: int, noise_percent: float) -> None:
    """Write the exam's one series, through the slices.

    Args:
        folder: folder to write; it is made.
        seed: seed of stiffness, waves and noise.
        noise_percent: standard deviation of each real and imaginary part over mean |U|, percent.
    """
    generator = np.random.default_rng([20271, seed])
    about_r, about_a, about_s = generator.uniform(-8.0, 8.0, 3).tolist()
    turn = rotation((about_r, about_a, about_s)) @ np.diag([-1.0, -1.0, 1.0])
    count, apart_mm = STACKS[seed % 2]
    grid = block(np.zeros(3), turn, (*WIDE, count), PIXEL_MM)
    affine = grid.affine_mm.copy()
    affine[:3, 2] *= apart_mm / PIXEL_MM
    grid = replace(grid, affine_mm=affine)
    settings = PhantomSettings(
        lesion=None,
        offsets=4,
        frequency_hz=FREQUENCY_HZ,
        noise_percent=noise_percent,
        motion_rad=0.0,
        slice_interval_ms=0.0,
        seed=seed,
    )
    scan = acquire(settings, grid, _waves_m(grid, generator), _contrast(count))
    folder.mkdir(parents=True)
    write_waves(folder, Identity("01", "01", f"abdomen {seed}"), settings, grid, scan)
    for number in WAVE_SERIES[:-1]:
        shutil.rmtree(folder / f"series{number:03d}_mre")


def _waves_m(grid: ScanGrid, generator: np.random.Generator) -> NDArray[np.complex128]:
    """Return displacement along world R, A, S of waves in uniform tissue, metre, shape (i, j, k, 3)."""
    storage_pa = 1e3 * generator.uniform(*STORAGE_KPA)
    wavenumber = hz_to_rad_s(FREQUENCY_HZ) * np.sqrt(1000.0 / (storage_pa * (1.0 + 1j * LOSS_TANGENT)))
    places_m = 1e-3 * grid.points_mm
    places_m = places_m - places_m.mean(axis=(0, 1, 2))
    total = np.zeros((*grid.shape, 3), dtype=np.complex128)
    for _ in range(WAVES):
        ahead, other = generator.normal(size=(2, 3))
        ahead = grid.axes @ (ahead * [1.0, 1.0, 0.4])
        ahead /= np.linalg.norm(ahead)
        across = np.cross(ahead, other)
        start = across / np.linalg.norm(across) * np.exp(2j * np.pi * generator.uniform())
        # As large where the wave enters as the others are where they enter.
        depth = places_m @ ahead
        total += np.exp(-1j * wavenumber * (depth - depth.min()))[..., None] * start
    return np.asarray(total * (8e-6 / np.linalg.norm(total, axis=-1).mean()))


def _contrast(slices: int) -> NDArray[np.float64]:
    """Return signal of an ellipse with two vessels, shape (i, j, k)."""
    shape = (*WIDE, slices)
    i, j = (PIXEL_MM * (np.indices(shape)[axis] - shape[axis] / 2.0) for axis in range(2))
    body = (i / 116.0) ** 2 + (j / 84.0) ** 2 < 1.0
    vessels = (np.hypot(i - 40.0, j + 20.0) < 11.0) | (np.hypot(i + 60.0, j - 30.0) < 9.0)
    return np.asarray(body * np.where(vessels, 0.2, 1.0) * np.exp(-i / 600.0))
