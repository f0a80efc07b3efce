"""Joint Gaussian posterior of the prior and all zones' curvatures, spread over MPI ranks.

With H = Y Y^T the sum of the zones' compressed Hessians (Y has the zones' columns side by side) and prior covariance
C, everything asked of the posterior precision C^-1 + Y Y^T goes through one small symmetric system,

    (I + Y^T C Y) t = rhs                                       (Woodbury),

solved by conjugate gradients, for all but the directions that waves determine best (deflation.py). Each rank holds the
columns of its own zones; vectors over the voxels are replicated. Neither the prior's precision nor any matrix over the
whole organ is ever formed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.inversion.posterior import log_determinant
from palpate.solvers.inversion.posterior.deflation import COLUMNS, Deflation, Spectrum, deflation_of
from palpate.solvers.inversion.posterior.log_determinant import LogDeterminant
from palpate.solvers.inversion.prior.correlation import correlation, edge_of
from palpate.solvers.inversion.prior.hyperparameters import FIELDS
from palpate.solvers.inversion.prior.prior import MaternField

TOLERANCE = 1e-4
"""Largest residual of the small system. As its matrix is not less than the identity, the error of any linear
functional of the solution is below this many posterior standard deviations."""

DRAW_TOLERANCE = 0.02
"""Largest residual of the small system for draws: it adds at most 0.04 % to any variance, which 200 draws estimate to
10 %."""

LIMIT = 400
"""Largest number of conjugate-gradient iterations."""

HOPELESS = 1e30
"""Square of a residual above which the iterations count as diverged."""

ROUNDING = 1e-13
"""Ratio of an eigenvalue of Y^T Y to the largest one below which it is only rounding."""

FEW = 3
"""Number of right-hand sides for which the directions of a step are chosen."""

COARSE_VOXELS = 2
"""Edge of the blocks in which a zone's own block of the matrix is estimated, voxels."""


@dataclass(frozen=True, slots=True)
class ZoneCurvature:
    """One zone's columns of Y.

    Attributes:
        voxels: indices into the mask's voxels, shape (n,).
        ijk: voxel indices, shape (n, 3).
        hessian_factor: factor Y of the zone's Hessian at the stated noise, shape (2 n, k).
        inflation: factor on its noise variance, by whose root Y is divided wherever Y is used: a scaled copy of Y for
            all zones would be half of the memory that a rank takes.
        frequency: position of the data's frequency in the run; with the voxels it seeds the columns' random numbers.
    """

    voxels: NDArray[np.int64]
    ijk: NDArray[np.int64]
    hessian_factor: NDArray[np.float64]
    inflation: float = 1.0
    frequency: int = 0

    @property
    def columns(self) -> int:
        """Number k of columns."""
        return int(self.hessian_factor.shape[1])

    def gather(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Y^T times columns on the zone's voxels, shape (k, columns)."""
        return np.asarray(self.hessian_factor.T @ values / np.sqrt(self.inflation))

    def spread(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Y times coefficients, shape (2 n, columns)."""
        return np.asarray(self.hessian_factor @ (t / np.sqrt(self.inflation)))

    def generator(self, seed: int) -> np.random.Generator:
        """Return the generator of random numbers for the zone, which does not depend on the zone's rank."""
        return np.random.default_rng([seed, 1 + self.frequency, int(self.voxels[0]), len(self.voxels)])

    def noise(self, count: int, seed: int) -> NDArray[np.float64]:
        """Draw standard normal numbers e for the columns, shape (k, count), so that Y e depends on H = Y Y^T alone.

        Columns are eigenvectors, whose signs, and directions among equal eigenvalues, depend on rounding. Independent
        noise for each column would give other draws on another processor. With unit noise n on the voxels and Q = Y
        (Y^T Y)^-1/2,

            e = Q^T n,     Y e = (Y Y^T)^1/2 n.
        """
        white = self.generator(seed).standard_normal((len(self.hessian_factor), count))
        values, vectors = np.linalg.eigh(self.hessian_factor.T @ self.hessian_factor)
        seen = values > ROUNDING * values[-1]  # in the others Y vanishes, and e with it
        roots = vectors[:, seen] / np.sqrt(values[seen])
        return np.asarray(vectors[:, seen] @ (roots.T @ (self.hessian_factor.T @ white)))


class DivergenceError(RuntimeError):
    """Error of conjugate gradients that did not converge; raised on every rank alike."""


class JointPosterior:
    """Gaussian posterior of m around a mean, from the zones of all ranks.

    Args:
        prior: prior with covariance C over the N voxels of the mask.
        zones: this rank's zones.
        comm: communicator of the ranks.
    """

    def __init__(self, prior: MaternField, zones: Sequence[ZoneCurvature], comm: MPI.Comm) -> None:
        self._prior = prior
        self._zones = zones
        self._comm = comm
        self._count = int(np.count_nonzero(prior.mask))
        self._index = [np.concatenate([z.voxels + f * self._count for f in range(FIELDS)]) for z in zones]
        self._ends = np.cumsum([z.columns for z in zones]) if zones else np.zeros(0, dtype=np.int64)
        self.iterations = 0
        """Conjugate-gradient iterations spent so far."""
        self._spectra = [Spectrum(*scipy.linalg.eigh(self._own_block(zone))) for zone in zones]
        self._deflation = deflation_of(self._spectra, self._apply, FEW, comm, exact=True)

    def improve(self, information: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the posterior mean x = (C^-1 + H)^-1 b as x = C w.

        Args:
            information: vector b = H x - gradient at the present x, shape (2 N,), summed over all ranks.

        Returns:
            x and w, each of shape (2 N,).
        """
        b = information[:, None]
        t = self._solve(self._to_zones(self._covariance(b)), self._deflation, TOLERANCE)
        w = b - self._from_zones(t)
        return self._covariance(w)[:, 0], w[:, 0]

    def draw(self, count: int, seed: int) -> NDArray[np.float64]:
        """Return independent draws from N(0, (C^-1 + H)^-1) by Matheron's rule, shape (2 N, count).

        A prior draw x0 is corrected by noisy data simulated from it:
        x = x0 + C Y (I + Y^T C Y)^-1 (noise - Y^T x0). The same seed gives the same draws on any number of ranks.
        """
        prior_draws = self._prior_draws(count, seed)
        noise = [zone.noise(count, seed) for zone in self._zones]
        stacked = np.concatenate(noise) if noise else np.zeros((0, count))
        t = self._solve_draws(stacked - self._to_zones(prior_draws))
        return prior_draws + self._covariance(self._from_zones(t), single=True)

    def log_determinant(self, seed: int) -> LogDeterminant:
        """Return ln det (I + Y^T C Y), which measures how much data narrow the prior; equal on any number of ranks.

        With W the deflated directions it is ln det (W^T A W) and that of the Schur complement on the rest,
        P (A - A W (W^T A W)^-1 W^T A) P with P = I - W W^T, which is not less than the identity either.
        """
        rows = sum(zone.columns for zone in self._zones)
        if self._comm.allreduce(rows) <= log_determinant.DENSE:
            return log_determinant.dense(self._apply, rows, self._comm)
        deflation = deflation_of(self._spectra, self._apply, log_determinant.PROBES, self._comm, exact=True)
        coins = [zone.generator(seed).integers(0, 2, (zone.columns, log_determinant.PROBES)) for zone in self._zones]
        signs = 2.0 * np.concatenate(coins) - 1.0 if coins else np.zeros((0, log_determinant.PROBES))
        found = log_determinant.by_quadrature(
            lambda t: deflation.complement(t, self._apply(t)), deflation.without(signs), self._comm
        )
        return LogDeterminant(deflation.log_determinant + found.value, found.standard_error)

    def _own_block(self, zone: ZoneCurvature) -> NDArray[np.float64]:
        """Return I + Y_z^T C Y_z for one zone, approximated on blocks of voxels with typical hyperparameters."""
        scale = self._prior.scale
        blocks, block = np.unique(zone.ijk // COARSE_VOXELS, axis=0, return_inverse=True)
        gather = sparse.csr_matrix((np.ones(len(block)), (block, np.arange(len(block)))))
        size_mm = COARSE_VOXELS * self._prior.voxel_size_mm
        base = correlation(
            blocks * size_mm, scale.length_mm, scale.roughness, edge_of(size_mm), self._prior.hypotheses.correlation
        )
        halves = np.split(zone.hessian_factor / np.sqrt(zone.inflation), FIELDS)
        amplitudes = scale.stds[:, None] * self._prior.amplitude[:, zone.voxels]
        scaled = [gather @ (a[:, None] * half) for a, half in zip(amplitudes, halves, strict=True)]
        local = [base @ half for half in scaled]
        in_regions = [scale.region_std * (self._prior.regions[zone.voxels].T @ half) for half in halves]
        own = np.eye(zone.columns)
        for f, half in enumerate(halves):
            total = half.sum(axis=0)
            own += scale.mean_std**2 * np.outer(total, total)
            own += scaled[f].T @ sum(scale.field_correlation[f, g] * local[g] for g in range(FIELDS))
            own += in_regions[f].T @ sum(scale.field_correlation[f, g] * in_regions[g] for g in range(FIELDS))
        return np.asarray(0.5 * (own + own.T))

    def _prior_draws(self, count: int, seed: int) -> NDArray[np.float64]:
        """Return draws from the prior, shape (2 N, count)."""
        return self._shared_out(count, lambda mine: self._prior.draw(mine, seed))

    def _covariance(self, weights: NDArray[np.float64], *, single: bool = False) -> NDArray[np.float64]:
        """Return C times columns that every rank holds, in their shape."""

        def part(mine: range) -> NDArray[np.float64]:
            return self._prior.apply(np.ascontiguousarray(weights[:, mine.start : mine.stop]), single=single)

        return self._shared_out(weights.shape[1], part)

    def _shared_out(self, columns: int, part: Callable[[range], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return on every rank columns over the voxels of which each is computed by one rank, shape (2 N, columns)."""
        size, rank = self._comm.size, self._comm.rank
        if size == 1:
            return part(range(columns))
        out = np.zeros((FIELDS * self._count, columns))
        mine = range(rank * columns // size, (rank + 1) * columns // size)
        if mine:
            out[:, mine.start : mine.stop] = part(mine)
        self._comm.Allreduce(MPI.IN_PLACE, out)
        return out

    def _to_zones(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Y^T times vectors over the voxels: this rank's rows, shape (sum k, columns)."""
        parts = [z.gather(values[index]) for z, index in zip(self._zones, self._index, strict=True)]
        return np.concatenate(parts) if parts else np.zeros((0, values.shape[1]))

    def _from_zones(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Y times zone coefficients, summed over all ranks, shape (2 N, columns)."""
        out = np.zeros((FIELDS * self._count, t.shape[1]))
        for zone, index, part in zip(self._zones, self._index, np.split(t, self._ends[:-1]), strict=False):
            out[index] += zone.spread(part)
        self._comm.Allreduce(MPI.IN_PLACE, out)
        return out

    def _apply(self, t: NDArray[np.float64], *, single: bool = False) -> NDArray[np.float64]:
        """Return (I + Y^T C Y) t, by blocks of columns: each column needs a vector over the organ on every rank."""
        out = np.empty_like(t)
        for first in range(0, t.shape[1], COLUMNS):
            block = np.ascontiguousarray(t[:, first : first + COLUMNS])
            out[:, first : first + COLUMNS] = block + self._to_zones(
                self._covariance(self._from_zones(block), single=single)
            )
        return out

    def _dot(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(self._comm.allreduce(np.sum(a * b, axis=0)))

    def _solve_draws(self, rhs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve in single precision, or in double where this diverges because eigenvalues are far apart."""
        count = rhs.shape[1]
        try:
            quick = deflation_of(self._spectra, self._apply, count, self._comm)
            return self._solve(rhs, quick, DRAW_TOLERANCE, single=True)
        except DivergenceError:
            exact = deflation_of(self._spectra, self._apply, count, self._comm, exact=True)
            return self._solve(rhs, exact, DRAW_TOLERANCE)

    def _solve(
        self, rhs: NDArray[np.float64], deflation: Deflation, tolerance: float, *, single: bool = False
    ) -> NDArray[np.float64]:
        """Deflated conjugate gradients on (I + Y^T C Y) t = rhs, all columns at once."""
        t = deflation.start(rhs)
        residual = rhs - self._apply(t)
        direction = z = deflation.precondition(residual)
        rho = self._dot(residual, z)
        for _ in range(LIMIT):
            squares = self._dot(residual, residual)
            if np.all(squares <= tolerance**2):
                return t
            if not np.all(squares < HOPELESS):
                break
            image = self._apply(direction, single=single)
            step = rho / np.maximum(self._dot(direction, image), 1e-300)
            t = t + step * direction
            residual = residual - step * image
            z = deflation.precondition(residual)
            rho, previous = self._dot(residual, z), rho
            direction = z + rho / np.maximum(previous, 1e-300) * direction
            self.iterations += 1
        raise DivergenceError(f"the joint posterior did not converge in {LIMIT} conjugate-gradient iterations")
