"""Covariance that is diagonal but for some dense blocks, each factorised once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DenseBlock:
    """Rows whose errors are correlated with each other and with no other rows.

    Attributes:
        rows: numbers of the rows, shape (n,).
        half: lower Cholesky factor of their covariance, shape (n, n).
    """

    rows: NDArray[np.int64]
    half: Values


@dataclass(frozen=True, slots=True)
class BlockCovariance:
    """Covariance B: diag(d) outside of dense blocks.

    Attributes:
        diagonal: variances d, shape (m,); blocks contain those of their own rows.
        blocks: dense blocks; no row belongs to two.
    """

    diagonal: Values
    blocks: tuple[DenseBlock, ...] = ()

    def solve(self, values: Values) -> Values:
        """Return B^-1 v, for v of shape (m,) or (m, k)."""
        found = np.asarray((values.T / self.diagonal).T)
        for block in self.blocks:
            found[block.rows] = cho_solve((block.half, True), values[block.rows])
        return found

    def half_times(self, values: Values) -> Values:
        """Return B^(1/2) v for v of shape (m,): a draw of N(0, B) if v is one of N(0, 1)."""
        found = np.asarray(np.sqrt(self.diagonal) * values)
        for block in self.blocks:
            found[block.rows] = block.half @ values[block.rows]
        return found

    def times(self, values: Values) -> Values:
        """Return B v, for v of shape (m,) or (m, k)."""
        found = np.asarray((values.T * self.diagonal).T)
        for block in self.blocks:
            found[block.rows] = block.half @ (block.half.T @ values[block.rows])
        return found

    def part(self, rows: slice) -> BlockCovariance:
        """Return the covariance of some consecutive rows; every block lies within them or outside.

        Args:
            rows: the rows, from `start` to before `stop`.
        """
        first, last = rows.start, rows.stop
        inside = [one for one in self.blocks if first <= one.rows[0] and one.rows[-1] < last]
        return BlockCovariance(self.diagonal[rows], tuple(DenseBlock(one.rows - first, one.half) for one in inside))

    @property
    def log_determinant(self) -> float:
        """Logarithm ln det B."""
        alone = np.ones(len(self.diagonal), dtype=np.bool_)
        for block in self.blocks:
            alone[block.rows] = False
        within = sum(2.0 * float(np.log(np.diag(block.half)).sum()) for block in self.blocks)
        return float(np.log(self.diagonal[alone]).sum()) + within

    def dense(self) -> Values:
        """Return B as a matrix, shape (m, m); for tests and small problems."""
        found = np.diag(self.diagonal)
        for block in self.blocks:
            found[np.ix_(block.rows, block.rows)] = block.half @ block.half.T
        return found
