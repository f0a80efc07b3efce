"""Region of an exam without a drawn organ: tissue with signal in which waves are well above the noise.

It is no segmentation: it may hold other organs than the one that was meant, and lack parts of that one. Voxels are left
out in this order.

1. The edge of the body, one voxel wide within each slice, where air shares the voxel.
2. Vessels, gas and ghosts: signal far below or above the median of the surrounding 28 mm. The median follows the
   sensitivity of surface coils, so that a threshold need not.
3. Waves weaker than `least_snr` times their noise, both as root mean square over the surrounding 12 mm. Where no noise
   was measured, this step is left out.
4. Bridges of one voxel, and all but the largest connected piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.anatomy.tissue_mask import largest_piece
from palpate.imaging.waves.harmonics import POOLING_MM, around

NOT_AN_ORGAN: Final = "not an organ segmentation: tissue with signal in which waves are well above the noise"
"""Label of a region by waves, in the record and beside the mask."""
_WINDOW_MM: Final = 28.0
"""Width of the window whose median signal stands for the tissue around a voxel."""
_VOID: Final = 0.6
_BRIGHT: Final = 1.5
"""Signal over that of the tissue around it, below and above which a voxel is taken for a void or a bright vessel.

The liver of the public exam lies between 0.83 and 1.36 in 99 of 100 voxels.
"""
_IN_PLANE: Final = np.ones((3, 3, 1), dtype=bool)


@dataclass(frozen=True, slots=True)
class WaveRegion:
    """Region gated by signal and waves.

    Attributes:
        mask: the region, shape (i, j, k).
        left_out: number of voxels of tissue left out, by reason, in the order of the steps.
    """

    mask: NDArray[np.bool_]
    left_out: dict[str, int]


def wave_region(
    magnitude: NDArray[np.float64],
    tissue: NDArray[np.bool_],
    waves: NDArray[np.complex128],
    noise: NDArray[np.float64] | None,
    voxel_mm: NDArray[np.float64],
    *,
    least_snr: float,
    edges: bool = True,
) -> WaveRegion:
    """Return the region of an exam in which waves were measured.

    Args:
        magnitude: mean signal, shape (i, j, k).
        tissue: voxels with signal, shape (i, j, k).
        waves: first harmonic along each direction, any unit, shape (direction, i, j, k).
        noise: standard deviation of its real and imaginary part by voxel, same unit and shape; None where it was not
            measured.
        voxel_mm: edges of a voxel along i, j, k, mm, shape (3,).
        least_snr: least amplitude of the waves over the noise of their real and imaginary part.
        edges: whether tissue still has the edge of the body.
    """
    inner = ndimage.binary_erosion(tissue, _IN_PLANE) if edges else tissue
    usual = inner & ~unlike_surroundings(magnitude, tissue, voxel_mm)
    strong = usual if noise is None else usual & (wave_snr(waves, noise, tissue, voxel_mm) > least_snr)
    kept = largest_piece(ndimage.binary_opening(largest_piece(strong), _IN_PLANE))
    steps = {"edge": inner, "void or bright": usual, "weak waves": strong, "bridge or other piece": kept}
    counts = [int(one.sum()) for one in (tissue, *steps.values())]
    left_out = {name: before - after for name, before, after in zip(steps, counts, counts[1:], strict=False)}
    return WaveRegion(kept, left_out)


def wave_snr(
    waves: NDArray[np.complex128],
    noise: NDArray[np.float64],
    tissue: NDArray[np.bool_],
    voxel_mm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the waves' amplitude over the noise of their real and imaginary part, shape (i, j, k); 0 outside tissue.

    Args:
        waves: first harmonic along each direction, shape (direction, i, j, k).
        noise: standard deviation by voxel, same unit and shape.
        tissue: voxels with signal, shape (i, j, k).
        voxel_mm: edges of a voxel along i, j, k, mm, shape (3,).
    """
    width = POOLING_MM / voxel_mm[:2]
    energy, variance = np.sum(np.abs(waves) ** 2, axis=0), np.sum(noise**2, axis=0)
    spread = np.sqrt(np.where(tissue, variance, 1.0))
    amplitude = np.sqrt(around(energy, tissue, width))
    ratio = np.divide(amplitude, spread, out=np.full(spread.shape, np.inf), where=spread > 0.0)
    return np.where(tissue, ratio, 0.0)


def unlike_surroundings(
    magnitude: NDArray[np.float64], tissue: NDArray[np.bool_], voxel_mm: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return voxels whose signal is far from the median of the tissue around them in the slice: vessels and voids.

    Args:
        magnitude: mean signal, shape (i, j, k).
        tissue: voxels to look at, and to compare them with, shape (i, j, k).
        voxel_mm: edges of a voxel along i, j, k, mm, shape (3,).
    """
    if not tissue.any():
        return np.zeros(tissue.shape, dtype=bool)
    half = np.maximum(np.rint(_WINDOW_MM / 2.0 / voxel_mm[:2]).astype(int), 1)
    padded = np.pad(
        np.where(tissue, magnitude, np.nan), [(half[0],) * 2, (half[1],) * 2, (0, 0)], constant_values=np.nan
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(2 * half + 1), axis=(0, 1))
    ratio = np.ones(magnitude.shape)
    ratio[tissue] = magnitude[tissue] / np.nanmedian(windows[tissue].reshape(int(tissue.sum()), -1), axis=1)
    return np.asarray((ratio < _VOID) | (ratio > _BRIGHT))
