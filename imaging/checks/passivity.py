"""Check of the sign of time by the waves' loss of energy; the only such check that needs no header.

Tissue is passive: G'' > 0. A wave field with the wrong sign of time is the complex conjugate of the right one and
shows G'' < 0. The estimate here is good for that sign and for nothing else: it smooths, uses only slices one by one and
takes the tissue for uniform. Voxels without signal are left out of the smoothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.displacement import without_slice_means
from palpate.imaging.limits.check_limits import LAPLACIAN_SIGNAL
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.signal_voids import with_signal
from palpate.units import hz_to_rad_s, mm_to_m

_SMOOTHING_MM = 3.0
_MARGIN_MM = 10.0
_SMOOTHING_VOXELS = 1.5
_MARGIN_VOXELS = 5.0
_MOST_SLICES = 16
_SEEN = 0.5
"""Least share of the smoothing's weights that must fall on voxels with signal."""


def apparent_modulus_pa(field: WaveField) -> complex | None:
    """Return the modulus that fits the whole field best, G* = -rho omega^2 sum(u conj(lap u)) / sum |lap u|^2.

    Where the noise is known, the contribution of one draw of it is subtracted from both sums.

    Args:
        field: wave field, its displacement in any unit.

    Returns:
        G' + iG'', pascal; None where the mask is too thin for a margin of 10 mm or 5 voxels, or noise hides the waves.
    """
    i, j, _ = (slice(int(a.min()), int(a.max()) + 1) for a in np.nonzero(field.mask))
    # Slices stay apart here, so that some of many tell as much.
    slices = np.flatnonzero(field.mask.any(axis=(0, 1)))
    slices = slices[:: -(-len(slices) // _MOST_SLICES)]
    mask, displacement = field.mask[i, j][..., slices], field.displacement_m[i, j][:, :, slices]
    sound = with_signal(field)
    signal = sound.mask[i, j][..., slices]
    edges_mm = field.voxel_size_mm[:2]
    width, inside = _SMOOTHING_MM / edges_mm, _interior(mask, _MARGIN_MM / edges_mm)
    if not inside.any():
        # Fine voxels, or voxels in another unit than millimetres, which is what the estimate then shows.
        width, inside = np.full(2, _SMOOTHING_VOXELS), _interior(mask, np.full(2, _MARGIN_VOXELS))
    if not inside.any():
        return None
    products, squares = _sums(displacement, mask, signal, inside, edges_mm, width)
    if sound.noise_std_m is not None:
        parts = np.random.default_rng(0).normal(scale=sound.noise_std_m, size=(2, *displacement.shape))
        of_noise = _sums(parts[0] + 1j * parts[1], mask, signal, inside, edges_mm, width)
        # Noise alone has no phase: the draw's own imaginary part is chance. What is left of pure noise is nothing.
        products, squares = products - of_noise[0].real, squares - of_noise[1]
        if squares < LAPLACIAN_SIGNAL * (squares + of_noise[1]):
            return None
    if squares <= 0.0:
        return None
    return -field.density_kg_m3 * hz_to_rad_s(field.frequency_hz) ** 2 * products / squares


def _interior(mask: NDArray[np.bool_], margin: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return voxels of the mask so many voxels away from its rim in their slices."""
    extent = 2 * np.round(margin).astype(int) + 1
    if np.any(extent > mask.shape[:2]):
        return np.zeros_like(mask)
    rim = np.ones(tuple(extent), dtype=bool)[:, :, None]
    return np.asarray(ndimage.binary_erosion(mask, structure=rim))


def _sums(
    displacement: NDArray[np.complex128],
    mask: NDArray[np.bool_],
    signal: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    edges_mm: NDArray[np.float64],
    width: NDArray[np.float64],
) -> tuple[complex, float]:
    """Return sums of u conj(lap u) and |lap u|^2 over voxels and components, u smoothed and less its slices' means."""
    products, squares = 0j, 0.0
    void, weight = mask & ~signal, np.ones(mask.shape)
    if void.any():
        weight = ndimage.gaussian_filter(1.0 - void, (*width, 0.0))
        inside = inside & (weight > _SEEN)
    for component in range(displacement.shape[-1]):
        u = without_slice_means(displacement[..., component], signal) * signal
        u = ndimage.gaussian_filter(u, (*width, 0.0)) / np.maximum(weight, _SEEN)
        laplacian = sum(
            (np.roll(u, 1, axis) - 2.0 * u + np.roll(u, -1, axis)) / mm_to_m(float(edges_mm[axis])) ** 2
            for axis in range(2)
        )
        products += complex((u * np.conj(laplacian))[inside].sum())
        squares += float((np.abs(laplacian) ** 2)[inside].sum())
    return products, squares
