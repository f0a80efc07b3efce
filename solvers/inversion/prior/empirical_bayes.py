"""Hyperparameters of the prior from the data: the marginal likelihood of a few zones.

For a zone with Gaussian likelihood exp(-x^T H x / 2 + b^T x), H = Y Y^T, and prior N(0, C) the log evidence is

    -ln det(I + Y^T C Y) / 2 + (b^T C b - c^T (I + Y^T C Y)^-1 c) / 2,     c = Y^T C b.

C depends on the standard deviations only through factors, so that a whole search costs one product with the
correlation matrix per correlation length. With A = I + Y^T C Y, v = (-A^-1 c, 1) and T = [Y, b]^T C [Y, b] the
evidence changes by (v^T dT v - tr(A^-1 dT_YY)) / 2, so that the slopes for a quasi-Newton search are exact.

A weak log-normal hyper-prior, the same for every study, keeps the search in the known range of tissue.
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

from palpate.solvers.inversion.prior.correlation import matern
from palpate.solvers.inversion.prior.hyperparameters import (
    FIELDS,
    REFERENCE_PRIOR,
    HyperparameterMixture,
    Hyperparameters,
)
from palpate.solvers.inversion.prior.parity_blocks import ParityBlocks
from palpate.solvers.inversion.prior.taper import foot, root_weight

LENGTHS_MM = (6.0, 12.0, 24.0)
"""Correlation lengths that are compared."""

ROUGHNESSES = (0.0, 0.5, 1.0)
"""Rough shares of the variance that are compared."""

LEAST_PROBABLE = 0.01
"""Hypotheses less probable than about this are left out, gradually (taper.py)."""

DECISIVE = 1.0
"""Ratio of the precision that data add to a direction to the reference prior's, above which it enters the evidence."""

STD_BOUNDS = (0.05, 0.8)
"""Bounds of the standard deviations of ln G' and ln G''."""

REGION_BOUNDS = (0.01, 1.0)
"""Bounds of the standard deviation of regions' means: from regions without effect to a factor of 2.7."""

CROSS_CORRELATION_BOUNDS = (0.0, 0.75)
"""Bounds of the correlation between ln G' and ln G''. Zones at the edge of fluid favour more, which would make G''
follow G' inside tissue, where they differ."""

SLOPE = 1e-4
"""Slope of the log evidence by the logarithm of a standard deviation at which the search ends."""

HYPERPRIOR_STD, HYPERPRIOR_LENGTH_MM, HYPERPRIOR_SPREAD = 0.3, 12.0, 0.5
"""Log-normal hyper-priors: medians of the standard deviations and of the length, and the spread of their logarithms."""


@dataclass(frozen=True, slots=True)
class ZoneEvidence:
    """Data of one zone that its evidence is computed from.

    Attributes:
        ijk: voxel indices, shape (n, 3).
        regions: fractions of the voxels in labelled regions, shape (n, R).
        hessian_factor: Hessian factor Y, shape (2 n, k).
        information: vector b = H x - gradient, shape (2 n,).
        number: the zone's position in the list of all zones; its data at several frequencies share it.
    """

    ijk: NDArray[np.int64]
    regions: sparse.csr_matrix
    hessian_factor: NDArray[np.float64]
    information: NDArray[np.float64]
    number: int = 0

    @property
    def columns(self) -> NDArray[np.float64]:
        """Matrix [Y, b], shape (2 n, k + 1)."""
        return np.column_stack([self.hessian_factor, self.information])

    def decisive(self, voxel_size_mm: NDArray[np.float64]) -> ZoneEvidence:
        """Return the zone with only those directions of its data that are more precise than the reference prior.

        With Y^T C0 Y = V diag(values) V^T and b = Y beta they are Y V' R, R V'^T beta, R roots of weights that fall to
        zero around DECISIVE (taper.py). The rest, some two fifths of the columns, contribute at most half a unit of log
        evidence between hyperparameters.

        Args:
            voxel_size_mm: edges of a voxel, mm, shape (3,).
        """
        box, prior = ParityBlocks(self.ijk, voxel_size_mm), REFERENCE_PRIOR
        blocks = box.blocks_of(matern, prior.length_mm, prior.roughness)
        halves = np.split(self.hessian_factor, FIELDS)
        totals = prior.mean_std * np.stack([half.sum(axis=0) for half in halves])
        scaled = [prior.storage_std * box.fold(half) for half in halves]
        values, vectors = np.linalg.eigh(totals.T @ totals + sum(c.T @ box.times(blocks, c) for c in scaled))
        threshold = min(DECISIVE, values[-1] / 2.0)  # no zone is empty
        some = values > foot(threshold)
        kept = vectors[:, some] * root_weight(values[some], threshold)
        along = scipy.linalg.lstsq(self.hessian_factor, self.information, lapack_driver="gelsy")[0]
        half = self.hessian_factor @ kept
        return replace(self, hessian_factor=half, information=half @ (kept.T @ along))


@dataclass(frozen=True, slots=True)
class Projected:
    """Products T = [Y, b]^T C [Y, b] of one zone with the parts of C at one correlation length.

    Attributes:
        correlated: part of the local variation, shape (2, 3, k + 1, k + 1); the first axis is smooth and rough R, the
            second is field 1 with itself, field 2 with itself, and both with each other.
        mean: part of the unknown mean (R = 1), shape (k + 1, k + 1).
        regional: part of regions (R = W W^T), shape (2, k + 1, k + 1); the first axis is the fields with themselves
            and with each other.
    """

    correlated: NDArray[np.float64]
    mean: NDArray[np.float64]
    regional: NDArray[np.float64]

    def at(self, roughness: float) -> Projected:
        """Return the products for one correlation, partly rough and partly smooth."""
        mixed = (1.0 - roughness) * self.correlated[0] + roughness * self.correlated[1]
        return replace(self, correlated=mixed[None])

    def log_evidence(self, scale: Hyperparameters) -> tuple[float, NDArray[np.float64]]:
        """Return the log evidence of one correlation, and its slopes by ln s_1, ln s_2, rho and ln s_region.

        Args:
            scale: standard deviations and cross-correlation.
        """
        (first, second), rho = scale.stds, scale.cross_correlation
        alone_1, alone_2, both = self.correlated[0]
        region = scale.region_std**2 * self.regional
        across = rho * first * second * both
        total = first**2 * alone_1 + second**2 * alone_2 + across + scale.mean_std**2 * self.mean
        total += region[0] + rho * region[1]
        value, slope = log_evidence_of(total)

        def along(change: NDArray[np.float64]) -> float:
            return float(np.vdot(slope, change))

        shared = along(across)
        by_rho = along(first * second * both + region[1])
        by_region = 2.0 * (along(region[0]) + rho * along(region[1]))
        slopes = [2.0 * first**2 * along(alone_1) + shared, 2.0 * second**2 * along(alone_2) + shared]
        return value, np.array([*slopes, by_rho, by_region])


def log_evidence_of(total: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the log evidence from T = [Y, b]^T C [Y, b], and its derivative by T, shape (k + 1, k + 1).

    Args:
        total: matrix T, shape (k + 1, k + 1).
    """
    count = len(total) - 1
    factor = scipy.linalg.cho_factor(np.eye(count) + total[:-1, :-1], lower=True)
    solved = scipy.linalg.cho_solve(factor, total[:-1, -1])
    value = -np.log(np.diag(factor[0])).sum() + 0.5 * (total[-1, -1] - total[:-1, -1] @ solved)
    ends = np.append(-solved, 1.0)
    slope = 0.5 * np.outer(ends, ends)
    if count:  # LAPACK has no inverse of an empty matrix, as of a zone that tells nothing
        inverse, _ = scipy.linalg.lapack.dpotri(factor[0], lower=True)  # its lower half
        slope[:-1, :-1] -= 0.5 * (np.tril(inverse) + np.tril(inverse, -1).T)
    return float(value), slope


def join_frequencies(parts: Sequence[ZoneEvidence], comm: MPI.Comm) -> list[ZoneEvidence]:
    """Return this rank's share of whole zones, each with its data of all frequencies side by side.

    The data of all frequencies depend on the same stiffness; taken as separate zones they would count it several times.

    Args:
        parts: this rank's zones, each at one frequency.
        comm: communicator of the ranks.
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
            hessian_factor=np.concatenate([part.hessian_factor for part in same], axis=1),
            information=np.sum([part.information for part in same], axis=0),
        )
        for _, same in sorted(received.items())
    ]


def fit_prior(
    zones: Sequence[ZoneEvidence], voxel_size_mm: NDArray[np.float64], start: HyperparameterMixture, comm: MPI.Comm
) -> HyperparameterMixture:
    """Return the hyperparameters that are probable by the chosen zones' data; equal on every rank.

    For each length and roughness the most probable standard deviations and cross-correlation are found; their
    probabilities follow from the evidence there.

    Args:
        zones: this rank's share of the chosen zones (may be empty).
        voxel_size_mm: edges of a voxel, mm, shape (3,).
        start: hyperparameters at the start; region_scales, mean_std and unresolved_std are not fitted, region_std only
            where it is not zero.
        comm: communicator of the ranks.
    """
    found: list[tuple[float, Hyperparameters]] = []
    at_lengths = [_project(zone, start, voxel_size_mm) for zone in zones]
    for number, length in enumerate(LENGTHS_MM):
        projected = [lengths[number] for lengths in at_lengths]
        for roughness in ROUGHNESSES:
            near = found[-1][1] if found else start.mean
            mixed = [zone.at(roughness) for zone in projected]
            found.append(_most_probable(mixed, replace(near, length_mm=length, roughness=roughness), comm))
    logs = np.array([value for value, _ in found])
    probabilities = np.exp(logs - logs.max())
    probabilities /= probabilities.sum()
    probabilities *= root_weight(probabilities, LEAST_PROBABLE)
    kept = np.flatnonzero(probabilities)
    total = float(probabilities[kept].sum())
    return HyperparameterMixture(
        tuple(found[index][1] for index in kept),
        tuple(float(probabilities[index]) / total for index in kept),
        start.region_scales,
        start.correlation,
    )


def _most_probable(
    projected: Sequence[Projected], start: Hyperparameters, comm: MPI.Comm
) -> tuple[float, Hyperparameters]:
    """Maximise log evidence plus log hyper-prior over the standard deviations and the cross-correlation."""
    free = 4 if start.region_std > 0.0 else 3

    def scale_of(point: NDArray[np.float64]) -> Hyperparameters:
        storage_std, loss_std = np.exp(point[:2])
        region_std = float(np.exp(point[3])) if free > 3 else 0.0
        return replace(
            start,
            storage_std=float(storage_std),
            loss_std=float(loss_std),
            cross_correlation=float(point[2]),
            region_std=region_std,
        )

    def loss(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale = scale_of(point)
        own = np.zeros(5)
        for zone in projected:
            value, slopes = zone.log_evidence(scale)
            own += [value, *slopes]
        data = np.asarray(comm.allreduce(own))
        prior, slopes = _log_hyperprior(scale)
        return -float(data[0]) - prior, -(data[1:] + slopes)[:free]

    of_stds = tuple(np.log(STD_BOUNDS))
    bounds = [of_stds, of_stds, CROSS_CORRELATION_BOUNDS, tuple(np.log(REGION_BOUNDS))][:free]
    first = [
        *np.log(np.clip(start.stds, *STD_BOUNDS)),
        float(np.clip(start.cross_correlation, *CROSS_CORRELATION_BOUNDS)),
    ]
    if free > 3:
        first.append(float(np.log(np.clip(start.region_std, *REGION_BOUNDS))))
    # Every rank sees the same sums, and so takes the same steps.
    options = {"ftol": 1e-11, "gtol": SLOPE}
    found = scipy.optimize.minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return -float(found.fun), scale_of(found.x)


def _project(zone: ZoneEvidence, start: HyperparameterMixture, voxel_size_mm: NDArray[np.float64]) -> list[Projected]:
    """Return the zone's projections at each of LENGTHS_MM; only the fitted part depends on the length."""
    box, amplitude = ParityBlocks(zone.ijk, voxel_size_mm), start.amplitude(zone.regions)
    folded = [box.fold(a[:, None] * c) for a, c in zip(amplitude, np.split(zone.columns, FIELDS), strict=True)]

    def through(length_mm: float, roughness: float) -> NDArray[np.float64]:
        blocks = box.blocks_of(start.correlation, length_mm, roughness)
        return _pairs(folded, [box.times(blocks, c) for c in folded])

    mean, regional = of_means(zone)
    fixed = Projected(
        correlated=np.stack([through(LENGTHS_MM[0], share) for share in (0.0, 1.0)]),
        mean=mean,
        regional=regional,
    )
    longer = (np.stack([through(length, share) for share in (0.0, 1.0)]) for length in LENGTHS_MM[1:])
    return [fixed, *(replace(fixed, correlated=correlated) for correlated in longer)]


def of_means(zone: ZoneEvidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return T of the unknown means, shape (k + 1, k + 1), and T of regions, shape (2, k + 1, k + 1).

    T of regions is for the fields with themselves, and with each other. Both are for a standard deviation of one.

    Args:
        zone: zone, of which columns and regions are used.
    """
    columns = np.split(zone.columns, FIELDS)
    totals = np.stack([c.sum(axis=0) for c in columns])
    regional = [zone.regions.T @ c for c in columns]
    return totals.T @ totals, _together(_pairs(regional, regional))


def _pairs(left: Sequence[NDArray[np.float64]], right: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return products of field 1 with itself, 2 with itself, and both with each other, shape (3, k + 1, k + 1)."""
    across = left[0].T @ right[1]
    return np.stack([left[0].T @ right[0], left[1].T @ right[1], across + across.T])


def _together(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the products of two fields of one standard deviation, each with itself and both with each other."""
    return np.stack([pairs[0] + pairs[1], pairs[2]])


def _log_hyperprior(scale: Hyperparameters) -> tuple[float, NDArray[np.float64]]:
    """Return the log hyper-prior, and its slopes by ln s_1, ln s_2, rho and ln s_region."""
    stds = [scale.storage_std, scale.loss_std]
    if scale.region_std > 0.0:
        stds.append(scale.region_std)
    strange = np.log(np.array(stds) / HYPERPRIOR_STD) / HYPERPRIOR_SPREAD
    length = np.log(scale.length_mm / HYPERPRIOR_LENGTH_MM) / HYPERPRIOR_SPREAD
    slopes = np.zeros(4)
    slopes[[0, 1, 3][: len(stds)]] = -strange / HYPERPRIOR_SPREAD
    return -0.5 * float(strange @ strange + length**2), slopes
