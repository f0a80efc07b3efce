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


def contrast(region: WeightedRegion, session: ComparedSession, values: NDArray[np.float64]) -> float:
    """Return (g_out - g_in) / g_in of a region: the voxels beside it against those inside; 0 where none lie beside it.

    Args:
        region: region on the voxels of the session.
        session: the session.
        values: posterior mean of the quantity in its voxels, shape (N,).
    """
    places = tuple(session.draws.voxels.T)
    touched = np.zeros(session.run.informed.shape, dtype=bool)
    touched[places] = region.shares > 0.0
    beside = (ndimage.binary_dilation(touched) & ~touched)[places]
    if not beside.any():
        return 0.0
    inner = region.shares**2
    inside = float(inner @ values / inner.sum())
    return float(values[beside].mean()) / inside - 1.0


def edge_std(shares: tuple[float, float], contrasts: tuple[float, float]) -> float:
    """Return the standard deviation of ln (B / A) because of the edges.

    Args:
        shares: share of other tissue in either session.
        contrasts: contrast of the region's edge in either session.
    """
    return abs(shares[1] - shares[0]) * float(np.mean(np.abs(contrasts)))
