"""The informed directions of one zone: its Gauss-Newton Hessian, compressed to what exceeds the prior.

With L L^T = C0 the zone's covariance under a wide reference prior, the eigenvalues of L^T H L say how much more the
data know about a direction than that prior. They fall fast (a zone of 2197 voxels at 2 % noise has about 140 above
one), so a randomised Nystroem approximation from k block solves keeps what matters:

    H ~ Y Y^T,   Y of shape (2 n, k).

The gradient is projected onto the same directions: what the data hardly know is left to the prior, in the estimate as
in its spread. What is dropped makes intervals wider, never narrower.
"""

from __future__ import annotations

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
        base = correlation(ijk, voxel_size_mm, REFERENCE_PRIOR.length_mm)
        self._lower = [
            scipy.linalg.cholesky(
                std**2 * base + REFERENCE_PRIOR.mean_std**2 + 1e-9 * np.eye(len(base)), lower=True, overwrite_a=True
            )
            for std in (REFERENCE_PRIOR.storage_std, REFERENCE_PRIOR.loss_std)
        ]

    def spread(self, standard: NDArray[np.float64]) -> NDArray[np.float64]:
        """L times standard directions, shape (2 n, k)."""
        return np.concatenate([lower @ part for lower, part in zip(self._lower, np.split(standard, 2), strict=True)])

    def project(self, dual: NDArray[np.float64], half_hessian: NDArray[np.float64]) -> NDArray[np.float64]:
        """The part of a dual vector, shape (2 n,), that lies in the range of Y (orthogonal in standard directions)."""
        basis = np.linalg.qr(self.gather(half_hessian))[0]
        inside = basis @ (basis.T @ self.gather(dual[:, None]))
        parts = [
            scipy.linalg.solve_triangular(lower, part, lower=True, trans="T")
            for lower, part in zip(self._lower, np.split(inside, 2), strict=True)
        ]
        return np.asarray(np.concatenate(parts)[:, 0])

    def gather(self, dual: NDArray[np.float64]) -> NDArray[np.float64]:
        """L^T times dual vectors, shape (2 n, k)."""
        return np.concatenate([lower.T @ part for lower, part in zip(self._lower, np.split(dual, 2), strict=True)])


def informed_directions(
    likelihood: Linearised,
    whitening: Whitening,
    start: NDArray[np.float64],
    *,
    passes: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compress a zone's Hessian.

    Args:
        likelihood: the linearised zone.
        whitening: the reference prior on it.
        start: standard directions to begin with: random, or the last call's, shape (2 n, k).
        passes: block applications of the Hessian; two from a random start, one from a good one.

    Returns:
        Y with H ~ Y Y^T, shape (2 n, k'), and an orthonormal basis to start from next time, shape (2 n, k'') with
        k' <= k'' <= k.
    """
    basis = np.linalg.qr(start)[0]
    for last in [False] * (passes - 1) + [True]:
        raw = likelihood.curvature(whitening.spread(basis))
        if not last:
            basis = np.linalg.qr(whitening.gather(raw))[0]
    image = whitening.gather(raw)
    small = basis.T @ image
    values, vectors = np.linalg.eigh(0.5 * (small + small.T))
    good = values > min(KEEP_ABOVE, 0.5 * values[-1])  # the best one always, so that no zone is empty
    half = raw @ (vectors[:, good] / np.sqrt(values[good]))  # Nystroem: H ~ (H B) (B^T H B)^-1 (H B)^T
    follow = max(int(np.count_nonzero(values > FOLLOW_ABOVE)), min(FEWEST_FOLLOWED, len(values)))
    return half, np.linalg.qr(image @ vectors[:, -follow:])[0]  # eigenvalues ascend
