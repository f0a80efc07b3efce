"""Temporal harmonics of the phase, and its noise from the signal-free harmonics.

With N offsets phi_k at t_k = k T / N and the convention u(t) = Re(U exp(+i omega t)),

    U_h = (2/N) sum_k phi_k exp(-2 pi i h k / N),    0 < h < N/2.

White noise of standard deviation s per phase image gives the real and the imaginary part of each U_h the standard
deviation sigma = s sqrt(2/N). Harmonics above the second hold next to no motion, so they measure sigma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from palpate.imaging.waves.slice_planes import slice_planes

_KEPT_SHARE: Final = 0.95
POOLING_MM: Final = 12.0
"""Width of the Gaussian weights over which the noise of few offsets is pooled: an area of 4 pi 12^2 = 1800 mm2."""


def first_harmonic(phase_rad: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return the first harmonic U_1 of unwrapped phase.

    Args:
        phase_rad: unwrapped phase phi_k at t_k = k T / N, shape (offset, ...), at least 3 offsets.

    Returns:
        U_1 in radians, shape (...), convention exp(+i omega t).
    """
    return np.asarray(harmonics(phase_rad)[1])


def forward_in_time(phase_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put offsets of a scanner that samples t_k = -k T / N into the order t_k = +k T / N; axis 0 is the offset."""
    return np.roll(phase_rad[::-1], 1, axis=0)


def harmonics(phase_rad: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Return all harmonics U_h, h = 0 ... N // 2, shape (harmonic, ...).

    U_0 (the mean over time) and U_(N/2) (real, cosine only) are scaled by 1/N, so that every |U_h| is an amplitude.
    """
    n_offsets = phase_rad.shape[0]
    spectrum = np.fft.rfft(phase_rad, axis=0) * (2.0 / n_offsets)
    spectrum[0] /= 2.0
    if n_offsets % 2 == 0:
        spectrum[-1] /= 2.0
    return np.asarray(spectrum, dtype=np.complex128)


def signal_free_harmonics(n_offsets: int, *, still: bool = False) -> tuple[int, ...]:
    """Return the harmonics that measure noise: the third and higher, or the second where four offsets have no other.

    Args:
        n_offsets: number N of offsets.
        still: whether the scan was without motion; then every harmonic but the mean is noise.
    """
    highest = n_offsets // 2
    if still:
        return tuple(range(1, highest + 1))
    return tuple(range(3, highest + 1)) or ((2,) if highest == 2 else ())


@dataclass(frozen=True, slots=True)
class HarmonicNoise:
    """Noise of the first harmonic, measured by the signal-free harmonics.

    Attributes:
        std_rad: standard deviation sigma of real and imaginary part, radians, root mean square over the mask.
        local_std_rad: sigma from differences between neighbouring voxels only: the part of the noise that is
            independent from voxel to voxel. Much less than std_rad where higher harmonics hold real motion or where
            whole images drift.
        linear_phase_error_rad: root mean square of the part of the harmonics that is linear in space within each slice,
            scaled like sigma: whole images that shift or tilt in phase, which std_rad leaves out.
        voxel_std_rad: sigma of each voxel, radians, shape (i, j, k); coarse, for it has few degrees of freedom.
    """

    std_rad: float
    local_std_rad: float
    linear_phase_error_rad: float
    voxel_std_rad: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pooling:
    """Pooling of the noise over neighbours, for exams whose offsets leave one coefficient to measure it from.

    Attributes:
        magnitude: mean magnitude of the signal, shape (i, j, k).
        width: standard deviation of the weights along i and j, voxels, shape (2,).
    """

    magnitude: NDArray[np.float64]
    width: NDArray[np.float64]


def measure_noise(
    phase_rad: NDArray[np.float64],
    mask: NDArray[np.bool_],
    *,
    still: bool = False,
    pooling: Pooling | None = None,
) -> HarmonicNoise | None:
    """Measure sigma of one encoding direction; None where there are too few offsets (fewer than four).

    Per voxel, sigma^2 is the mean square of the signal-free coefficients after scaling each to variance sigma^2 and
    subtracting its slice's plane of best fit. Sigma of the mask is the root of the mean of sigma^2 over all but the
    noisiest twentieth of the voxels, corrected for leaving those out: a few bad voxels cannot move it, but tissue with
    less signal, and hence more noise, counts.

    Four offsets leave one coefficient, from which a single voxel's sigma cannot be told. Sigma of the signal, which
    varies slowly over coils, is then pooled over neighbours, and sigma of a voxel's phase is that over its magnitude.

    Args:
        phase_rad: unwrapped phase, shape (offset, i, j, k).
        mask: tissue, shape (i, j, k).
        still: whether the phase is of a scan without motion.
        pooling: pooling of sigma over neighbours; None leaves each voxel its own.
    """
    free = signal_free_harmonics(phase_rad.shape[0], still=still)
    if not free or not mask.any():
        return None
    coefficients = _unit_coefficients(phase_rad, free)
    planes = _fitted_planes(coefficients, mask)
    variance = np.mean((coefficients - planes) ** 2, axis=0)
    degrees = coefficients.shape[0]
    voxel_std = np.sqrt(variance if pooling is None else _pooled(variance, mask, pooling))
    return HarmonicNoise(
        std_rad=_robust_std(variance[mask], degrees),
        local_std_rad=_local_std(coefficients, mask),
        linear_phase_error_rad=float(np.sqrt(np.mean(planes[:, mask] ** 2))),
        voxel_std_rad=np.where(mask, voxel_std, 0.0),
    )


def around(values: NDArray[np.float64], mask: NDArray[np.bool_], width: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return means over the surrounding voxels of the mask within each slice, with Gaussian weights.

    Args:
        values: numbers, shape (i, j, k); those outside the mask do not matter.
        mask: tissue, shape (i, j, k).
        width: standard deviation of the weights along i and j, voxels.
    """
    widths = (*width.tolist(), 0.0)
    weight = ndimage.gaussian_filter(mask.astype(np.float64), widths)
    sums = ndimage.gaussian_filter(np.where(mask, values, 0.0), widths)
    return np.asarray(sums / np.maximum(weight, 1e-6))


def _pooled(variance: NDArray[np.float64], mask: NDArray[np.bool_], pooling: Pooling) -> NDArray[np.float64]:
    """Variance of the phase from that of the signal, which is averaged over the surrounding voxels of the mask."""
    signal = np.where(mask, np.maximum(pooling.magnitude, np.finfo(float).tiny), 1.0)
    return np.asarray(around(variance * signal**2, mask, pooling.width) / signal**2)


def _unit_coefficients(phase_rad: NDArray[np.float64], free: tuple[int, ...]) -> NDArray[np.float64]:
    """Real coefficients of the signal-free harmonics, each as noisy as Re U_1, shape (coefficient, i, j, k)."""
    n_offsets = phase_rad.shape[0]
    spectrum = harmonics(phase_rad)
    parts = []
    for number in free:
        if 2 * number == n_offsets:
            # One real coefficient, mean of +-phi: variance s^2/N, half of sigma^2.
            parts.append(spectrum[number].real * np.sqrt(2.0))
        else:
            parts += [spectrum[number].real, spectrum[number].imag]
    return np.stack(parts)


def _fitted_planes(coefficients: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the least-squares plane a + b i + c j of each coefficient by slice in the mask, 0 outside, same shape."""
    values = coefficients[:, mask]
    fitted = np.zeros_like(values)
    for inside, terms in slice_planes(mask):
        fitted[:, inside] = (terms @ np.linalg.lstsq(terms, values[:, inside].T, rcond=None)[0]).T
    planes = np.zeros_like(coefficients)
    planes[:, mask] = fitted
    return planes


def _robust_std(variance: NDArray[np.float64], degrees: int) -> float:
    """Sigma from voxels' mean squares with so many degrees of freedom each, the largest twentieth left out.

    Of a chi-square variable X with n degrees of freedom and its quantile q, E[X | X < q] = n F_(n+2)(q) / F_n(q).
    """
    lowest = np.sort(variance, axis=None)[: max(int(_KEPT_SHARE * variance.size), 1)]
    limit = stats.chi2.ppf(_KEPT_SHARE, degrees)
    expected = stats.chi2.cdf(limit, degrees + 2) / _KEPT_SHARE
    return float(np.sqrt(lowest.mean() / expected))


def noise_correlation(
    phase_rad: NDArray[np.float64], mask: NDArray[np.bool_], *, still: bool = False
) -> tuple[float, float] | None:
    """Return the correlation of the noise of neighbouring voxels along i and j; None with fewer than four offsets.

    It comes from the signal-free harmonics less each slice's plane, as sigma does, so that motion of higher harmonics
    and drifts that vary within a slice count as correlated noise.

    Args:
        phase_rad: unwrapped phase, shape (offset, i, j, k).
        mask: tissue, shape (i, j, k).
        still: whether the phase is of a scan without motion.
    """
    free = signal_free_harmonics(phase_rad.shape[0], still=still)
    if not free or not mask.any():
        return None
    coefficients = _unit_coefficients(phase_rad, free)
    noise = coefficients - _fitted_planes(coefficients, mask)
    found = []
    for axis in (1, 2):
        length = mask.shape[axis - 1]
        ahead, behind = (np.take(noise, range(first, first + length - 1), axis=axis) for first in (1, 0))
        shares = [np.take(mask, range(first, first + length - 1), axis=axis - 1) for first in (1, 0)]
        both = shares[0] & shares[1]
        size = float(np.sqrt(np.sum(ahead[:, both] ** 2) * np.sum(behind[:, both] ** 2)))
        found.append(float(np.sum(ahead[:, both] * behind[:, both])) / size if size > 0.0 else 0.0)
    return found[0], found[1]


def _local_std(coefficients: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Sigma from in-plane second differences, (4 f - neighbours) / sqrt(20), whose variance is that of white noise."""
    cross = np.zeros((3, 3))
    cross[1, :] = cross[:, 1] = -1.0
    cross[1, 1] = 4.0
    kernel = cross[None, :, :, None] / np.sqrt(20.0)
    inside = ndimage.binary_erosion(mask, structure=(cross != 0)[:, :, None])
    if not inside.any():
        inside = mask
    differences = ndimage.correlate(coefficients, kernel, mode="nearest")
    return _robust_std(np.mean(differences[:, inside] ** 2, axis=0), coefficients.shape[0])
