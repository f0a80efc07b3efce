"""Noise of a level stated in percent of mean |U|, as the literature of simulations gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField


def write_noisy(field: WaveField, folder: Path, level_percent: float, seed: int | Sequence[int]) -> None:
    """Write a wave field with complex Gaussian noise, and its level in the sidecar.

    Args:
        field: wave field without noise.
        folder: folder to write; it is made where it is missing.
        level_percent: standard deviation of each real and imaginary part over mean |U| inside the mask, |U| being the
            length of the complex vector.
        seed: seed of the noise.
    """
    sigma_m = level_percent / 100.0 * float(np.linalg.norm(field.displacement_m, axis=-1)[field.mask].mean())
    real, imaginary = np.random.default_rng(seed).standard_normal((2, *field.displacement_m.shape))
    noisy = field.displacement_m + sigma_m * (real + 1j * imaginary)
    folder.mkdir(parents=True, exist_ok=True)
    write_wave_field(folder, dataclasses.replace(field, displacement_m=noisy, noise_std_m=sigma_m))
