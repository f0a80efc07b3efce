"""Noise of a wave field: as stated, or measured from the field itself where none is stated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.neighbour_noise import measured_noise

__all__ = ["NoiseModel", "measured_noise", "noise_of"]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Standard deviation of the real and of the imaginary part of each displacement component.

    Attributes:
        std_m: standard deviation sigma that the inversion uses, metre.
        stated_std_m: standard deviation that the wave field states, metre; None where it states none.
        source: origin of the noise, "stated" or "measured".
    """

    std_m: float
    stated_std_m: float | None
    source: str


def noise_of(field: WaveField, *, factor: float, discretisation_percent: float) -> NoiseModel:
    """Return the noise of the inversion: stated or measured noise, and the discretisation error, added in quadrature.

    Args:
        field: the wave field.
        factor: factor on stated noise.
        discretisation_percent: discretisation error, percent of the mean displacement |U|.
    """
    stated = field.noise_std_m
    base = factor * stated if stated else measured_noise(field.displacement_m, field.mask)
    mean = float(np.linalg.norm(field.displacement_m[field.mask], axis=-1).mean())
    total = float(np.hypot(base, discretisation_percent / 100.0 * mean))
    return NoiseModel(total, stated, "stated" if stated else "measured")
