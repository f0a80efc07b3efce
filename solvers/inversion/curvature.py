"""The informed directions of one zone: its Gauss-Newton Hessian, compressed to what exceeds the prior.

With L L^T = C0 the zone's covariance under a wide reference prior, the eigenvalues of L^T H L say how much more the
data know about a direction than that prior. They fall fast (a zone of 2197 voxels at 2 % noise has about 140 above
one), so a randomised Nystroem approximation from k block solves keeps what matters:

    H ~ Y Y^T,   Y of shape (2 n, k).

The gradient is projected onto the same directions: what the data hardly know is left to the prior, in the estimate as
in its spread. What is dropped makes intervals wider, never narrower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from palpate.solvers.inversion.likelihood import Linearised
from palpate.solvers.inversion.prior import PriorScale, correlation

REFERENCE_PRIOR = PriorScale(storage_std=0.5, loss_std=0.5, length_mm=12.0)
"""Only decides which directions count as informed; the inversion's own prior comes in later, exactly."""

KEEP_ABOVE = 0.03
"""Directions in which the data add less than this share of the reference prior's precision are dropped."""

FOLLOW_ABOVE = 0.3 * KEEP_ABOVE
"""Directions below this are not followed into the next step: a zone that waves hardly see becomes cheap."""

FEWEST_FOLLOWED = 20
"""Directions that every zone keeps following, because what waves see changes with the moduli."""


class Whitening:
    """L of the reference prior on a zone: turns prior-standard directions into parameters.

    Args:
        ijk: the zone's voxels, shape (n, 3).
        voxel_size_mm: shape (3,).
    """

    def __init__(self, ijk: NDArray[np.int64], voxel_size_mm: NDArray[np.float64]) -> None:
        base = correlation(ijk, voxel_size_mm, REFERENCE_PRIOR)
        self._lower = [
            scipy.linalg.cholesky(
                std**2 * base + REFERENCE_PRIOR.mean_std**2 + 1e-9 * np.eye(len(base)), lower=True, overwrite_a=True
            )
            for std in (REFERENCE_PRIOR.storage_std, REFERENCE_PRIOR.loss_std)
        ]

    def spread(self, standard: NDArray[np.float64]) -> NDArray[np.float64]:
        """L times standard directions, shape (2 n, k)."""
        return np.concatenate([lower @ part for lower, part in zip(self._lower, np.split(standard, 2), strict=True)])

    def project(self, dual: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
        """The part of a dual vector, shape (2 n,), along orthonormal standard directions, shape (2 n, k)."""
        inside = basis @ (basis.T @ self.gather(dual[:, None]))
        parts = [
            scipy.linalg.solve_triangular(lower, part, lower=True, trans="T")
            for lower, part in zip(self._lower, np.split(inside, 2), strict=True)
        ]
        return np.asarray(np.concatenate(parts)[:, 0])

    def gather(self, dual: NDArray[np.float64]) -> NDArray[np.float64]:
        """L^T times dual vectors, shape (2 n, k)."""
        return np.concatenate([lower.T @ part for lower, part in zip(self._lower, np.split(dual, 2), strict=True)])


@dataclass(frozen=True, slots=True)
class Informed:
    """A zone's Hessian, compressed.

    Attributes:
        half_hessian: Y with H ~ Y Y^T, shape (2 n, k).
        basis: orthonormal standard directions; the first k span what Y sees, the others are worth following into the
            next step, shape (2 n, k + ...).
    """

    half_hessian: NDArray[np.float64]
    basis: NDArray[np.float64]

    @property
    def range(self) -> NDArray[np.float64]:
        """The directions that Y sees, shape (2 n, k)."""
        return self.basis[:, : self.half_hessian.shape[1]]


def informed_directions(
    likelihood: Linearised, whitening: Whitening, start: NDArray[np.float64], *, passes: int = 1
) -> Informed:
    """Compress a zone's Hessian.

    Args:
        likelihood: the linearised zone.
        whitening: the reference prior on it.
        start: standard directions to begin with: random, or the last call's basis, shape (2 n, k).
        passes: block applications of the Hessian; two from a random start, one from a good one.
    """
    basis = np.linalg.qr(start)[0]
    raw = likelihood.curvature(whitening.spread(basis))
    for _ in range(passes - 1):
        basis = np.linalg.qr(whitening.gather(raw))[0]
        raw = likelihood.curvature(whitening.spread(basis))
    image = whitening.gather(raw)
    small = basis.T @ image
    values, vectors = np.linalg.eigh(0.5 * (small + small.T))
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = max(int(np.count_nonzero(values > KEEP_ABOVE)), 1)  # no zone is empty
    followed = max(int(np.count_nonzero(values > FOLLOW_ABOVE)), min(FEWEST_FOLLOWED, len(values)))
    half = raw @ (vectors[:, :kept] / np.sqrt(values[:kept]))  # Nystroem: H ~ (H B) (B^T H B)^-1 (H B)^T
    return Informed(half, np.linalg.qr(image @ vectors[:, :followed])[0])
