"""Hyper-parameters of the prior from the data: maximum of the marginal likelihood of a few zones.

For a zone with Gaussian likelihood exp(-x^T H x / 2 + b^T x), H = Y Y^T, and prior N(0, C) the log evidence is

    -ln det(I + Y^T C Y) / 2 + (b^T C b - c^T (I + Y^T C Y)^-1 c) / 2,     c = Y^T C b.

C depends on the standard deviations only through factors, so that a whole search costs one product with the
correlation matrix per correlation length. A weak log-normal hyper-prior, the same for every study, keeps the search
inside what tissue is known to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.inversion.prior import FIELDS, PriorScale, correlation

LENGTHS_MM = (5.0, 8.0, 12.0, 18.0, 26.0)
"""Correlation lengths that are compared."""

STD_BOUNDS = (0.05, 1.2)
"""Bounds of the standard deviations of ln G' and ln G''."""

HYPERPRIOR_STD, HYPERPRIOR_LENGTH_MM, HYPERPRIOR_SPREAD = 0.3, 12.0, 1.0
"""Log-normal hyper-priors: medians of the standard deviations and of the length, and the spread of their logarithms."""


@dataclass(frozen=True, slots=True)
class ZoneEvidence:
    """What the evidence of one zone needs.

    Attributes:
        ijk: voxel indices, shape (n, 3).
        half_hessian: Y, shape (2 n, k).
        information: b = H x - gradient, shape (2 n,).
    """

    ijk: NDArray[np.int64]
    half_hessian: NDArray[np.float64]
    information: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Projected:
    """[Y, b]^T R [Y, b] for each field, and the same with R = 1 for the mean: (k + 1, k + 1) each."""

    correlated: tuple[NDArray[np.float64], ...]
    mean: tuple[NDArray[np.float64], ...]

    def log_evidence(self, stds: NDArray[np.float64], mean_std: float) -> float:
        total = sum(s**2 * c + mean_std**2 * m for s, c, m in zip(stds, self.correlated, self.mean, strict=True))
        inner = np.eye(len(total) - 1) + total[:-1, :-1]
        lower = scipy.linalg.cholesky(inner, lower=True)
        reduced = scipy.linalg.solve_triangular(lower, total[:-1, -1], lower=True)
        return float(-np.log(np.diag(lower)).sum() + 0.5 * (total[-1, -1] - reduced @ reduced))


def fit_prior(
    zones: Sequence[ZoneEvidence], voxel_size_mm: NDArray[np.float64], mean_std: float, comm: MPI.Comm
) -> PriorScale:
    """The hyper-parameters under which the chosen zones' data are most probable; the same on every rank.

    Args:
        zones: this rank's share of the chosen zones (may be empty).
        voxel_size_mm: shape (3,).
        mean_std: of the unknown means, not fitted.
        comm: the ranks.
    """
    best: tuple[float, PriorScale] | None = None
    for length in LENGTHS_MM:
        projected = [_project(zone, voxel_size_mm, length) for zone in zones]
        value, stds = _best_stds(projected, mean_std, comm)
        value += _log_hyperprior(length / HYPERPRIOR_LENGTH_MM)
        if best is None or value > best[0]:
            best = value, PriorScale(float(stds[0]), float(stds[1]), length, mean_std)
    assert best is not None  # LENGTHS_MM is not empty
    return best[1]


def _best_stds(
    projected: Sequence[_Projected], mean_std: float, comm: MPI.Comm
) -> tuple[float, NDArray[np.float64]]:
    """Maximise over the two standard deviations at one length."""

    def loss(log_stds: NDArray[np.float64]) -> float:
        stds = np.exp(log_stds)
        data = comm.allreduce(sum(p.log_evidence(stds, mean_std) for p in projected))
        return -float(data) - sum(_log_hyperprior(s / HYPERPRIOR_STD) for s in stds)

    # A derivative-free search takes the same steps on every rank, because every rank sees the same sum.
    found = scipy.optimize.minimize(
        loss,
        np.full(FIELDS, np.log(HYPERPRIOR_STD)),
        method="Nelder-Mead",
        bounds=[tuple(np.log(STD_BOUNDS))] * FIELDS,
        options={"xatol": 0.03, "fatol": 0.05, "maxfev": 60},
    )
    return -float(found.fun), np.exp(found.x)


def _project(zone: ZoneEvidence, voxel_size_mm: NDArray[np.float64], length_mm: float) -> _Projected:
    base = correlation(zone.ijk, voxel_size_mm, length_mm)
    columns = np.split(np.column_stack([zone.half_hessian, zone.information]), FIELDS)
    sums = [c.sum(axis=0) for c in columns]
    return _Projected(tuple(c.T @ (base @ c) for c in columns), tuple(np.outer(s, s) for s in sums))


def _log_hyperprior(ratio: float) -> float:
    return -0.5 * float(np.log(ratio) / HYPERPRIOR_SPREAD) ** 2
