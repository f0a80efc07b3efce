"""Direct solution of the joint system along the few directions that make it ill-conditioned.

The matrix A = I + Y^T C Y has eigenvalue 1 along directions in which overlapping zones repeat each other, and up to
millions along the smooth directions that waves determine best. Preconditioning by each zone's own block would not help:
differences between overlapping zones have eigenvalue 1 in A and must stay unscaled. So each zone's leading directions W
are solved directly,

    t = W (W^T A W)^-1 W^T r  +  solution of conjugate gradients for the rest,

where the largest eigenvalue of A is theta, the largest one that was not taken, and some 7.5 sqrt(theta) iterations are
needed (measured between theta = 4 and 200). A direction costs one product with the prior covariance, as does an
iteration of one right-hand side; the number of directions that are worth it follows from the number of right-hand
sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.linalg
from mpi4py import MPI
from numpy.typing import NDArray

ITERATIONS = 7.5
"""Number of iterations that conjugate gradients take, over the square root of the largest eigenvalue left to them."""

MOST = 4096
"""Largest number of directions: each is a column over all rows of A, and A W is kept."""

SINGLE_BELOW = 1e3
"""Eigenvalue of a zone's own block below which A w may be computed in single precision."""

COLUMNS = 64
"""Number of vectors over the whole organ that are held at a time: with 240,000 voxels they take 250 MB."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Approximate eigenvalues and eigenvectors of one zone's own block of A.

    Attributes:
        values: eigenvalues, shape (k,).
        vectors: eigenvectors as orthonormal columns, shape (k, k).
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Deflation:
    """Directions W that are solved directly; rows of all arrays are this rank's.

    Attributes:
        vectors: blocks of W with orthonormal columns, one for each of this rank's zones, shapes (k, w_zone).
        first: index in W of the first column of each block.
        image: product A W, shape (rows, w).
        factor: Cholesky factor of W^T A W.
        comm: communicator of the ranks.
    """

    vectors: tuple[NDArray[np.float64], ...]
    first: tuple[int, ...]
    image: NDArray[np.float64]
    factor: tuple[NDArray[np.float64], bool]
    comm: MPI.Comm

    @property
    def log_determinant(self) -> float:
        """Value of ln det (W^T A W)."""
        return 2.0 * float(np.log(np.diag(self.factor[0])).sum())

    def start(self, rhs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the solution within the span of W, shape (rows, columns).

        Args:
            rhs: right-hand sides, shape (rows, columns).
        """
        return self._combined(scipy.linalg.cho_solve(self.factor, self._along(rhs)))

    def precondition(self, residual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a residual that is orthogonal to W, made conjugate to W, shape (rows, columns)."""
        dual = self._along(residual) - self._sum(self.image.T @ residual)
        return np.asarray(residual + self._combined(scipy.linalg.cho_solve(self.factor, dual)))

    def without(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the part of values that is orthogonal to W, shape (rows, columns)."""
        return np.asarray(values - self._combined(self._along(values)))

    def complement(self, values: NDArray[np.float64], image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Schur complement of W^T A W in A times values orthogonal to W, from the values' image under A."""
        known = scipy.linalg.cho_solve(self.factor, self._sum(self.image.T @ values))
        return self.without(image - self.image @ known)

    def _combined(self, along: NDArray[np.float64]) -> NDArray[np.float64]:
        """W times coefficients, shape (rows, columns)."""
        parts = [v @ along[at : at + v.shape[1]] for v, at in zip(self.vectors, self.first, strict=True)]
        return np.concatenate(parts) if parts else np.zeros((0, along.shape[1]))

    def _along(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """W^T times values, shape (w, columns)."""
        return self._sum(transposed_product(self.vectors, self.first, values, self.image.shape[1]))

    def _sum(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self.comm.allreduce(own))


def transposed_product(
    vectors: Sequence[NDArray[np.float64]], first: Sequence[int], values: NDArray[np.float64], width: int
) -> NDArray[np.float64]:
    """Return this rank's part of W^T times values, shape (w, columns).

    Args:
        vectors: blocks of W.
        first: index in W of the first column of each block.
        values: this rank's rows, shape (rows, columns).
        width: number w of columns of W.
    """
    out, row = np.zeros((width, values.shape[1])), 0
    for block, column in zip(vectors, first, strict=True):
        out[column : column + block.shape[1]] = block.T @ values[row : row + len(block)]
        row += len(block)
    return out


class Action(Protocol):
    """Function that multiplies columns by A; takes and returns this rank's rows."""

    def __call__(self, t: NDArray[np.float64], *, single: bool) -> NDArray[np.float64]:
        """Return the product, in single precision if that is enough."""


def deflation_of(
    spectra: Sequence[Spectrum], apply: Action, columns: int, comm: MPI.Comm, *, exact: bool = False
) -> Deflation:
    """Return the directions that are worth solving directly for this number of right-hand sides.

    Args:
        spectra: spectra of this rank's zones.
        apply: product with A.
        columns: number of right-hand sides to come.
        comm: communicator of the ranks.
        exact: whether A W is wanted in double precision throughout.
    """
    own = np.concatenate([spectrum.values for spectrum in spectra]) if spectra else np.zeros(0)
    least = least_deflated(np.concatenate(comm.allgather(own)), columns)
    values = [spectrum.values[spectrum.values >= least] for spectrum in spectra]
    vectors = tuple(spectrum.vectors[:, spectrum.values >= least] for spectrum in spectra)
    widths = [block.shape[1] for block in vectors]
    before = sum(comm.allgather(sum(widths))[: comm.rank])
    first = tuple(before + sum(widths[:number]) for number in range(len(widths)))
    size = np.concatenate(comm.allgather(np.concatenate(values) if values else np.zeros(0)))
    rows = sum(len(block) for block in vectors)
    image = np.empty((rows, len(size)))
    inner = np.zeros((len(size), len(size)))
    single = np.zeros_like(size, dtype=np.bool_) if exact else size < SINGLE_BELOW
    for chosen, is_single in ((np.flatnonzero(single), True), (np.flatnonzero(~single), False)):
        for at in range(0, len(chosen), COLUMNS):
            places = chosen[at : at + COLUMNS]
            found = apply(_columns_of(vectors, first, places), single=is_single)
            image[:, places] = found
            inner[:, places] = transposed_product(vectors, first, found, len(size))
    comm.Allreduce(MPI.IN_PLACE, inner)
    factor = scipy.linalg.cho_factor(0.5 * (inner + inner.T), lower=True)
    return Deflation(vectors, first, image, factor, comm)


def _columns_of(
    vectors: Sequence[NDArray[np.float64]], first: Sequence[int], places: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return some columns of W, this rank's rows, shape (rows, columns)."""
    out, row = np.zeros((sum(len(block) for block in vectors), len(places))), 0
    for block, column in zip(vectors, first, strict=True):
        here = np.flatnonzero((places >= column) & (places < column + block.shape[1]))
        out[row : row + len(block), here] = block[:, places[here] - column]
        row += len(block)
    return out


def least_deflated(values: NDArray[np.float64], columns: int) -> float:
    """Return the smallest eigenvalue whose direction is worth solving directly.

    The w largest cost w products with the prior covariance, and leave ITERATIONS sqrt(value of the next) iterations
    for each right-hand side.

    Args:
        values: eigenvalues of all zones' own blocks.
        columns: number of right-hand sides to come.
    """
    descending = np.sort(values)[::-1][: MOST + 1]
    cost = np.arange(len(descending)) + columns * ITERATIONS * np.sqrt(descending)
    return float(descending[max(int(np.argmin(cost)) - 1, 0)])
