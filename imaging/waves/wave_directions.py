"""Direction in which waves travel, and difference of a wave field from the shear waves that an inversion assumes.

The flux of a plane wave U = A exp(-i k . x) (convention exp(+i omega t)),

    p = -Im sum_c conj(U_c) grad U_c = k |A|^2,

points along its direction of travel. In a sum of waves it points along the strongest, and is 0 for standing waves.
Shear waves have no divergence: div U over curl U is zero but for noise, wrong turns of the phase, and compressional
waves, whose wavelength of metres makes them look like a uniform strain. Fewer than three components have no divergence
that could be told, and their flux is that of the components that were measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.signal_voids import signal_mask


@dataclass(frozen=True, slots=True)
class WaveDirections:
    """Directions of travel and divergence of the waves of a wave field.

    Attributes:
        flux: flux p in voxels whose neighbours all have signal, along R, A, S, arbitrary unit, shape (n, 3).
        directionality: |sum p| / sum |p|: 1 where all waves travel in one direction, 0 where they come from all
            sides or stand.
        divergence_share: root mean square of div U over that of curl U; with white noise alone 0.71. None where fewer
            than three components were measured.
    """

    flux: NDArray[np.float64]
    directionality: float
    divergence_share: float | None

    def towards(self) -> dict[str, float]:
        """Return the share of the flux towards each side of the patient, the side nearest to its direction.

        Returns:
            Shares of R, L, A, P, S, I; they sum to one.
        """
        size = np.linalg.norm(self.flux, axis=1)
        main = np.abs(self.flux).argmax(axis=1)
        positive = np.take_along_axis(self.flux, main[:, None], axis=1)[:, 0] > 0
        return {
            name: float(size[(main == axis) & (positive == ahead)].sum() / max(size.sum(), 1e-300))
            for axis, names in enumerate(("RL", "AP", "SI"))
            for name, ahead in zip(names, (True, False), strict=True)
        }


def wave_directions(field: WaveField) -> WaveDirections | None:
    """Return the directions of a wave field over its voxels with signal; None where none has six such neighbours.

    Args:
        field: wave field to evaluate.
    """
    inside = _surrounded(signal_mask(field))
    if not inside.any():
        return None
    displacement = field.displacement_m
    along_voxels = np.stack([np.gradient(displacement, axis=axis)[inside] for axis in range(3)], axis=-1)
    to_world = np.linalg.inv(field.affine_mm[:3, :3])
    gradient = np.asarray(along_voxels @ to_world, dtype=np.complex128)  # dU_c / dx_w, shape (n, c, w)
    flux = -np.einsum("nc,ncw->nw", displacement[inside].conj(), gradient).imag
    return WaveDirections(
        flux=flux,
        directionality=float(np.linalg.norm(flux.sum(axis=0)) / max(np.linalg.norm(flux, axis=1).sum(), 1e-300)),
        divergence_share=_divergence_share(gradient) if field.directions is None else None,
    )


def _divergence_share(gradient: NDArray[np.complex128]) -> float:
    """Return the root mean square of div U over that of curl U, from gradients dU_c / dx_w of shape (n, 3, 3)."""
    rotation = gradient - np.swapaxes(gradient, 1, 2)
    curl_square = 0.5 * np.sum(np.abs(rotation) ** 2, axis=(1, 2))
    divergence_square = np.abs(np.trace(gradient, axis1=1, axis2=2)) ** 2
    return float(np.sqrt(divergence_square.mean() / max(curl_square.mean(), 1e-300)))


def _surrounded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return voxels of the mask whose six neighbours are in it."""
    return np.asarray(ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1)))
