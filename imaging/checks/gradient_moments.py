"""Second moments of a wave field's gradient, from which divergence and curl follow for other interpretations.

For G = dU_c / dx_w in each voxel, two tables of means over the voxels are kept,

    proper  M = <G conj(G)>,    pseudo  P = <G G>.

Components turned by real numbers, moved in time by a phase each, or reversed in time have moments that are linear in M
and P, and so have their real and imaginary part alone: (M + Re P) / 2 and (M - Re P) / 2. Circular noise has no P.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.limits.check_limits import AXES_SIGNAL
from palpate.imaging.wavefield import WaveField

_FEWEST_VOXELS = 30
_MOST_VOXELS = 60_000


@dataclass(frozen=True, slots=True)
class GradientMoments:
    """Second moments of dU_c/dx_w, less the share of noise.

    Attributes:
        proper: mean of G_cw conj(G_dv), shape (3, 3, 3, 3).
        pseudo: mean of G_cw G_dv, same shape.
    """

    proper: NDArray[np.complex128]
    pseudo: NDArray[np.complex128]

    def of_part(self, part: str) -> NDArray[np.float64]:
        """Return the moments of the real or the imaginary part alone, shape (3, 3, 3, 3).

        Args:
            part: "real" or "imaginary".
        """
        sign = 1.0 if part == "real" else -1.0
        return np.asarray(0.5 * (self.proper.real + sign * self.pseudo.real))


def gradient_moments(field: WaveField) -> GradientMoments | None:
    """Return the moments over voxels with six neighbours of tissue.

    Args:
        field: wave field to evaluate.

    Returns:
        The moments; None where too few voxels have six neighbours of tissue, or noise hides the waves.
    """
    inside = np.argwhere(ndimage.binary_erosion(field.mask, ndimage.generate_binary_structure(3, 1)))
    if len(inside) < _FEWEST_VOXELS:
        return None
    inside = inside[:: -(-len(inside) // _MOST_VOXELS)]
    displacement = field.displacement_m
    scale = float(np.abs(displacement[tuple(inside.T)]).max()) or 1.0
    to_world = np.linalg.inv(field.affine_mm[:3, :3])
    steps = np.eye(3, dtype=int)
    slopes = [displacement[tuple((inside + one).T)] - displacement[tuple((inside - one).T)] for one in steps]
    gradient = (np.stack(slopes, axis=-1) * (0.5 / scale) @ to_world).reshape(-1, 9)
    measured, pseudo = (
        np.asarray((gradient.T @ other).reshape(3, 3, 3, 3) / len(gradient), dtype=np.complex128)
        for other in (gradient.conj(), gradient)
    )
    if field.noise_std_m is None:
        return GradientMoments(measured, pseudo)
    # A central difference of complex noise has the mean square 2 sigma^2 / 2.
    noise = (field.noise_std_m / scale) ** 2 * np.einsum("aw,av->wv", to_world, to_world)
    moments = measured - np.einsum("cd,wv->cwdv", np.eye(3), noise)
    share = _power(moments) / max(_power(measured), 1e-300)
    return GradientMoments(np.asarray(moments), pseudo) if share > AXES_SIGNAL else None


def divergence_over_curl(moments: NDArray[np.float64], choice: NDArray[np.float64] | None = None) -> float:
    """Return the root mean square of div U over that of curl U, of components turned by a matrix.

    Args:
        moments: real part of the mean of G_cw conj(G_dv), shape (3, 3, 3, 3).
        choice: matrix from given to chosen components, shape (3, 3); None for the components as given.
    """
    turned = moments if choice is None else np.einsum("ac,bd,cwdv->awbv", choice, choice, moments)
    divergence = float(np.einsum("aabb->", turned))
    curl = float(np.einsum("awaw->", turned) - np.einsum("awwa->", turned))
    return float(np.sqrt(max(divergence, 0.0) / max(curl, 1e-300)))


def _power(moments: NDArray[np.complex128]) -> float:
    return float(np.einsum("cwcw->", moments).real)
