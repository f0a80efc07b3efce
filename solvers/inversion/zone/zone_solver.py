"""One zone at one frequency during the iterations: its equations, its data and its results between steps."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.prior.hyperparameters import FIELDS
from palpate.solvers.inversion.zone.curvature import Informed, Whitening, informed_directions
from palpate.solvers.inversion.zone.data_weights import PARTS
from palpate.solvers.inversion.zone.equilibrium import WaveEquilibrium, equilibrium_of
from palpate.solvers.inversion.zone.likelihood import Linearised, ZoneData
from palpate.solvers.inversion.zone.wave_prior import calibrated
from palpate.solvers.rheology import AS_MEASURED, Dispersion

ZONES = "zones, with factorisations and solves"
"""Name of the phase in which ranks work alone."""

VOXELS_PER_DIRECTION, FEWEST_DIRECTIONS = 8, 60
"""Numbers for the directions followed in a zone, which grow with its volume, as the information does, up to the
setting."""

PRIOR_SEED = 22
"""Seed of the data that are drawn for the prior of a zone's displacement, with the zone's number."""

PROBES = 8
"""Number of directions along which the information of data is compared with the Gauss-Newton Hessian."""

SETTLED = 0.01
"""Root mean square change of m since a zone was last solved, below which it is not solved again: the linearisation is
exact to second order, some 1e-4, where m is known to a few percent."""

RELINEARISED = 0.03
"""Root mean square change of m since a zone's Hessian was compressed, below which the Hessian is kept; misfit and
gradient are still exact. The Hessian's error is then a few percent, which changes an interval's width by half of that
at most."""


@dataclass(frozen=True, slots=True)
class ZoneState:
    """Likelihood of a zone's data at one frequency around the present moduli, at the stated noise.

    Attributes:
        misfit: twice the negative log-likelihood.
        expected_misfit: misfit that noise alone would leave, were it independent between voxels.
        gradient: gradient of half the misfit by m at the reference, in the informed directions, shape (2 n,).
        hessian_factor: factor Y with Gauss-Newton Hessian ~ Y Y^T, shape (2 n, k).
        residual: residual (d - A U - Z c) / sigma, shape (C n,).
        probe_residual: residual of the stated noise, shape (C n,).
        noise_misfit: misfit that the stated noise alone would leave, with its correlation between neighbours.
    """

    misfit: float
    expected_misfit: float
    gradient: NDArray[np.float64]
    hessian_factor: NDArray[np.float64]
    residual: NDArray[np.complex128]
    probe_residual: NDArray[np.complex128]
    noise_misfit: float

    @property
    def tolerated_misfit(self) -> float:
        """Misfit above which noise is enlarged, the larger one of independent and of correlated noise.

        What correlated noise leaves by itself is a small remainder, of which tails of its band make a multiple.
        """
        return max(self.expected_misfit, self.noise_misfit)

    @property
    def inflation(self) -> float:
        """Most probable factor on the noise variance, above 1 where the model cannot explain the waves; at least 1."""
        return max(1.0, self.misfit / self.tolerated_misfit)

    def negative_log_likelihood(self, count: float) -> float:
        """Return the negative log-likelihood at the most probable noise factor, up to a constant.

        Args:
            count: effective number of data that equilibrium leaves unexplained: the misfit of noise alone.
        """
        inflation = max(1.0, self.misfit / count)
        return 0.5 * (self.misfit / inflation + count * float(np.log(inflation)))

    def moved(self, change: NDArray[np.float64]) -> ZoneState:
        """Return the state after a small change of m, shape (2 n,), by the linearisation."""
        dual = self.hessian_factor @ (self.hessian_factor.T @ change)
        misfit = self.misfit + float(change @ (2.0 * self.gradient + dual))
        return replace(self, misfit=misfit, gradient=self.gradient + dual)

    def without_hessian(self) -> ZoneState:
        """Return the state without its Hessian, which is enough to compare objectives and takes little memory."""
        return replace(self, hessian_factor=self.hessian_factor[:, :0].copy())

    @property
    def tempered_hessian_factor(self) -> NDArray[np.float64]:
        """Factor Y of the Hessian at the inflated noise, shape (2 n, k)."""
        return np.asarray(self.hessian_factor / np.sqrt(self.inflation))


@dataclass(frozen=True, slots=True)
class ZoneCache:
    """Results of a zone that are kept from one evaluation to the next.

    Attributes:
        hessian_factor: factor Y by m at the data's own frequency, shape (2 n, k).
        basis: directions that are followed, those that span the Hessian first, shape (2 n, k + ...); in single
            precision, since their exact orientation does not matter, and a rank keeps those of all its zones.
        root_weights: root weights of the columns of Y, see Informed, shape (k,).
        compressed_at: parameters m at which the Hessian was compressed, shape (2 n,).
        solved_at: parameters m at which the zone was solved, shape (2 n,).
        solved: state at solved_at.
    """

    hessian_factor: NDArray[np.float64]
    basis: NDArray[np.float32]
    root_weights: NDArray[np.float64]
    compressed_at: NDArray[np.float64]
    solved_at: NDArray[np.float64]
    solved: ZoneState

    def state_at(self, parameters: NDArray[np.float64]) -> ZoneState:
        """Return the state at m, shape (2 n,): the kept one at solved_at, elsewhere by its linearisation."""
        if np.array_equal(parameters, self.solved_at):
            return self.solved
        return self.solved.moved(parameters - self.solved_at)


@dataclass(slots=True)
class WorkCounter:
    """Work done on this rank: counts of factorisations and right-hand sides, seconds by phase."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def timed(self, phase: str, since: float) -> float:
        """Add the time since `since` to a phase; return the present time, seconds."""
        now = time.perf_counter()
        self.seconds[phase] += now - since  # type: ignore[assignment]
        return now


class ZoneSolver:
    """Solver of one zone at one frequency, which evaluates its likelihood again as the moduli change.

    Args:
        number: the zone's position in the list of all zones; seeds its random start, so that every distribution
            of zones over ranks gives the same numbers.
        data: data of the zone.
        voxel_size_mm: edges of a voxel for the reference prior, mm, shape (3,).
        rank_of_hessian: largest number k of directions that are followed.
        counter: counter of the work.
        dispersion: map from the fields that are inverted to the moduli at the data's frequency.
        share: share of each voxel's data as long as the voxel is sound, shape (n,); None for the zone's own weight.
    """

    def __init__(
        self,
        number: int,
        data: ZoneData,
        voxel_size_mm: NDArray[np.float64],
        rank_of_hessian: int,
        counter: WorkCounter,
        dispersion: Dispersion = AS_MEASURED,
        share: NDArray[np.float64] | None = None,
    ) -> None:
        self.number = number
        self.data = data
        self.noise_weights = data.weights
        """Precision of the data by their own noise, shape (C n,); None where the noise is the same everywhere."""
        self.share = data.zone.weight if share is None else share
        """Zone's share of each voxel's data as long as the voxel is sound, shape (n,)."""
        self.dispersion = dispersion
        self.voxels = data.zone.voxels
        self._whitening = Whitening(data.zone.ijk, voxel_size_mm)
        self._directions = min(rank_of_hessian, max(FEWEST_DIRECTIONS, len(self.voxels) // VOXELS_PER_DIRECTION))
        self.name = f"zone-{number}" if dispersion is AS_MEASURED else f"zone-{number}-{dispersion.frequency}"
        """Name of the solver, unique in the problem."""
        self.cache: ZoneCache | None = None
        """Results from which the next evaluation starts."""
        self._stale = False  # whether data or prior have changed since the cache was computed
        self._counter = counter
        self.information_share = 1.0
        """Part of the Gauss-Newton Hessian that is information of the data, at the moduli of the last calibration."""

    def evaluate(self, parameters: NDArray[np.float64]) -> ZoneState:
        """Return misfit, gradient and compressed Hessian at m, shape (2 n,) (this zone's voxels, at the reference)."""
        if self.cache is None or self._stale or _distance(parameters, self.cache.solved_at) >= SETTLED:
            self.cache = self._solve(parameters)
            self._stale = False
        return self.cache.state_at(parameters)

    def restore(self, cache: ZoneCache) -> None:
        """Take over results that an earlier run found from the present data."""
        self.cache, self._stale = cache, False

    def believe(self, soundness: NDArray[np.float64]) -> None:
        """Multiply the zone's share of each voxel's data by the probability that the voxel measures the wave.

        Args:
            soundness: probability of each voxel of the zone, shape (n,).
        """
        self.data = replace(self.data, zone=replace(self.data.zone, weight=self.share * soundness))

    def doubts(self, soundness: NDArray[np.float64], importance: NDArray[np.float64]) -> float:
        """Return how much the zone's data would change: about the number of its voxels that turn sound or wrong.

        Args:
            soundness: probability that each voxel of the zone measures the wave, shape (n,).
            importance: factor on the change of each voxel's probability, shape (n,).
        """
        change = (self.share * soundness - self.data.zone.weight) * importance / self.share.max()
        return float(np.linalg.norm(change))

    def variance_of_wave(self, state: ZoneState) -> float:
        """Return the variance that the fit leaves to the wave, both parts, in units of the noise, averaged over data.

        What noise alone would leave of its own square is the expected misfit; the rest went into the wave.

        Args:
            state: state of the zone.
        """
        absorbed = PARTS * self.data.components * float(self.data.zone.weight.sum()) - state.expected_misfit
        return max(0.0, absorbed) / float(self.data.precision.sum())

    def reweigh(self, weights: NDArray[np.float64]) -> None:
        """Give each datum a weight on its precision; what was solved before only provides directions for the next time.

        Args:
            weights: weights of the zone's data beside those of a noise that varies, shape (C n,).
        """
        own = self.noise_weights
        self.data = replace(self.data, weights=weights if own is None else own * weights)
        self.forget()

    def calibrate(self, parameters: NDArray[np.float64]) -> None:
        """Fit the prior of the displacement around m, shape (2 n,), where the data do not determine it alone."""
        self._calibrated(parameters).close()

    def by_uniform_moduli(self, fields: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return gradient, shape (2,), and curvature, (2, 2), of half the misfit by uniform changes of ln G', ln G''.

        Both are divided by the zone's factor on the noise. The prior of the displacement is fitted there.

        Args:
            fields: uniform moduli ln G'/g and ln G''/g, shape (2,).
        """
        likelihood = self._calibrated(np.repeat(fields, len(self.voxels)))
        uniform = np.asarray(np.kron(np.eye(FIELDS), np.ones((len(self.voxels), 1))), dtype=np.float64)
        gradient, curvature = uniform.T @ likelihood.gradient, uniform.T @ likelihood.curvature(uniform)
        likelihood.close()
        inflation = self.evaluate(np.repeat(fields, len(self.voxels))).inflation  # kept by the calibration
        return gradient / inflation, curvature / inflation

    def _calibrated(self, parameters: NDArray[np.float64]) -> Linearised:
        """The likelihood around m, shape (2 n,), under the prior of the displacement that is fitted there and kept."""
        began = time.perf_counter()
        at = self.dispersion.at(parameters.reshape(FIELDS, -1)).ravel()
        seed = (PRIOR_SEED, self.number, self.dispersion.frequency)
        found = calibrated(self.data, self._equilibrium(), at, seed, self._probes())
        start = self._random_basis() if self.cache is None else self.cache.basis.astype(np.float64)
        informed = informed_directions(found.fitted, self._whitening, start)
        self.information_share = found.information_share
        prior = replace(found.prior, slope=self._whitening.bounded(found.prior.slope, informed))
        self.data = replace(found.data, wave_prior=prior)
        found.fitted.add_determinant(prior)
        self.cache, self._stale = self._kept(found.fitted, informed, parameters, parameters), False
        self._count(found.fitted, began)
        return found.fitted

    def forget(self) -> None:
        """Solve the zone anew at its next evaluation, in the directions of the last."""
        self._stale = True

    def _solve(self, parameters: NDArray[np.float64]) -> ZoneCache:
        began = time.perf_counter()
        fields = parameters.reshape(FIELDS, -1)
        likelihood = self._linearised(self.dispersion.at(fields).ravel())
        informed, compressed_at = self._informed(likelihood, parameters)
        likelihood.close()
        self._count(likelihood, began)
        return self._kept(likelihood, informed, parameters, compressed_at)

    def _kept(
        self,
        likelihood: Linearised,
        informed: Informed,
        parameters: NDArray[np.float64],
        compressed_at: NDArray[np.float64],
    ) -> ZoneCache:
        """Results of a likelihood around m, shape (2 n,), with the Hessian compressed at compressed_at."""
        fields = parameters.reshape(FIELDS, -1)
        state = ZoneState(
            misfit=likelihood.misfit,
            expected_misfit=likelihood.expected_misfit,
            gradient=self.dispersion.pull_back(fields, self._whitening.project(likelihood.gradient, informed)),
            hessian_factor=self.dispersion.pull_back(fields, informed.hessian_factor),
            residual=likelihood.residual,
            probe_residual=likelihood.probe_residual,
            noise_misfit=likelihood.noise_misfit,
        )
        basis = informed.basis.astype(np.float32)
        return ZoneCache(informed.hessian_factor, basis, informed.root_weights, compressed_at, parameters, state)

    def expected_misfit(self, fields: NDArray[np.float64]) -> float:
        """Return the misfit that noise alone would leave in uniform tissue.

        Args:
            fields: logarithms ln G'/g and ln G''/g at this zone's own frequency, shape (2,).
        """
        began = time.perf_counter()
        likelihood = self._linearised(np.repeat(fields, len(self.voxels)))
        likelihood.close()
        self._count(likelihood, began)
        return likelihood.expected_misfit

    def _linearised(self, parameters: NDArray[np.float64]) -> Linearised:
        """Return the likelihood around moduli at this zone's own frequency, shape (2 n,)."""
        self._counter.counts["factorisations"] += 1
        self._counter.counts["right_hand_sides"] += 2
        return Linearised(self.data, self._equilibrium(), parameters)

    def _equilibrium(self) -> WaveEquilibrium:
        return equilibrium_of(self.data.zone, self.data.node_spacing, self.data.inertia)

    def _count(self, likelihood: Linearised, began: float) -> None:
        """Add a likelihood's work since `began` to the counter."""
        self._counter.seconds["factorisations"] += likelihood.factor.factorisation_s  # type: ignore[assignment]
        self._counter.seconds["triangular solves"] += likelihood.factor.solution_s  # type: ignore[assignment]
        self._counter.timed(ZONES, began)

    def _informed(
        self, likelihood: Linearised, parameters: NDArray[np.float64]
    ) -> tuple[Informed, NDArray[np.float64]]:
        """Return the compressed Hessian and where it was compressed: here, or where it was last if that is near."""
        last = None if self._stale else self.cache
        if last is not None and _distance(parameters, last.compressed_at) <= RELINEARISED:
            kept = Informed(last.hessian_factor, last.basis.astype(np.float64), last.root_weights)
            return kept, last.compressed_at
        start = self._random_basis() if self.cache is None else self.cache.basis.astype(np.float64)
        self._counter.counts["right_hand_sides"] += start.shape[1]
        return informed_directions(likelihood, self._whitening, start), parameters

    def _probes(self) -> NDArray[np.float64]:
        """Draws from the reference prior, along which the information of data is compared, shape (2 n, PROBES)."""
        generator = np.random.default_rng([PRIOR_SEED, self.number])
        return self._whitening.spread(generator.standard_normal((2 * len(self.voxels), PROBES)))

    def _random_basis(self) -> NDArray[np.float64]:
        generator = np.random.default_rng([20, self.number])
        return np.asarray(np.linalg.qr(generator.standard_normal((2 * len(self.voxels), self._directions)))[0])


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))
