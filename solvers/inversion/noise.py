"""The noise of a wave field: as stated, or measured from the field itself where nobody said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.robust import robust_std
from palpate.imaging.wavefield import WaveField

_THIRD_DIFFERENCE = np.array([-1.0, 3.0, -3.0, 1.0])


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviation of the real and of the imaginary part of each displacement component.

    Attributes:
        std_m: sigma that the inversion uses, metres.
        stated_std_m: what the wave field states; None where it states nothing.
        source: "stated" or "measured".
    """

    std_m: float
    stated_std_m: float | None
    source: str


def noise_of(field: WaveField, *, factor: float, discretisation_percent: float) -> Noise:
    """The noise to invert with: stated or measured noise, and the discretisation error, in quadrature.

    Args:
        field: the wave field.
        factor: multiplies stated noise.
        discretisation_percent: of the mean displacement |U|.
    """
    stated = field.noise_std_m
    base = factor * stated if stated else measured_noise(field.displacement_m, field.mask)
    mean = float(np.linalg.norm(field.displacement_m[field.mask], axis=-1).mean())
    total = float(np.hypot(base, discretisation_percent / 100.0 * mean))
    return Noise(total, stated, "stated" if stated else "measured")


def measured_noise(displacement_m: NDArray[np.complex128], mask: NDArray[np.bool_]) -> float:
    """Standard deviation of white noise from third differences, along which waves are nearly flat.

    The median over voxels and axes resists edges. What is left of the waves is counted as noise, never the reverse.

    Args:
        displacement_m: U, shape (i, j, k, 3).
        mask: shape (i, j, k).
    """
    estimates = []
    for axis in range(3):
        moved = np.moveaxis(displacement_m, axis, 0)
        inside = np.moveaxis(mask, axis, 0)
        length = len(moved) - len(_THIRD_DIFFERENCE) + 1
        if length < 1:
            continue
        difference = sum(c * moved[i : i + length] for i, c in enumerate(_THIRD_DIFFERENCE))
        valid = np.logical_and.reduce([inside[i : i + length] for i in range(len(_THIRD_DIFFERENCE))])
        values = difference[valid]
        if values.size:
            parts = np.concatenate([values.real.ravel(), values.imag.ravel()])
            estimates.append(float(robust_std(parts) / np.linalg.norm(_THIRD_DIFFERENCE)))
    return min(estimates) if estimates else 0.0
