"""Conjugate gradients for symmetric positive definite systems on a graph that is shared by ranks.

Source: Hestenes and Stiefel 1952.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

type Values = NDArray[np.float64]

TOLERANCE: Final = 1e-14
"""Largest residual of the solution, relative to that of zero, both in the norm of the inverse diagonal."""
MOST: Final = 2000
"""Largest number of iterations before a system counts as unsolvable."""


def conjugate_gradients(
    multiply: Callable[[Values], Values], diagonal: Values, right: Values, comm: MPI.Comm
) -> Values:
    """Solve A x = b, scaled by the diagonal, for one right-hand side or a block of them. Collective.

    Args:
        multiply: map x -> A x, A symmetric positive definite; collective, own rows of (n,) or (n, p).
        diagonal: diagonal of A, own rows, shape (n,).
        right: right-hand sides b, own rows, shape (n,) or (n, p).
        comm: communicator of the ranks.

    Raises:
        RuntimeError: A is not positive definite, or no solution after MOST iterations.
    """
    scale = (1.0 / diagonal).reshape(-1, *[1] * (right.ndim - 1))

    def summed(one: Values, other: Values) -> Values:
        return np.asarray(comm.allreduce((one * other).sum(axis=0)))

    solution, residual = np.zeros_like(right), right.copy()
    direction = scale * residual
    size = summed(residual, direction)
    enough = TOLERANCE**2 * size
    for _ in range(MOST):
        active = ~(size <= enough)  # a column that is solved stays as it is; what is not a number never is
        if not active.any():
            return solution
        image = multiply(direction)
        curvature = summed(direction, image)
        if not (curvature[active] > 0.0).all():
            raise RuntimeError("conjugate gradients: the matrix is not positive definite")
        step = np.divide(size, curvature, out=np.zeros_like(size), where=active)
        solution += step * direction
        residual -= step * image
        scaled = scale * residual
        before, size = size, summed(residual, scaled)
        direction = scaled + np.divide(size, before, out=np.zeros_like(size), where=active) * direction
    raise RuntimeError(f"conjugate gradients: no solution after {MOST} iterations")
