"""Labels of simple bodies on voxels of 1 mm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.anatomy.segmentation import Segmentation

AFFINE = np.array([[-1.0, 0, 0, 12], [0, 1.0, 0, -9], [0, 0, 1.0, 4], [0, 0, 0, 1.0]])
"""Mirrored, as scanners' grids are against RAS."""

SETTINGS_MM = 3.0


def balls(*radii_mm: float, affine_mm: NDArray[np.float64] = AFFINE) -> Segmentation:
    """Balls around one centre, one in the other, label 1 the outermost."""
    extent = int(2 * max(radii_mm)) + 5
    indices = np.indices((extent, extent + 1, extent + 2), dtype=np.float64)
    centre = np.array([extent / 2 - 0.4, extent / 2, extent / 2 + 0.3])
    distance = np.sqrt(((indices - centre[:, None, None, None]) ** 2).sum(axis=0))
    labels = sum((distance < radius).astype(np.int32) for radius in radii_mm)
    return Segmentation(np.asarray(labels), {n + 1: f"shell{n + 1}" for n in range(len(radii_mm))}, affine_mm)


def folded(seed: int) -> Segmentation:
    """Three labels whose borders meet each other and fold, from smoothed noise."""
    from scipy import ndimage

    noise = np.random.default_rng(seed).normal(size=(3, 24, 24, 24))
    smooth = np.stack([ndimage.gaussian_filter(one, 3.0) for one in noise])
    labels = 1 + smooth.argmax(axis=0)
    labels[[0, -1]] = 0
    return Segmentation(labels.astype(np.int32), {1: "grey", 2: "white", 3: "fluid"}, AFFINE)
