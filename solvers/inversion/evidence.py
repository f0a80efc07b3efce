"""Hyper-parameters of the prior from the data: the marginal likelihood of a few zones.

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

from palpate.solvers.inversion.prior import FIELDS, UNRESOLVED, Hypotheses, PriorScale, correlation

LENGTHS_MM = (6.0, 12.0, 24.0)
"""Correlation lengths that are compared."""

ROUGHNESSES = (0.0, 0.5, 1.0)
"""Rough shares of the variance that are compared."""

LEAST_PROBABLE = 0.01
"""Hypotheses less probable than this are left out."""

STD_BOUNDS = (0.05, 0.8)
"""Bounds of the standard deviations of ln G' and ln G''."""

REGION_BOUNDS = (0.01, 1.0)
"""Bounds of the standard deviation of regions' means: from regions that say nothing to a factor of 2.7."""

COUPLING_BOUNDS = (0.0, 0.75)
"""Bounds of the correlation between ln G' and ln G''. Zones at the edge of fluid ask for more, which would let G'' copy
G' inside tissue, where they differ."""

HYPERPRIOR_STD, HYPERPRIOR_LENGTH_MM, HYPERPRIOR_SPREAD = 0.3, 12.0, 0.5
"""Log-normal hyper-priors: medians of the standard deviations and of the length, and the spread of their logarithms."""


@dataclass(frozen=True, slots=True)
class ZoneEvidence:
    """What the evidence of one zone needs.

    Attributes:
        ijk: voxel indices, shape (n, 3).
        regions: shares of labelled regions in the voxels, shape (n, R).
        half_hessian: Y, shape (2 n, k).
        information: b = H x - gradient, shape (2 n,).
        number: the zone's position in the list of all zones; its data at several frequencies share it.
    """

    ijk: NDArray[np.int64]
    regions: sparse.csr_matrix
    half_hessian: NDArray[np.float64]
    information: NDArray[np.float64]
    number: int = 0

    @property
    def columns(self) -> NDArray[np.float64]:
        """[Y, b], shape (2 n, k + 1)."""
        return np.column_stack([self.half_hessian, self.information])


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
    zones: Sequence[ZoneEvidence], voxel_size_mm: NDArray[np.float64], start: Hypotheses, comm: MPI.Comm
) -> Hypotheses:
    """The hyper-parameters that the chosen zones' data leave possible; the same on every rank.

    For each length and roughness the most probable standard deviations and coupling; their probabilities follow from
    the evidence there.

    Args:
        zones: this rank's share of the chosen zones (may be empty).
        voxel_size_mm: shape (3,).
        start: where to start; its factors, mean_std and unresolved_std are not fitted, its region_std only where it is
            not zero.
        comm: the ranks.
    """
    found: list[tuple[float, PriorScale]] = []
    at_lengths = [_project(zone, start.amplitude(zone.regions), voxel_size_mm) for zone in zones]
    for number, length in enumerate(LENGTHS_MM):
        projected = [lengths[number] for lengths in at_lengths]
        for roughness in ROUGHNESSES:
            near = found[-1][1] if found else start.mean
            found.append(_most_probable(projected, replace(near, length_mm=length, roughness=roughness), comm))
    logs = np.array([value for value, _ in found])
    probabilities = np.exp(logs - logs.max())
    probabilities /= probabilities.sum()
    kept = np.flatnonzero(probabilities >= LEAST_PROBABLE)
    total = float(probabilities[kept].sum())
    return Hypotheses(
        tuple(found[index][1] for index in kept),
        tuple(float(probabilities[index]) / total for index in kept),
        start.factors,
    )


def _most_probable(projected: Sequence[_Projected], start: PriorScale, comm: MPI.Comm) -> tuple[float, PriorScale]:
    """Maximise log evidence plus log hyper-prior over the standard deviations and the coupling."""
    regional = start.region_std > 0.0

    def scale_of(free: NDArray[np.float64]) -> PriorScale:
        storage_std, loss_std = np.exp(free[:2])
        return replace(
            start,
            storage_std=float(storage_std),
            loss_std=float(loss_std),
            coupling=float(free[2]),
            region_std=float(np.exp(free[3])) if regional else 0.0,
        )

    def loss(free: NDArray[np.float64]) -> float:
        scale = scale_of(free)
        data = comm.allreduce(sum(p.log_evidence(scale) for p in projected))
        return -float(data) - _log_hyperprior(scale)

    bounds = [tuple(np.log(STD_BOUNDS)), tuple(np.log(STD_BOUNDS)), COUPLING_BOUNDS]
    first = [*np.log(np.clip(start.stds, *STD_BOUNDS)), float(np.clip(start.coupling, *COUPLING_BOUNDS))]
    if regional:
        bounds.append(tuple(np.log(REGION_BOUNDS)))
        first.append(float(np.log(np.clip(start.region_std, *REGION_BOUNDS))))
    # A derivative-free search takes the same steps on every rank, because every rank sees the same sum.
    options = {"xatol": 0.03, "fatol": 0.05, "maxfev": 40 * len(first)}
    found = scipy.optimize.minimize(loss, first, method="Nelder-Mead", bounds=bounds, options=options)
    return -float(found.fun), scale_of(found.x)


def _project(
    zone: ZoneEvidence, amplitude: NDArray[np.float64], voxel_size_mm: NDArray[np.float64]
) -> list[_Projected]:
    """The zone's projections at each of LENGTHS_MM; only the fitted part depends on the length."""
    columns = np.split(zone.columns, FIELDS)
    scaled = [a[:, None] * c for a, c in zip(amplitude, columns, strict=True)]

    def through(length_mm: float, roughness: float) -> NDArray[np.float64]:
        base = correlation(zone.ijk, voxel_size_mm, PriorScale(1.0, 1.0, length_mm, roughness=roughness))
        return _pairs(scaled, [base @ c for c in scaled])

    regional = [zone.regions.T @ c for c in columns]
    totals = np.stack([c.sum(axis=0) for c in columns])
    fixed = _Projected(
        correlated=np.stack([through(LENGTHS_MM[0], share) for share in (0.0, 1.0)]),
        mean=totals.T @ totals,
        unresolved=through(UNRESOLVED.length_mm, UNRESOLVED.roughness),
        regional=_pairs(regional, regional),
    )
    longer = (np.stack([through(length, share) for share in (0.0, 1.0)]) for length in LENGTHS_MM[1:])
    return [fixed, *(replace(fixed, correlated=correlated) for correlated in longer)]


def _pairs(left: Sequence[NDArray[np.float64]], right: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """All products between fields, shape (2, 2, k + 1, k + 1)."""
    return np.array([[a.T @ b for b in right] for a in left])


def _log_hyperprior(scale: PriorScale) -> float:
    ratios = [scale.storage_std / HYPERPRIOR_STD, scale.loss_std / HYPERPRIOR_STD]
    ratios.append(scale.length_mm / HYPERPRIOR_LENGTH_MM)
    if scale.region_std > 0.0:
        ratios.append(scale.region_std / HYPERPRIOR_STD)
    return -0.5 * float(np.sum((np.log(ratios) / HYPERPRIOR_SPREAD) ** 2))
