"""Logarithm of a determinant, densely for a small matrix, by stochastic Lanczos quadrature for a large one.

ln det S = tr ln S = E[v^T ln(S) v] for random signs v (Hutchinson 1990), and v^T ln(S) v is |v|^2 times an integral
that the eigenvalues of Lanczos's tridiagonal matrix give by Gauss quadrature (Ubaru, Chen, Saad 2017). Only products
with S are needed. Rows are spread over the ranks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

DENSE = 3000
"""Largest number of rows for which the determinant is computed densely, with as many products as quadrature takes."""

BLOCK = 64
"""Number of columns of the dense matrix that are formed at once."""

PROBES = 40
"""Number of random sign vectors."""

LONGEST, CHECK = 200, 10
"""Largest number of steps of Lanczos's recurrence, and number of steps between checks."""

SETTLED = 0.02
"""Change of ln det between two checks at which the recurrence ends: far below any difference that matters."""

type Action = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Product with columns whose rows are spread over the ranks, this rank's rows in and out."""


@dataclass(frozen=True, slots=True)
class LogDeterminant:
    """A logarithm of a determinant.

    Attributes:
        value: ln det.
        standard_error: standard error of the value, from the spread over probes; 0 where it is exact.
    """

    value: float
    standard_error: float


def dense(apply: Action, rows: int, comm: MPI.Comm) -> LogDeterminant:
    """Return the logarithm of the determinant of a small symmetric positive matrix.

    Args:
        apply: product with the matrix.
        rows: number of its rows that this rank has, in the order of the ranks.
        comm: communicator of the ranks.
    """
    counts = comm.allgather(rows)
    first, total = sum(counts[: comm.rank]), sum(counts)
    identity = np.eye(rows, total, first)
    parts = [apply(np.ascontiguousarray(identity[:, at : at + BLOCK])) for at in range(0, total, BLOCK)]
    own = np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0))
    matrix = np.concatenate(comm.allgather(own))
    return LogDeterminant(float(np.linalg.slogdet(0.5 * (matrix + matrix.T))[1]), 0.0)


def by_quadrature(apply: Action, probes: NDArray[np.float64], comm: MPI.Comm) -> LogDeterminant:
    """Estimate ln det of a symmetric matrix that is not less than the identity.

    Args:
        apply: product with the matrix.
        probes: random vectors v with E[v v^T] = I on the space that it acts in, this rank's rows, shape (rows, p).
        comm: communicator of the ranks.
    """

    def dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(comm.allreduce(np.sum(a * b, axis=0)))

    squares = dot(probes, probes)
    now, before = probes / np.sqrt(squares), np.zeros_like(probes)
    diagonal: list[NDArray[np.float64]] = []
    beside = [np.zeros(probes.shape[1])]
    values, change = np.full(probes.shape[1], np.inf), np.inf
    while len(diagonal) < LONGEST and change > SETTLED:
        image = apply(now) - beside[-1] * before
        diagonal.append(dot(now, image))
        image -= diagonal[-1] * now
        if len(diagonal) % CHECK == 0:
            last, values = values, squares * _gauss_log(np.array(diagonal), np.array(beside[1:]))
            change = float(np.abs(last.mean() - values.mean()))
        beside.append(np.sqrt(dot(image, image)))
        now, before = image / np.maximum(beside[-1], 1e-300), now
    spread = float(values.std(ddof=1) / np.sqrt(len(values)))
    return LogDeterminant(float(values.mean()), float(np.hypot(spread, change)))


def _gauss_log(diagonal: NDArray[np.float64], beside: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entry e_1^T ln(T) e_1 of tridiagonal matrices T, one a column, shape (p,).

    Args:
        diagonal: shape (steps, p).
        beside: shape (steps - 1, p).
    """
    steps = len(diagonal)
    tridiagonal = np.zeros((diagonal.shape[1], steps, steps))
    row = np.arange(steps)
    tridiagonal[:, row, row] = diagonal.T
    tridiagonal[:, row[1:], row[:-1]] = tridiagonal[:, row[:-1], row[1:]] = beside.T
    nodes, vectors = np.linalg.eigh(tridiagonal)
    # Where the recurrence has seen all of a small space it goes on with rounding errors, which carry no weight.
    return np.asarray(np.sum(vectors[:, 0] ** 2 * np.log(np.maximum(nodes, 1.0)), axis=1))
