"""Compressional part of a wave field, and the field without it.

Shear waves have no divergence; compressional motion, noise and wrong turns of the phase have one. The nearest field
without divergence is

    u - grad phi,    div grad phi = div u inside,    phi = 0 on the border of the tissue,

Helmholtz' decomposition in which grad phi is orthogonal to every field without divergence, so that shear waves and
rigid motion stay as they are. A gradient of a harmonic function has neither divergence nor curl, and stays as well.

Discretely, phi lives on the corners that eight voxels of the tissue share and its gradient G in the voxels, by the
differences of their corners' means over faces; div = -G^T. The result u - G (G^T G)^-1 G^T u is an orthogonal
projection, exact up to the iterative solver's tolerance.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import lsmr

_TOLERANCE: Final = 1e-10
_MOST_ITERATIONS: Final = 3000


def compressional_part(
    displacement: NDArray[np.complex128], mask: NDArray[np.bool_], affine_mm: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return the gradient of phi of a displacement; 0 outside the mask.

    Args:
        displacement: displacement U along R, A, S, shape (i, j, k, 3), any unit.
        mask: tissue, shape (i, j, k).
        affine_mm: voxel indices to world millimetres, shape (4, 4).

    Returns:
        The part to subtract, same shape and unit; zero where the mask is too thin to have inner corners.
    """
    gradient = corner_gradient(mask, affine_mm)
    part = np.zeros_like(displacement)
    if gradient.shape[1]:
        values = displacement[mask].ravel()
        found = [gradient @ _potential(gradient, one) for one in (values.real, values.imag)]
        part[mask] = (found[0] + 1j * found[1]).reshape(-1, 3)
    return part


def corner_gradient(mask: NDArray[np.bool_], affine_mm: NDArray[np.float64]) -> sparse.csr_matrix:
    """Return G, from values on inner corners to gradients in a mask's voxels, per mm, shape (3 voxels, corners).

    Args:
        mask: tissue, shape (i, j, k). Rows of G follow its voxels in C order, the components R, A, S of each together.
        affine_mm: voxel indices to world millimetres, shape (4, 4).
    """
    padded = np.pad(mask, 1)
    corner_shape = tuple(extent + 1 for extent in mask.shape)
    inner = np.ones(corner_shape, dtype=bool)
    for offset in itertools.product((0, 1), repeat=3):
        inner &= padded[tuple(slice(o, o + n) for o, n in zip(offset, corner_shape, strict=True))]
    number = np.full(corner_shape, -1)
    number[inner] = np.arange(int(inner.sum()))
    voxels = np.argwhere(mask)
    to_world = np.linalg.inv(affine_mm[:3, :3]).T
    rows, columns, weights = [], [], []
    for offset in itertools.product((0, 1), repeat=3):
        corner = number[tuple((voxels + offset).T)]
        there = np.flatnonzero(corner >= 0)
        # A quarter of each difference along an edge; the corner is at its far or at its near end.
        slope = to_world @ (0.25 * (2.0 * np.array(offset) - 1.0))
        for component in range(3):
            rows.append(3 * there + component)
            columns.append(corner[there])
            weights.append(np.full(there.size, slope[component]))
    place = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(weights), place), shape=(3 * len(voxels), int(inner.sum())))


def _potential(gradient: sparse.csr_matrix, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the phi of least |values - G phi|."""
    found = lsmr(gradient, values, atol=_TOLERANCE, btol=_TOLERANCE, conlim=0.0, maxiter=_MOST_ITERATIONS)
    return np.asarray(found[0])
