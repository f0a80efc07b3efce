"""Law of the error that fibres cause in an isotropic inversion: a random field in ln G' and ln G''.

Waves of different directions meet different moduli where tissue has fibres. The deviation from the tissue's isotropic
part was measured on simulated patients with and without fibres (docs/decisions/0071, 0074): smooth fields of two
lengths,

    Cov(f_a(x), f_b(y)) = sum_l S_l,ab (1 + s) exp(-s),    s = sqrt(3) |x - y| / l.

Every draw of a brain holds such a field.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

LENGTHS_MM: Final = (6.0, 24.0)
"""Correlation lengths of the error by fibres, mm: half a wave, and a tract."""
STORAGE_SHARES: Final = (1.0, 0.0)
"""Shares of the variance of ln G' at these lengths."""
LOSS_SHARES: Final = (0.2, 0.8)
"""Shares of the variance of ln G'' at these lengths."""
LOSS_OVER_STORAGE: Final = 1.5
"""Standard deviation in ln G'' over that in ln G'."""
CROSS_CORRELATION: Final = 0.55
"""Correlation of the two where they share a length."""


def fibre_covariances(percent: float) -> NDArray[np.float64]:
    """Return the covariance S_l of ln G' and ln G'' at one point for each length, shape (lengths, 2, 2).

    Args:
        percent: standard deviation of ln G' because of fibres, percent.
    """
    found = []
    for storage, loss in zip(STORAGE_SHARES, LOSS_SHARES, strict=True):
        stds = percent / 100.0 * np.array([np.sqrt(storage), LOSS_OVER_STORAGE * np.sqrt(loss)])
        correlation = np.array([[1.0, CROSS_CORRELATION], [CROSS_CORRELATION, 1.0]])
        found.append(stds[:, None] * correlation * stds)
    return np.stack(found)


def fibre_variance_of_mean(
    shares: NDArray[np.float64], voxel_mm: NDArray[np.float64], percent: float
) -> NDArray[np.float64]:
    """Return the covariance that fibres give to the means of ln G' and ln G'' over a region, shape (2, 2).

    Args:
        shares: weight of each voxel of a box around the region, shape (i, j, k); 0 outside the region.
        voxel_mm: edges of a voxel, mm, shape (3,).
        percent: standard deviation of ln G' at a point because of fibres, percent.
    """
    weights = shares / shares.sum()
    shape = [scipy.fft.next_fast_len(2 * count, real=True) for count in shares.shape]
    power = np.abs(scipy.fft.rfftn(weights, shape)) ** 2
    together = scipy.fft.irfftn(power, shape)  # weight of each distance between two voxels of the region
    axes = [
        np.minimum(np.arange(count), count - np.arange(count)) * size
        for count, size in zip(shape, voxel_mm, strict=True)
    ]
    distance_mm = np.sqrt(sum(np.square(one) for one in np.meshgrid(*axes, indexing="ij", sparse=True)))
    total = np.zeros((2, 2))
    for length_mm, covariance in zip(LENGTHS_MM, fibre_covariances(percent), strict=True):
        scaled = np.sqrt(3.0) * distance_mm / length_mm
        total += covariance * float(np.sum(together * (1.0 + scaled) * np.exp(-scaled)))
    return total
