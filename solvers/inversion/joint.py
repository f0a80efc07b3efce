"""All zones' curvatures and the prior as one Gaussian posterior, spread over MPI ranks.

With H = Y Y^T the sum of the zones' compressed Hessians (Y has the zones' columns side by side) and prior covariance
C, everything asked of the posterior precision C^-1 + Y Y^T goes through one small symmetric system,

    (I + Y^T C Y) t = rhs                                       (Woodbury),

solved by conjugate gradients. Each rank holds the columns of its own zones; vectors over the voxels are replicated.
The matrix has eigenvalue 1 wherever zones repeat each other and large ones along the few smooth directions that waves
see best; those are deflated with every zone's best-known directions. Neither the prior's precision nor any matrix over
the whole organ is ever formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from mpi4py import MPI
from numpy.typing import NDArray

from palpate.solvers.inversion import log_determinant
from palpate.solvers.inversion.log_determinant import LogDeterminant
from palpate.solvers.inversion.prior import FIELDS, MaternField, correlation

TOLERANCE = 1e-4
"""Largest residual of the small system. As its matrix is not less than the identity, the error of any linear
functional of the solution is below this many posterior standard deviations."""

DRAW_TOLERANCE = 1e-3
"""The same of draws, of which some hundred give a standard deviation to 5 % or so."""

LIMIT = 400

DEFLATED = 256
"""Directions that are solved directly, all zones together; each costs one product with the prior covariance."""

COLUMNS = 64
"""Vectors over the whole organ that are held at a time: of 240,000 voxels they take 250 MB."""

DEFLATED_PER_ZONE = (2, 16)
"""Fewest and most of them from one zone: those it knows best."""


@dataclass(frozen=True, slots=True)
class ZoneCurvature:
    """One zone's columns of Y.

    Attributes:
        voxels: indices into the mask's voxels, shape (n,).
        ijk: voxel indices, shape (n, 3).
        half_hessian: Y of the zone, shape (2 n, k).
        frequency: position of the data's frequency in the run; with the voxels it seeds the columns' random numbers.
    """

    voxels: NDArray[np.int64]
    ijk: NDArray[np.int64]
    half_hessian: NDArray[np.float64]
    frequency: int = 0

    def generator(self, seed: int) -> np.random.Generator:
        """Random numbers for the columns, the same on whichever rank they are."""
        return np.random.default_rng([seed, 1 + self.frequency, int(self.voxels[0]), len(self.voxels)])


class JointPosterior:
    """The Gaussian posterior of m around a mean, from this rank's zones and everybody else's.

    Args:
        prior: C over the N voxels of the mask.
        zones: this rank's zones.
        comm: the ranks.
    """

    def __init__(self, prior: MaternField, zones: Sequence[ZoneCurvature], comm: MPI.Comm) -> None:
        self._prior = prior
        self._zones = zones
        self._comm = comm
        self._count = int(np.count_nonzero(prior.mask))
        self._index = [np.concatenate([z.voxels + f * self._count for f in range(FIELDS)]) for z in zones]
        self._ends = np.cumsum([z.half_hessian.shape[1] for z in zones]) if zones else np.zeros(0, dtype=np.int64)
        self.iterations = 0
        """Conjugate-gradient iterations spent so far."""
        self._coarse = self._coarse_basis()
        self._coarse_image = self._apply(self._coarse)
        inner = np.asarray(comm.allreduce(self._coarse.T @ self._coarse_image))
        self._coarse_factor = scipy.linalg.cho_factor(0.5 * (inner + inner.T), lower=True)

    def improve(self, information: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The posterior mean x = (C^-1 + H)^-1 b as x = C w.

        Args:
            information: b = H x - gradient at the present x, shape (2 N,), summed over all ranks.

        Returns:
            x and w, each of shape (2 N,).
        """
        b = information[:, None]
        t = self._solve(self._to_zones(self._covariance(b)))
        w = b - self._from_zones(t)
        return self._covariance(w)[:, 0], w[:, 0]

    def draw(self, count: int, seed: int) -> NDArray[np.float64]:
        """Independent draws from N(0, (C^-1 + H)^-1) by Matheron's rule, shape (2 N, count).

        A prior draw x0 is corrected by what data with noise would have said of it:
        x = x0 + C Y (I + Y^T C Y)^-1 (noise - Y^T x0). The same seed gives the same draws on any number of ranks.
        """
        prior_draws = self._prior.draw(count, np.random.default_rng([seed, 0]))
        noise = [zone.generator(seed).standard_normal((zone.half_hessian.shape[1], count)) for zone in self._zones]
        stacked = np.concatenate(noise) if noise else np.zeros((0, count))
        t = self._solve(stacked - self._to_zones(prior_draws), DRAW_TOLERANCE)
        return prior_draws + self._covariance(self._from_zones(t))

    def log_determinant(self, seed: int) -> LogDeterminant:
        """The value of ln det (I + Y^T C Y), by how much data narrow the prior; the same on any number of ranks.

        With W the deflated directions it is ln det (W^T A W) and that of the Schur complement on the rest,
        P (A - A W (W^T A W)^-1 W^T A) P with P = I - W W^T, which is not less than the identity either.
        """
        rows = self._coarse.shape[0]
        if self._comm.allreduce(rows) <= log_determinant.DENSE:
            return log_determinant.dense(self._apply, rows, self._comm)

        def rest(t: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(t - self._coarse @ self._comm.allreduce(self._coarse.T @ t))

        def complement(t: NDArray[np.float64]) -> NDArray[np.float64]:
            known = scipy.linalg.cho_solve(self._coarse_factor, self._comm.allreduce(self._coarse_image.T @ t))
            return rest(self._apply(t) - self._coarse_image @ known)

        coins = [
            zone.generator(seed).integers(0, 2, (zone.half_hessian.shape[1], log_determinant.PROBES))
            for zone in self._zones
        ]
        signs = 2.0 * np.concatenate(coins) - 1.0 if coins else np.zeros((0, log_determinant.PROBES))
        found = log_determinant.by_quadrature(complement, rest(signs), self._comm)
        coarse = 2.0 * float(np.log(np.diag(self._coarse_factor[0])).sum())
        return LogDeterminant(coarse + found.value, found.standard_error)

    def _own_block(self, zone: ZoneCurvature) -> NDArray[np.float64]:
        """I + Y_z^T C Y_z for one zone, nearly: with typical hyper-parameters, without what waves do not resolve."""
        scale = self._prior.scale
        base = correlation(zone.ijk, self._prior.voxel_size_mm, scale)
        halves = np.split(zone.half_hessian, FIELDS)
        amplitudes = scale.stds[:, None] * self._prior.amplitude[:, zone.voxels]
        scaled = [amplitude[:, None] * half for amplitude, half in zip(amplitudes, halves, strict=True)]
        local = [base @ half for half in scaled]
        in_regions = [scale.region_std * (self._prior.regions[zone.voxels].T @ half) for half in halves]
        block = np.eye(zone.half_hessian.shape[1])
        for f, half in enumerate(halves):
            total = half.sum(axis=0)
            block += scale.mean_std**2 * np.outer(total, total)
            block += scaled[f].T @ sum(scale.mixing[f, g] * local[g] for g in range(FIELDS))
            block += in_regions[f].T @ sum(scale.mixing[f, g] * in_regions[g] for g in range(FIELDS))
        return 0.5 * (block + block.T)

    def _covariance(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """C times columns that every rank holds; the columns' work is shared between the ranks."""
        size, rank = self._comm.size, self._comm.rank
        if size == 1:
            return self._prior.apply(weights)
        out = np.zeros_like(weights)
        mine = slice(rank * weights.shape[1] // size, (rank + 1) * weights.shape[1] // size)
        if mine.stop > mine.start:
            out[:, mine] = self._prior.apply(np.ascontiguousarray(weights[:, mine]))
        self._comm.Allreduce(MPI.IN_PLACE, out)
        return out

    def _to_zones(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Y^T times vectors over the voxels: this rank's rows, shape (sum k, columns)."""
        parts = [z.half_hessian.T @ values[index] for z, index in zip(self._zones, self._index, strict=True)]
        return np.concatenate(parts) if parts else np.zeros((0, values.shape[1]))

    def _from_zones(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Y times zone coefficients, summed over all ranks, shape (2 N, columns)."""
        out = np.zeros((FIELDS * self._count, t.shape[1]))
        for zone, index, part in zip(self._zones, self._index, np.split(t, self._ends[:-1]), strict=False):
            out[index] += zone.half_hessian @ part
        self._comm.Allreduce(MPI.IN_PLACE, out)
        return out

    def _coarse_basis(self) -> NDArray[np.float64]:
        """Each zone's leading eigenvectors as columns, this rank's rows, shape (sum k, all deflated directions)."""
        vectors = []
        all_zones = max(1, self._comm.allreduce(len(self._zones)))
        share = int(np.clip(DEFLATED // all_zones, *DEFLATED_PER_ZONE))
        for zone in self._zones:
            block = self._own_block(zone)
            keep = min(share, len(block))
            vectors.append(scipy.linalg.eigh(block, subset_by_index=(len(block) - keep, len(block) - 1))[1])
        widths = self._comm.allgather(sum(v.shape[1] for v in vectors))
        first = sum(widths[: self._comm.rank])
        basis = np.zeros((sum(len(v) for v in vectors), sum(widths)))
        row = 0
        for v in vectors:
            basis[row : row + len(v), first : first + v.shape[1]] = v
            row, first = row + len(v), first + v.shape[1]
        return basis

    def _apply(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """(I + Y^T C Y) t, a block of columns at a time: each costs a vector over the whole organ on every rank."""
        out = np.empty_like(t)
        for first in range(0, t.shape[1], COLUMNS):
            block = np.ascontiguousarray(t[:, first : first + COLUMNS])
            out[:, first : first + COLUMNS] = block + self._to_zones(self._covariance(self._from_zones(block)))
        return out

    def _deflate(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """Preconditioner: the directions of the coarse basis solved exactly, the others left alone."""
        dual = self._comm.allreduce(self._coarse.T @ r - self._coarse_image.T @ r)
        return np.asarray(r + self._coarse @ scipy.linalg.cho_solve(self._coarse_factor, dual))

    def _dot(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._comm.allreduce(np.sum(a * b, axis=0)))

    def _solve(self, rhs: NDArray[np.float64], tolerance: float = TOLERANCE) -> NDArray[np.float64]:
        """Deflated conjugate gradients on (I + Y^T C Y) t = rhs, all columns at once."""
        start = scipy.linalg.cho_solve(self._coarse_factor, self._comm.allreduce(self._coarse.T @ rhs))
        t: NDArray[np.float64] = self._coarse @ start
        residual = rhs - self._coarse_image @ start
        direction = z = self._deflate(residual)
        rho = self._dot(residual, z)
        for _ in range(LIMIT):
            if np.all(self._dot(residual, residual) <= tolerance**2):
                return t
            image = self._apply(direction)
            step = rho / np.maximum(self._dot(direction, image), 1e-300)
            t = t + step * direction
            residual = residual - step * image
            z = self._deflate(residual)
            rho, previous = self._dot(residual, z), rho
            direction = z + rho / np.maximum(previous, 1e-300) * direction
            self.iterations += 1
        raise RuntimeError(f"the joint posterior did not converge in {LIMIT} conjugate-gradient iterations")
