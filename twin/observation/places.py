"""Values of a field between the lattice's voxels, where the voxels of a later scan lie.

A scan of another date has voxels of its own. Its values stay as measured, and the model's field is interpolated there
by cubic convolution, which is exact for quadratics, so that no peak is flattened (R. Keys, Cubic convolution
interpolation for digital image processing, IEEE Trans. Acoust. Speech Signal Process. 29 (1981) 1153). Beyond tissue
the field keeps the value of the nearest voxel of tissue.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.twin.lattice import nearest_in

type Values = NDArray[np.float64]


def between(tissue: NDArray[np.bool_], offset: NDArray[np.floating]) -> sparse.csr_matrix:
    """Return the matrix from a field at tissue voxels to its values beside their middles, shape (n, n).

    Args:
        tissue: mask of tissue, shape (i, j, k).
        offset: offsets of the places from the middles of the tissue voxels, in voxels, shape (n, 3).
    """
    return interpolation(tissue, np.argwhere(tissue) + offset)


def interpolation(tissue: NDArray[np.bool_], places: Values) -> sparse.csr_matrix:
    """Return the matrix from a field at n tissue voxels to its values at m places, shape (m, n).

    Args:
        tissue: mask of tissue, shape (i, j, k).
        places: places in voxels, shape (m, 3).
    """
    count = int(tissue.sum())
    number = np.zeros(tissue.shape, dtype=np.int64)
    number[tissue] = np.arange(count)
    number = number[nearest_in(tissue)]
    first = np.floor(places).astype(np.int64)
    weights = cubic(places - first)
    total = sparse.csr_matrix((len(places), count))
    limits = np.array(tissue.shape) - 1
    rows = np.arange(len(places))
    for corner in itertools.product(range(4), repeat=3):
        there = np.clip(first + np.array(corner) - 1, 0, limits)
        weight = np.prod([weights[:, axis, step] for axis, step in enumerate(corner)], axis=0)
        total += sparse.csr_matrix((weight, (rows, number[tuple(there.T)])), shape=total.shape)
    return total


def cubic(t: Values) -> Values:
    """Return the weights of the neighbours at -1, 0, 1 and 2 for a place at t, shape (..., 4); t from 0 to 1."""
    t2, t3 = t**2, t**3
    return np.stack(
        [-0.5 * t + t2 - 0.5 * t3, 1.0 - 2.5 * t2 + 1.5 * t3, 0.5 * t + 2.0 * t2 - 1.5 * t3, 0.5 * (t3 - t2)], axis=-1
    )
