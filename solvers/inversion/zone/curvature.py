"""Informed directions of one zone: its Gauss-Newton Hessian, compressed to directions of more precision than the prior.

With L L^T = C0 the zone's covariance under a wide reference prior, the eigenvalues of L^T H L are the ratios of the
data's precision to that prior's. They decrease quickly (in blocks of the calibration cohort 130 to 450 of 2900 are
above one, a fourth to a third of them tenfold: docs/decisions/0074), so a randomised Nystroem approximation from k
block solves keeps the important ones:

    H ~ Y Y^T,   Y of shape (2 n, k).

The gradient is projected onto the same directions: along others, which the data hardly determine, estimate and spread
are the prior's. Dropped directions make intervals wider, never narrower.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.correlation import correlation
from palpate.solvers.inversion.prior.hyperparameters import FIELDS, REFERENCE_PRIOR
from palpate.solvers.inversion.prior.taper import foot, root_weight
from palpate.solvers.inversion.zone.likelihood import Linearised

KEEP_ABOVE = 0.03
"""Share of the reference prior's precision that data must add to a direction. Below about this share directions are
dropped, gradually (taper.py): with a cut, rounding would drop on one processor a direction that it keeps on another."""

FOLLOW_ABOVE = 0.3 * KEEP_ABOVE
"""Share below which a direction is not followed into the next step: a zone with little information becomes cheap. It is
less than half of the share at which weights begin, so that directions near this cut have no weight."""

WELL_CONDITIONED = 0.01
"""Ratio of pivots of X^T X = R^T R above which X R^-1 is orthonormal to 1e-10 or better."""

FEWEST_FOLLOWED = 20
"""Least number of directions that are followed in a zone, because the informed directions change with the moduli."""


MANY_VOXELS: Final = 3000
"""Number of voxels of a zone above which its factor, 0.1 GB, is not kept for others of the same shape."""

_BYTES_A_PLACE: Final = 24

type Factors = tuple[NDArray[np.float64], NDArray[np.float32]]
"""Factor L in double and in single precision."""


class Whitening:
    """Factor L of the reference prior on a zone, which maps standard directions to parameters, alike for both fields.

    Zones of one shape share their factor; few factors are kept, so that memory does not grow with the organ, and of
    zones of many voxels only the last, so that it does not grow with the square of the resolution times eight.

    Args:
        ijk: indices of the zone's voxels, shape (n, 3).
        voxel_size_mm: edges of a voxel, mm, shape (3,).
    """

    def __init__(self, ijk: NDArray[np.int64], voxel_size_mm: NDArray[np.float64]) -> None:
        self._places_mm = ((ijk - ijk.min(axis=0)) * voxel_size_mm).tobytes()

    def spread(self, standard: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return L times standard directions, shape (2 n, k), in single precision, as it only selects a subspace."""
        _, lower = _factors(self._places_mm)
        halves = [part.T.astype(np.float32, order="F") for part in np.split(standard, FIELDS)]
        parts = [scipy.linalg.blas.strmm(1.0, lower, half, side=True, lower=True, trans_a=True) for half in halves]
        return np.concatenate([part.T.astype(np.float64) for part in parts])

    def project(self, dual: NDArray[np.float64], informed: Informed) -> NDArray[np.float64]:
        """Return the part of a dual vector, shape (2 n,), along the informed directions, each by its weight."""
        basis, weights = informed.range, informed.root_weights**2
        return self._scattered(basis @ (weights[:, None] * (basis.T @ self.gather(dual[:, None]))))

    def _scattered(self, inside: NDArray[np.float64]) -> NDArray[np.float64]:
        """Dual vector of standard directions, L^-T inside, shape (2 n,), from shape (2 n, 1)."""
        lower, _ = _factors(self._places_mm)
        parts = [scipy.linalg.solve_triangular(lower, part, lower=True, trans="T") for part in np.split(inside, FIELDS)]
        return np.asarray(np.concatenate(parts)[:, 0])

    def bounded(self, dual: NDArray[np.float64], informed: Informed) -> NDArray[np.float64]:
        """Return the part of a dual vector along the informed directions, none larger than data make likely there.

        In a direction with the information lambda the gradient of a log-likelihood has the standard deviation
        sqrt(lambda); an estimate of such a gradient that is larger is chance, or comes from where nothing is known.

        Args:
            dual: dual vector, shape (2 n,).
            informed: informed directions with their information.
        """
        basis = informed.range
        size = np.linalg.norm(basis.T @ self.gather(informed.hessian_factor), axis=1)
        inside = basis @ np.clip(basis.T @ self.gather(dual[:, None])[:, 0], -size, size)
        return self._scattered(inside[:, None])

    def gather(self, dual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return L^T times dual vectors, shape (2 n, k)."""
        # Triangular products halve the arithmetic; from the right on the transpose, whose memory is as BLAS wants it,
        # they need no copies by columns and back.
        lower, _ = _factors(self._places_mm)
        parts = [scipy.linalg.blas.dtrmm(1.0, lower, part.T, side=True, lower=True) for part in np.split(dual, FIELDS)]
        return np.concatenate([part.T for part in parts])


def _factors(places_mm: bytes) -> Factors:
    """Return the factors of zones of these voxels, in double and single precision."""
    few = len(places_mm) <= MANY_VOXELS * _BYTES_A_PLACE
    return _kept_factors(places_mm) if few else _last_factors(places_mm)


def _reference_factors(places_mm: bytes) -> Factors:
    """L with L L^T the reference covariance of one field over voxels at the places that these bytes hold, (n, n)."""
    place = np.frombuffer(places_mm).reshape(-1, 3)
    covariance = correlation(place, REFERENCE_PRIOR.length_mm, REFERENCE_PRIOR.roughness, edge_mm=0.0)
    covariance *= REFERENCE_PRIOR.storage_std**2
    covariance += REFERENCE_PRIOR.mean_std**2
    covariance[np.diag_indices_from(covariance)] += 1e-9
    # BLAS wants columns. The transpose of a symmetric matrix is itself, and in that order already.
    lower = scipy.linalg.cholesky(covariance.T, lower=True, overwrite_a=True)
    return lower, lower.astype(np.float32)


_kept_factors = lru_cache(maxsize=8)(_reference_factors)
_last_factors = lru_cache(maxsize=1)(_reference_factors)


@dataclass(frozen=True, slots=True)
class Informed:
    """Compressed Hessian of a zone.

    Attributes:
        hessian_factor: factor Y with H ~ Y Y^T, shape (2 n, k).
        basis: orthonormal standard directions, shape (2 n, k + ...); the first k span the range of Y, the others are
            followed into the next step.
        root_weights: factors that the columns of Y contain already, in [0, 1], shape (k,).
    """

    hessian_factor: NDArray[np.float64]
    basis: NDArray[np.float64]
    root_weights: NDArray[np.float64]

    @property
    def range(self) -> NDArray[np.float64]:
        """Directions that span the range of Y, shape (2 n, k)."""
        return self.basis[:, : self.hessian_factor.shape[1]]


def informed_directions(likelihood: Linearised, whitening: Whitening, start: NDArray[np.float64]) -> Informed:
    """Compress a zone's Hessian by one product with a block of vectors.

    Args:
        likelihood: the linearised zone.
        whitening: factor of the reference prior on the zone.
        start: orthonormal standard directions at the start, shape (2 n, k): the last call's basis, or random ones,
            from which weak directions are found only in part until the next call; missing ones widen intervals.
    """
    directions = whitening.spread(start)
    raw = likelihood.curvature(directions)
    small = directions.T @ raw
    values, vectors = np.linalg.eigh(0.5 * (small + small.T))
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = max(int(np.count_nonzero(values > foot(KEEP_ABOVE))), 1)  # no zone is empty
    followed = max(int(np.count_nonzero(values > FOLLOW_ABOVE)), min(FEWEST_FOLLOWED, len(values)))
    roots = root_weight(values[:kept], KEEP_ABOVE)
    half = raw @ (vectors[:, :kept] * (roots / np.sqrt(values[:kept])))  # Nystroem: H ~ (H B) (B^T H B)^-1 (H B)^T
    image = whitening.gather(raw)
    return Informed(half, orthonormal(image @ (vectors[:, :followed] / values[:followed])), roots)


def orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis of the span of columns that are nearly orthonormal already, shape (n, k).

    It is X R^-1 with X^T X = R^T R, in a third of the time of Householder's QR. Its error grows with the square of the
    columns' condition number, so that QR is used for columns far from orthonormal.

    Args:
        columns: columns X, shape (n, k).
    """
    upper = scipy.linalg.cholesky(columns.T @ columns, check_finite=False)
    pivots = np.diag(upper)
    if pivots.min() < WELL_CONDITIONED * pivots.max():
        return np.asarray(np.linalg.qr(columns)[0])
    return np.asarray(scipy.linalg.solve_triangular(upper, columns.T, trans="T", check_finite=False).T)
