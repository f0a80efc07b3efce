"""Do the waves lose energy as they travel? The one check of the sign of time that needs no header.

Tissue is passive: G'' > 0. A wave field with the wrong sign of time is the complex conjugate of the right one and
shows G'' < 0. The estimate here is good for that sign and for nothing else: it smooths, looks only within slices and
takes the tissue for uniform.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from palpate.imaging.displacement import without_slice_means
from palpate.imaging.wavefield import WaveField
from palpate.units import hz_to_rad_s, mm_to_m

_SMOOTHING_MM = 3.0
_MARGIN_MM = 10.0


def apparent_modulus_pa(field: WaveField) -> complex | None:
    """The one complex modulus that fits the whole field best, G* = -rho omega^2 sum(u conj(lap u)) / sum |lap u|^2.

    Args:
        field: a wave field; displacement in any unit.

    Returns:
        G' + iG''; None where the mask is too thin for a margin of 10 mm.
    """
    edges_mm = field.voxel_size_mm[:2]
    rim = np.ones(tuple(2 * np.round(_MARGIN_MM / edges_mm).astype(int) + 1), dtype=bool)[:, :, None]
    inside = ndimage.binary_erosion(field.mask, structure=rim)
    if not inside.any():
        return None
    products, squares = 0j, 0.0
    for component in range(3):
        u = without_slice_means(field.displacement_m[..., component], field.mask) * field.mask
        u = ndimage.gaussian_filter(u, (*(_SMOOTHING_MM / edges_mm), 0.0))
        laplacian = sum(
            (np.roll(u, 1, axis) - 2.0 * u + np.roll(u, -1, axis)) / mm_to_m(float(edges_mm[axis])) ** 2
            for axis in range(2)
        )
        products += complex((u * np.conj(laplacian))[inside].sum())
        squares += float((np.abs(laplacian) ** 2)[inside].sum())
    return -field.density_kg_m3 * hz_to_rad_s(field.frequency_hz) ** 2 * products / squares if squares > 0 else None
