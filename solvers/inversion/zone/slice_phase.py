"""Linear phase errors of slices, which all voxels of a slice share.

Motion and heating between images add a plane of phase to each. In the first harmonic this leaves an unknown plane
a + b x + c y in every slice and component, of a size that the importer measures in the signal-free harmonics. It is
small beside the noise of a voxel but does not average out over a slice, so the likelihood must include it.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.imaging.waves.rigid_motion import turns
from palpate.imaging.waves.slice_planes import slice_planes


def linear_phase_errors(mask: NDArray[np.bool_], size: float, components: int = 3) -> sparse.csr_matrix:
    """Return Z with Z c the linear phase errors of every displacement component, for c of unit variance.

    Args:
        mask: mask of N voxels, shape (i, j, k), slices along k.
        size: root mean square of the errors, in the unit of the displacement.
        components: number C of displacement components.

    Returns:
        Matrix Z, shape (C N, q), components of a voxel together; q = 0 where size is 0.
    """
    count = int(np.count_nonzero(mask))
    if size <= 0.0:
        return sparse.csr_matrix((components * count, 0))
    blocks = []
    for inside, terms in slice_planes(mask):
        modes = np.linalg.qr(terms)[0]
        modes_here = modes.shape[1]  # fewer than three where a slice has fewer voxels
        modes *= size * np.sqrt(len(inside) / modes_here)
        for component in range(components):
            rows = np.tile(components * inside + component, modes_here)
            places = (rows, np.repeat(np.arange(modes_here), len(inside)))
            blocks.append(sparse.csr_matrix((modes.T.ravel(), places), shape=(components * count, modes_here)))
    return sparse.hstack(blocks, format="csr")


def rigid_turns(mask: NDArray[np.bool_], voxel_size_mm: NDArray[np.float64], size: float) -> sparse.csr_matrix:
    """Return columns like those of Z for a turn of the whole field, of unknown axis and complex size.

    Args:
        mask: mask of N voxels, shape (i, j, k).
        voxel_size_mm: edges of a voxel, mm, shape (3,); components are along the same axes.
        size: root mean square of the error, in the unit of the displacement.

    Returns:
        Matrix of shape (3 N, 3), components of a voxel together; without columns where size is 0.
    """
    ijk = np.argwhere(mask)
    if size <= 0.0:
        return sparse.csr_matrix((3 * len(ijk), 0))
    return sparse.csr_matrix(size * np.sqrt(len(ijk)) * turns(ijk * voxel_size_mm))
