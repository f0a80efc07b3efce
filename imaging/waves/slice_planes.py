"""Planes over the slices of a mask, the form of the phase that motion and heating between images add to a slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def slice_planes(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Yield for each slice the indices of its n voxels among the mask's N, and 1, i and j over them, centred.

    The functions 1, i and j have shape (n, 3).

    Args:
        mask: tissue, shape (i, j, k), slices along k.
    """
    ijk = np.argwhere(mask)
    for k in np.unique(ijk[:, 2]):
        inside = np.flatnonzero(ijk[:, 2] == k)
        place = ijk[inside, :2] - ijk[inside, :2].mean(axis=0)
        yield inside, np.column_stack([np.ones(len(inside)), place])
