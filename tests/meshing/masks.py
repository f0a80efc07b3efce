"""Masks with the troubles of real ones, the same for the same seed."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndimage
from numpy.typing import NDArray


def ragged_mask(shape: tuple[int, int, int], seed: int) -> NDArray[np.bool_]:
    """A smooth-edged blob with holes that reaches every face of its block, so that its extents are the shape."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    mask = noise > np.quantile(noise, 0.15)
    for axis in range(3):
        line: list[int | slice] = [extent // 2 for extent in shape]
        line[axis] = slice(None)
        mask[tuple(line)] = True
    middle = tuple(slice(extent // 2 - 2, extent // 2 + 4) for extent in shape)
    mask[middle] = True
    return mask
