"""Part of the band that noise fills where neighbours share it, as in images that were interpolated or filtered."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_BAND: Final = 0.1
"""Least fraction of the band that noise is taken to fill."""


def band_of(correlation: float) -> float:
    """Return the fraction f of the band that noise fills along an axis, from the correlation of neighbours, sinc(f).

    At the wavelengths of waves such noise has 1 / f times the density of independent noise of the same size.

    Args:
        correlation: correlation between neighbouring voxels along the axis; 0 or less is independent noise.
    """
    filled = np.linspace(1.0, LEAST_BAND, 1000)
    return float(np.interp(max(correlation, 0.0), np.sinc(filled), filled))


def within_band(values: NDArray[np.complex128], band: tuple[float, float]) -> NDArray[np.complex128]:
    """Return values without what lies outside the band; inside, independent noise keeps its density.

    Args:
        values: complex values on the grid, shape (i, j, k, C).
        band: fractions of the band along i and j that are kept.
    """
    for axis, fraction in enumerate(band):
        count = values.shape[axis]
        wavenumber = np.abs(np.fft.fftfreq(count)) * count
        inside = 0.5 * fraction * count + 0.5 - wavenumber
        inside[wavenumber == 0.5 * count] *= 2.0  # the one coefficient stands for both of its signs
        gain = np.sqrt(np.clip(inside, 0.0, 1.0))
        along = gain.reshape([-1 if one == axis else 1 for one in range(values.ndim)])
        values = np.fft.ifft(along * np.fft.fft(values, axis=axis), axis=axis)
    return values
