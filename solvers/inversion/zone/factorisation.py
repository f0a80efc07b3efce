"""Factorisation of a sparse complex matrix by MUMPS, and solutions for blocks of right-hand sides."""

from __future__ import annotations

import time

import numpy as np
import scipy.sparse as sparse
from mpi4py import MPI
from numpy.typing import NDArray
from petsc4py import PETSc

_METIS = 5
_TRANSVERSAL, _ORDERING, _EXTRA_SPACE_PERCENT, _RHS_BLOCK = 6, 7, 14, 27
"""Numbers of MUMPS's control parameters ICNTL."""

RHS_BLOCK = 128
"""Number of right-hand sides that MUMPS solves for together."""


class Factorisation:
    """LU factorisation of a matrix A on this rank alone.

    Nested dissection by METIS needs half the arithmetic of the other orderings MUMPS offers on these matrices
    (measured: 11 against 11-35 GFlop for a zone of 13^3 nodes). Permuting large entries to the diagonal first, MUMPS's
    default, costs a fifth more and leaves larger residuals (2e-8 against 1e-9): threshold pivoting does better alone.

    Args:
        matrix: square matrix A.

    Raises:
        RuntimeError: MUMPS could not factorise the matrix.
    """

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        matrix.sort_indices()
        csr = (matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data.astype(np.complex128))
        self._matrix = PETSc.Mat().createAIJ(matrix.shape, csr=csr, comm=MPI.COMM_SELF)
        self._solver = PETSc.KSP().create(MPI.COMM_SELF)
        self._solver.setOperators(self._matrix)
        self._solver.setType("preonly")
        preconditioner = self._solver.getPC()
        preconditioner.setType("lu")
        preconditioner.setFactorSolverType("mumps")
        preconditioner.setFactorSetUpSolverType()
        self._factor = preconditioner.getFactorMatrix()
        controls = ((_TRANSVERSAL, 0), (_ORDERING, _METIS), (_EXTRA_SPACE_PERCENT, 60), (_RHS_BLOCK, RHS_BLOCK))
        for control, value in controls:
            self._factor.setMumpsIcntl(control, value)
        began = time.perf_counter()
        preconditioner.setUp()
        self.factorisation_s = time.perf_counter() - began
        """Seconds that MUMPS took to analyse and factorise."""
        self.solution_s = 0.0
        """Seconds that MUMPS took for triangular solves so far."""
        if preconditioner.getFailedReason():
            raise RuntimeError(f"MUMPS could not factorise a zone (INFOG(1) = {self._factor.getMumpsInfog(1)})")

    def solve(self, right_hand_sides: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Return A^-1 B, shape (n, k).

        Args:
            right_hand_sides: right-hand sides B, shape (n, k).
        """
        solution = np.empty(right_hand_sides.shape, dtype=np.complex128, order="F")
        self._solve(np.asfortranarray(right_hand_sides), solution)
        return solution

    def solve_within(self, values: NDArray[np.complex128], rows: slice) -> NDArray[np.complex128]:
        """Return some rows of A^-1 B, where B is zero in all other rows, shape (r, k).

        Columns are solved for in blocks of MUMPS's own size in the same memory: fresh pages cost as much as the
        algebra.

        Args:
            values: these rows of B, shape (r, k).
            rows: the rows.
        """
        count = values.shape[1]
        found = np.empty(values.shape, dtype=np.complex128, order="F")
        load = np.zeros((self._matrix.getSize()[0], min(count, RHS_BLOCK)), dtype=np.complex128, order="F")
        solution = np.empty_like(load)
        for first in range(0, count, RHS_BLOCK):
            block = slice(first, min(first + RHS_BLOCK, count))
            own = slice(block.stop - first)
            load[rows, own] = values[:, block]
            self._solve(load[:, own], solution[:, own])
            found[:, block] = solution[rows, own]
        return found

    def _solve(self, right_hand_sides: NDArray[np.complex128], solution: NDArray[np.complex128]) -> None:
        """Fill A^-1 B, columns one after the other in memory."""
        b, x = (
            PETSc.Mat().createDense(array.shape, array=array, comm=MPI.COMM_SELF)
            for array in (right_hand_sides, solution)
        )
        began = time.perf_counter()
        self._factor.matSolve(b, x)
        self.solution_s += time.perf_counter() - began
        b.destroy()
        x.destroy()

    def close(self) -> None:
        """Free the factors, which are the largest thing in memory, without waiting for the garbage collector."""
        self._solver.destroy()
        self._matrix.destroy()
