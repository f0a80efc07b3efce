"""Images that shift or tilt in phase as a whole: an error shared by every voxel of a slice.

Motion and heating between images add a plane of phase to each. In the first harmonic this leaves an unknown plane
a + b x + c y in every slice and component, of a size that the importer measures in the signal-free harmonics. It is
small beside the noise of a voxel but does not average out over a slice, so the likelihood has to know it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray


def drift_planes(mask: NDArray[np.bool_], size: float) -> sparse.csr_matrix:
    """Z with Z c the drift of every displacement component, for c of unit variance.

    Args:
        mask: shape (i, j, k), slices along k; N voxels.
        size: root mean square of the drift, in the unit of the displacement.

    Returns:
        Shape (3 N, q), components of a voxel together; q = 0 where size is 0.
    """
    count = int(np.count_nonzero(mask))
    if size <= 0.0:
        return sparse.csr_matrix((3 * count, 0))
    blocks = []
    for inside, modes in slice_planes(mask):
        modes_here = modes.shape[1]  # fewer than three where a slice has fewer voxels
        scaled = modes * size * np.sqrt(len(inside) / modes_here)
        for component in range(3):
            rows = np.tile(3 * inside + component, modes_here)
            places = (rows, np.repeat(np.arange(modes_here), len(inside)))
            blocks.append(sparse.csr_matrix((scaled.T.ravel(), places), shape=(3 * count, modes_here)))
    return sparse.hstack(blocks, format="csr")


def slice_planes(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Slice by slice, its n voxels' indices among the mask's, and orthonormal a + b x + c y over them, shape (n, <= 3).

    Args:
        mask: shape (i, j, k), slices along k.
    """
    ijk = np.argwhere(mask)
    for k in np.unique(ijk[:, 2]):
        inside = np.flatnonzero(ijk[:, 2] == k)
        place = ijk[inside, :2] - ijk[inside, :2].mean(axis=0)
        yield inside, np.linalg.qr(np.column_stack([np.ones(len(inside)), place]))[0]
