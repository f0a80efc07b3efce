"""Noise of a wave field, stated or else measured from the field itself; a number, or a map over the voxels.

A map that ingest measured has few degrees of freedom in a voxel, so its variance is averaged over neighbours, which
noise that varies with the signal survives. Where it hardly varies, all data have one noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.neighbour_noise import measured_noise

__all__ = ["NoiseModel", "complex_normal", "measured_noise", "noise_of"]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Standard deviation of the real and of the imaginary part of each displacement component.

    Attributes:
        std_m: standard deviation sigma that the inversion uses, metre.
        stated_std_m: standard deviation that the wave field states, metre; None where it states none.
        source: origin of the noise, "stated" or "measured".
        weights: precision of each datum over that of std_m, shape (N, C), components as the data have them; None where
            the noise is the same everywhere.
    """

    std_m: float
    stated_std_m: float | None
    source: str
    weights: NDArray[np.float64] | None = None


MAP_SMOOTHING_VOXELS: Final = 2.0
"""Standard deviation of the Gaussian over which the variance of a noise map is averaged, voxels."""

LEAST_BAND: Final = 0.1
"""Least fraction of the band that noise is taken to fill."""

UNIFORM: Final = 1.25
"""Ratio of the noise of the noisiest twentieth of the data to that of the quietest, below which it is one number."""


def noise_of(field: WaveField, *, factor: float, discretisation_percent: float) -> NoiseModel:
    """Return the noise of the inversion: stated or measured noise, and the discretisation error, added in quadrature.

    Args:
        field: the wave field.
        factor: factor on stated noise.
        discretisation_percent: discretisation error, percent of the mean displacement |U|.
    """
    stated = field.noise_std_m
    factor *= _white_equivalent(field.noise_correlation)
    base = factor * stated if stated else measured_noise(field.displacement_m, field.mask)
    mean = float(np.linalg.norm(field.displacement_m[field.mask], axis=-1).mean())
    total = float(np.hypot(base, discretisation_percent / 100.0 * mean))
    error_m = discretisation_percent / 100.0 * mean
    return NoiseModel(
        total, stated, "stated" if stated else "measured", _weights(field, factor, total, error_m) if stated else None
    )


def complex_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Draw independent complex numbers whose real and imaginary parts have unit variance.

    Args:
        generator: source of the numbers.
        shape: shape of the array.
    """
    parts = generator.standard_normal((2, *shape))
    return np.asarray(parts[0] + 1j * parts[1])


def _white_equivalent(correlation: tuple[float, float] | None) -> float:
    """Return the factor on the noise that makes independent voxels of correlated ones, at the wavelengths of waves.

    Noise that fills the fraction f of the band along an axis has the correlation sinc(f) between neighbours and, there,
    1 / f times the density of white noise of the same size.
    """
    if correlation is None:
        return 1.0
    filled = np.linspace(1.0, LEAST_BAND, 1000)
    fractions = [float(np.interp(max(one, 0.0), np.sinc(filled), filled)) for one in correlation]
    return float(1.0 / np.sqrt(np.prod(fractions)))


def _weights(field: WaveField, factor: float, std_m: float, error_m: float) -> NDArray[np.float64] | None:
    """Return the precision of each datum by the field's noise map over that of `std_m`; None where it is uniform."""
    if field.noise_map_m is None:
        return None
    variance = np.stack(
        [_averaged(np.nan_to_num(part) ** 2, field.mask) for part in np.moveaxis(field.noise_map_m, -1, 0)], axis=-1
    )
    if field.directions is None:  # from R, A, S to the axes of the voxels
        variance = variance @ (field.affine_mm[:3, :3] / field.voxel_size_mm) ** 2
    total = factor**2 * variance + error_m**2
    quiet, noisy = np.sqrt(np.quantile(total, (0.05, 0.95)))
    return None if noisy <= UNIFORM * quiet else np.asarray(std_m**2 / total)


def _averaged(variance: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Averages over neighbours within the mask, shape (N,)."""
    known = mask & (variance > 0.0)
    total, count = (
        ndimage.gaussian_filter(np.where(known, values, 0.0), MAP_SMOOTHING_VOXELS) for values in (variance, 1.0)
    )
    return np.asarray((total / np.where(count > 0.0, count, 1.0))[mask])
