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
from palpate.imaging.waves.noise_band import band_of, within_band
from palpate.imaging.waves.robust import bounded_mean

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
        band: fractions of the band along i and j that the noise fills; 1 where it is independent between voxels.
        own_share: share of the square of std_m that does not come from the images' noise, such as elements' error.
    """

    std_m: float
    stated_std_m: float | None
    source: str
    weights: NDArray[np.float64] | None = None
    band: tuple[float, float] = (1.0, 1.0)
    own_share: float = 0.0

    def of_probe(self, probe: NDArray[np.complex128], mask: NDArray[np.bool_]) -> NDArray[np.complex128] | None:
        """Return noise that fills the band and no more, of the probe's density in it; None where it fills all of it.

        Args:
            probe: unit noise, independent between the mask's voxels, shape (N, C).
            mask: mask of N voxels, shape (i, j, k), slices along k.
        """
        if self.band == (1.0, 1.0):
            return None
        generator = np.random.default_rng(BAND_SEED)
        volume = complex_normal(generator, (*mask.shape, probe.shape[1]))
        volume[mask] = probe
        shared = within_band(volume, self.band)[mask]
        white = complex_normal(generator, probe.shape)
        return np.asarray(np.sqrt(1.0 - self.own_share) * shared + np.sqrt(self.own_share) * white)


BAND_SEED: Final = 100
"""Seed of noise outside the mask, and of the part of noise that voxels do not share."""

MAP_SMOOTHING_VOXELS: Final = 2.0
"""Standard deviation of the Gaussian over which the variance of a noise map is averaged, voxels."""

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
    correlation = field.noise_correlation if stated and field.noise_correlation else (0.0, 0.0)
    band = (band_of(correlation[0]), band_of(correlation[1]))
    # At the wavelengths of waves, noise that fills a part of the band has the density of larger independent noise.
    factor /= float(np.sqrt(np.prod(band)))
    base = factor * stated if stated else measured_noise(field.displacement_m, field.mask)
    mean = bounded_mean(np.linalg.norm(field.displacement_m[field.mask], axis=-1))
    total = float(np.hypot(base, discretisation_percent / 100.0 * mean))
    error_m = discretisation_percent / 100.0 * mean
    weights = _weights(field, factor, total, error_m) if stated else None
    source = "stated" if stated else "measured"
    return NoiseModel(total, stated, source, weights, band, (error_m / total) ** 2)


def complex_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Draw independent complex numbers whose real and imaginary parts have unit variance.

    Args:
        generator: source of the numbers.
        shape: shape of the array.
    """
    parts = generator.standard_normal((2, *shape))
    return np.asarray(parts[0] + 1j * parts[1])


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
