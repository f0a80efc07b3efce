"""Error of a region's ratio because voxels at its edge hold other tissue, by different shares in both sessions.

A voxel of which a share s lies inside holds about s g_in + (1 - s) g_out. The region's mean, weighted by the shares, is
then off by c (g_out - g_in) with c = sum s (1 - s) / sum s. Where both sessions lie alike on their voxels this cancels
in the ratio; what is left is (c_B - c_A) (g_out - g_in) / g_in. It is not corrected, since maps are smoother than
tissue, but taken as one standard deviation of ln (B / A).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from palpate.imaging.changes.session import ComparedSession
from palpate.imaging.region_values.weights import WeightedRegion


def edge_share(region: WeightedRegion) -> float:
    """Return the share c of other tissue in a region's mean, 0 to 1."""
    total = float(region.shares.sum())
    return float(np.sum(region.shares * (1.0 - region.shares))) / total if total > 0.0 else 0.0


def beside(region: WeightedRegion, session: ComparedSession) -> NDArray[np.bool_]:
    """Return the voxels with draws that touch a region by a face and hold nothing of it, shape (N,).

    Args:
        region: region on the voxels of the session.
        session: the session.
    """
    voxels = session.draws.voxels
    inside = voxels[region.shares > 0.0]
    low, high = inside.min(axis=0) - 1, inside.max(axis=0) + 2
    near = np.all((voxels >= low) & (voxels < high), axis=1)
    touched = np.zeros(high - low, dtype=bool)
    touched[tuple((inside - low).T)] = True
    around = ndimage.binary_dilation(touched) & ~touched
    found = np.zeros(len(voxels), dtype=bool)
    found[near] = around[tuple((voxels[near] - low).T)]
    return found


def contrast(region: WeightedRegion, around: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
    """Return (g_out - g_in) / g_in of a region: the voxels beside it against those inside; 0 where none lie beside it.

    Args:
        region: region on the voxels of the session.
        around: voxels beside it, shape (N,).
        values: posterior mean of the quantity in all voxels, shape (N,).
    """
    if not around.any():
        return 0.0
    inner = region.shares**2
    return float(values[around].mean()) / float(inner @ values / inner.sum()) - 1.0


def edge_std(shares: tuple[float, float], contrasts: tuple[float, float]) -> float:
    """Return the standard deviation of ln (B / A) because of the edges.

    Args:
        shares: share of other tissue in either session.
        contrasts: contrast of the region's edge in either session.
    """
    return abs(shares[1] - shares[0]) * float(np.mean(np.abs(contrasts)))
