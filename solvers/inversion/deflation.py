"""The few directions that make the joint system hard, solved directly.

The matrix A = I + Y^T C Y has eigenvalue 1 wherever zones repeat each other, and up to millions along the smooth
directions that waves see best. A solver that divides by each zone's own block would not help: what overlapping zones
disagree in has eigenvalue 1 in A and must be left alone. So each zone's leading directions W are taken out exactly,

    t = W (W^T A W)^-1 W^T r  +  what conjugate gradients find for the rest,

where A looks no worse than its largest eigenvalue that was not taken, theta, and takes some 7.5 sqrt(theta) iterations
(measured between theta = 4 and 200). A direction costs one product with the prior covariance, as does an iteration of
one right-hand side; how many are worth it follows from how many right-hand sides there will be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

ITERATIONS = 7.5
"""Iterations that conjugate gradients take, over the square root of the largest eigenvalue left to them."""

MOST = 4096
"""Most directions: each is a column over all rows of A, and A W is kept."""

COLUMNS = 64
"""Vectors over the whole organ that are held at a time: of 240,000 voxels they take 250 MB."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Eigenvalues and eigenvectors of one zone's own block of A, or nearly so.

    Attributes:
        values: shape (k,).
        vectors: orthonormal columns, shape (k, k).
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Deflation:
    """Directions W that are solved directly; rows of all arrays are this rank's.

    Attributes:
        basis: W, orthonormal columns, shape (rows, w).
        image: A W, same shape.
        factor: of W^T A W.
        comm: the ranks.
    """

    basis: sparse.csr_matrix
    image: NDArray[np.float64]
    factor: tuple[NDArray[np.float64], bool]
    comm: MPI.Comm

    @property
    def size(self) -> int:
        """How many directions."""
        return int(self.basis.shape[1])

    @property
    def log_determinant(self) -> float:
        """The value of ln det (W^T A W)."""
        return 2.0 * float(np.log(np.diag(self.factor[0])).sum())

    def start(self, rhs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The solution within W, and the residual that it leaves.

        Args:
            rhs: shape (rows, columns).
        """
        known = scipy.linalg.cho_solve(self.factor, self._sum(self.basis.T @ rhs))
        return np.asarray(self.basis @ known), np.asarray(rhs - self.image @ known)

    def precondition(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """The residual made conjugate to W, of a residual that W leaves nothing of, shape (rows, columns)."""
        dual = self._sum(self.basis.T @ residual - self.image.T @ residual)
        return np.asarray(residual + self.basis @ scipy.linalg.cho_solve(self.factor, dual))

    def without(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is orthogonal to W, shape (rows, columns)."""
        return np.asarray(values - self.basis @ self._sum(self.basis.T @ values))

    def complement(self, values: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
        """The Schur complement of W^T A W in A times values that are orthogonal to W, from their image A v."""
        known = scipy.linalg.cho_solve(self.factor, self._sum(self.image.T @ values))
        return self.without(image - self.image @ known)

    def _sum(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.comm.allreduce(own))


def deflation_of(
    spectra: Sequence[Spectrum],
    apply: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    columns: int,
    comm: MPI.Comm,
) -> Deflation:
    """The directions worth solving directly for so many right-hand sides.

    Args:
        spectra: of this rank's zones.
        apply: A times columns, this rank's rows in and out.
        columns: how many right-hand sides there will be.
        comm: the ranks.
    """
    own = np.concatenate([spectrum.values for spectrum in spectra]) if spectra else np.zeros(0)
    least = least_deflated(np.concatenate(comm.allgather(own)), columns)
    kept = [spectrum.vectors[:, spectrum.values >= least] for spectrum in spectra]
    widths = comm.allgather(sum(vectors.shape[1] for vectors in kept))
    before, total = sum(widths[: comm.rank]), sum(widths)
    blocks = sparse.block_diag([sparse.csr_matrix(vectors) for vectors in [np.zeros((0, 0)), *kept]], format="coo")
    place = (blocks.row, before + blocks.col)
    basis = sparse.csr_matrix((blocks.data, place), shape=(blocks.shape[0], total))
    image = np.empty(basis.shape)
    for first in range(0, total, COLUMNS):
        image[:, first : first + COLUMNS] = apply(basis[:, first : first + COLUMNS].toarray())
    inner = np.asarray(comm.allreduce(basis.T @ image))
    return Deflation(basis, image, scipy.linalg.cho_factor(0.5 * (inner + inner.T), lower=True), comm)


def least_deflated(values: NDArray[np.float64], columns: int) -> float:
    """The smallest eigenvalue whose direction is worth solving directly.

    The w largest cost w products with the prior covariance, and leave ITERATIONS sqrt(value of the next) for each
    right-hand side.

    Args:
        values: eigenvalues of all zones' own blocks.
        columns: how many right-hand sides there will be.
    """
    descending = np.sort(values)[::-1][: MOST + 1]
    cost = np.arange(len(descending)) + columns * ITERATIONS * np.sqrt(descending)
    return float(descending[max(int(np.argmin(cost)) - 1, 0)])
