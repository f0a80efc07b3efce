"""Hyper-parameters of the prior from the data: maximum of the marginal likelihood of a few zones.

For a zone with Gaussian likelihood exp(-x^T H x / 2 + b^T x), H = Y Y^T, and prior N(0, C) the log evidence is

    -ln det(I + Y^T C Y) / 2 + (b^T C b - c^T (I + Y^T C Y)^-1 c) / 2,     c = Y^T C b.

C depends on the standard deviations only through factors, so that a whole search costs one product with the
correlation matrix per correlation length. A weak log-normal hyper-prior, the same for every study, keeps the search
inside what tissue is known to do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.optimize
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.inversion.prior import FIELDS, UNRESOLVED, PriorScale, correlation

LENGTHS_MM = (5.0, 8.0, 12.0, 18.0, 26.0)
"""Correlation lengths that are compared."""

STD_BOUNDS = (0.05, 0.8)
"""Bounds of the standard deviations of ln G' and ln G''."""

REGION_BOUNDS = (0.01, 1.0)
"""Bounds of the standard deviation of regions' means: from regions that say nothing to a factor of 2.7."""

COUPLING_BOUNDS = (0.0, 0.75)
"""Bounds of the correlation between ln G' and ln G''. Zones at the edge of fluid ask for more, which would let G'' copy
G' inside tissue, where they differ."""

ROUGHNESS_BOUNDS = (0.0, 1.0)
"""Bounds of the rough share of the variance, with a flat prior between them."""

ROUGHNESS_START = (0.1, 0.9)
"""The search starts inside its bounds, where it can move both ways."""

HYPERPRIOR_STD, HYPERPRIOR_LENGTH_MM, HYPERPRIOR_SPREAD = 0.3, 12.0, 0.5
"""Log-normal hyper-priors: medians of the standard deviations and of the length, and the spread of their logarithms."""


@dataclass(frozen=True, slots=True)
class ZoneEvidence:
    """What the evidence of one zone needs.

    Attributes:
        ijk: voxel indices, shape (n, 3).
        relative_spread: of the prior at the voxels, shape (n,).
        regions: shares of labelled regions in the voxels, shape (n, R).
        half_hessian: Y, shape (2 n, k).
        information: b = H x - gradient, shape (2 n,).
        number: the zone's position in the list of all zones; its data at several frequencies share it.
    """

    ijk: NDArray[np.int64]
    relative_spread: NDArray[np.float64]
    regions: sparse.csr_matrix
    half_hessian: NDArray[np.float64]
    information: NDArray[np.float64]
    number: int = 0


@dataclass(frozen=True, slots=True)
class _Projected:
    """[Y, b]_f^T R [Y, b]_g of one zone.

    Attributes:
        correlated: for R smooth and rough and each pair of fields, shape (2, 2, 2, k + 1, k + 1).
        mean: for R = 1, which is what the unknown mean adds, shape (k + 1, k + 1).
        unresolved: for R of what waves do not resolve and each pair of fields, shape (2, 2, k + 1, k + 1).
        regional: for R = W W^T, which is what regions add, and each pair of fields, shape (2, 2, k + 1, k + 1).
    """

    correlated: NDArray[np.float64]
    mean: NDArray[np.float64]
    unresolved: NDArray[np.float64]
    regional: NDArray[np.float64]

    def log_evidence(self, scale: PriorScale) -> float:
        covariance = scale.stds[:, None] * scale.mixing * scale.stds
        shares = np.array([1.0 - scale.roughness, scale.roughness])
        weights = shares[:, None, None] * covariance
        total = np.tensordot(weights, self.correlated, axes=3) + scale.mean_std**2 * self.mean
        further = scale.region_std**2 * self.regional + scale.unresolved_std**2 * self.unresolved
        total = total + np.tensordot(scale.mixing, further, axes=2)
        inner = np.eye(len(total) - 1) + total[:-1, :-1]
        lower = scipy.linalg.cholesky(inner, lower=True)
        reduced = scipy.linalg.solve_triangular(lower, total[:-1, -1], lower=True)
        return float(-np.log(np.diag(lower)).sum() + 0.5 * (total[-1, -1] - reduced @ reduced))


def join_frequencies(parts: Sequence[ZoneEvidence], comm: MPI.Comm) -> list[ZoneEvidence]:
    """This rank's share of whole zones: what all frequencies say of a zone, wherever it was computed, side by side.

    Each frequency's data speak of the same stiffness; taken as zones of their own they would count it several times.

    Args:
        parts: zones at one frequency each, this rank's.
        comm: the ranks.
    """
    sent: list[list[ZoneEvidence]] = [[] for _ in range(comm.size)]
    for part in parts:
        sent[part.number % comm.size].append(part)
    received: dict[int, list[ZoneEvidence]] = {}
    for part in itertools.chain.from_iterable(comm.alltoall(sent)):
        received.setdefault(part.number, []).append(part)
    return [
        replace(
            same[0],
            half_hessian=np.concatenate([part.half_hessian for part in same], axis=1),
            information=np.sum([part.information for part in same], axis=0),
        )
        for _, same in sorted(received.items())
    ]


def fit_prior(
    zones: Sequence[ZoneEvidence],
    voxel_size_mm: NDArray[np.float64],
    start: PriorScale,
    comm: MPI.Comm,
    *,
    every_length: bool,
) -> PriorScale:
    """The hyper-parameters under which the chosen zones' data are most probable; the same on every rank.

    Args:
        zones: this rank's share of the chosen zones (may be empty).
        voxel_size_mm: shape (3,).
        start: where to start; its mean_std is not fitted, its region_std only where it is not zero.
        comm: the ranks.
        every_length: whether all lengths are compared, or the present one and its neighbours.
    """
    best: tuple[float, PriorScale] | None = None
    near = int(np.argmin(np.abs(np.log(np.array(LENGTHS_MM) / start.length_mm))))
    for length in LENGTHS_MM if every_length else LENGTHS_MM[max(near - 1, 0) : near + 2]:
        projected = [_project(zone, voxel_size_mm, length) for zone in zones]
        candidate = _best_at_length(projected, length, start, comm)
        if best is None or candidate[0] > best[0]:
            best = candidate
    assert best is not None  # LENGTHS_MM is not empty
    return best[1]


def _best_at_length(
    projected: Sequence[_Projected], length_mm: float, start: PriorScale, comm: MPI.Comm
) -> tuple[float, PriorScale]:
    """Maximise log evidence plus log hyper-prior over standard deviations, coupling and roughness at one length."""
    regional = start.region_std > 0.0

    def scale_of(free: NDArray[np.float64]) -> PriorScale:
        storage_std, loss_std = np.exp(free[:2])
        return replace(
            start,
            storage_std=float(storage_std),
            loss_std=float(loss_std),
            length_mm=length_mm,
            coupling=float(free[2]),
            roughness=float(free[3]),
            region_std=float(np.exp(free[4])) if regional else 0.0,
        )

    def loss(free: NDArray[np.float64]) -> float:
        scale = scale_of(free)
        data = comm.allreduce(sum(p.log_evidence(scale) for p in projected))
        ratios: tuple[float, ...] = (
            scale.storage_std / HYPERPRIOR_STD,
            scale.loss_std / HYPERPRIOR_STD,
            length_mm / HYPERPRIOR_LENGTH_MM,
        )
        if regional:
            ratios = (*ratios, scale.region_std / HYPERPRIOR_STD)
        return -float(data) - sum(_log_hyperprior(ratio) for ratio in ratios)

    # A derivative-free search takes the same steps on every rank, because every rank sees the same sum.
    found = scipy.optimize.minimize(
        loss,
        [
            *np.log(np.clip(start.stds, *STD_BOUNDS)),
            float(np.clip(start.coupling, *COUPLING_BOUNDS)),
            float(np.clip(start.roughness, *ROUGHNESS_START)),
            *([float(np.log(np.clip(start.region_std, *REGION_BOUNDS)))] if regional else []),
        ],
        method="Nelder-Mead",
        bounds=[
            tuple(np.log(STD_BOUNDS)),
            tuple(np.log(STD_BOUNDS)),
            COUPLING_BOUNDS,
            ROUGHNESS_BOUNDS,
            *([tuple(np.log(REGION_BOUNDS))] if regional else []),
        ],
        options={"xatol": 0.03, "fatol": 0.05, "maxfev": 160 if regional else 120},
    )
    return -float(found.fun), scale_of(found.x)


def _project(zone: ZoneEvidence, voxel_size_mm: NDArray[np.float64], length_mm: float) -> _Projected:
    columns = np.split(np.column_stack([zone.half_hessian, zone.information]), FIELDS)
    scaled = [zone.relative_spread[:, None] * c for c in columns]

    def through(values: Sequence[NDArray[np.float64]], scale: PriorScale) -> NDArray[np.float64]:
        base = correlation(zone.ijk, voxel_size_mm, scale)
        return _pairs(values, [base @ c for c in values])

    regional = [zone.regions.T @ c for c in columns]
    totals = np.stack([c.sum(axis=0) for c in columns])
    return _Projected(
        correlated=np.array(
            [through(scaled, PriorScale(1.0, 1.0, length_mm, roughness=share)) for share in ROUGHNESS_BOUNDS]
        ),
        mean=totals.T @ totals,
        unresolved=through(columns, UNRESOLVED),
        regional=_pairs(regional, regional),
    )


def _pairs(left: Sequence[NDArray[np.float64]], right: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """All products between fields, shape (2, 2, k + 1, k + 1)."""
    return np.array([[a.T @ b for b in right] for a in left])


def _log_hyperprior(ratio: float) -> float:
    return -0.5 * float(np.log(ratio) / HYPERPRIOR_SPREAD) ** 2
