"""One zone at one frequency through the iterations: its equations, its data and what it remembers between steps."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.curvature import Whitening, informed_directions
from palpate.solvers.inversion.equilibrium import equilibrium_of
from palpate.solvers.inversion.likelihood import Linearised, ZoneData
from palpate.solvers.inversion.prior import FIELDS
from palpate.solvers.inversion.rheology import AS_MEASURED, Dispersion

VOXELS_PER_DIRECTION, FEWEST_DIRECTIONS = 8, 60
"""What waves can tell grows with a zone's volume: so do the directions followed in it, up to the setting."""


@dataclass(frozen=True, slots=True)
class ZoneState:
    """What a zone's data at one frequency say at the present moduli, at the stated noise.

    Attributes:
        misfit: twice the negative log-likelihood.
        expected_misfit: what noise alone would leave.
        gradient: of half the misfit by m at the reference, in the informed directions, shape (2 n,).
        half_hessian: Y with Gauss-Newton Hessian ~ Y Y^T, shape (2 n, k).
        residual: (d - U - Z c) / sigma, shape (3 n,).
        probe_residual: the same of the probe, shape (3 n,).
    """

    misfit: float
    expected_misfit: float
    gradient: NDArray[np.float64]
    half_hessian: NDArray[np.float64]
    residual: NDArray[np.complex128]
    probe_residual: NDArray[np.complex128]

    @property
    def inflation(self) -> float:
        """The most probable factor on the noise variance, where the model cannot explain the waves; at least 1."""
        return max(1.0, self.misfit / self.expected_misfit)

    def negative_log_likelihood(self, count: float) -> float:
        """With the noise factor at its most probable value, up to a constant.

        Args:
            count: how many data equilibrium leaves unexplained, the expected misfit.
        """
        inflation = max(1.0, self.misfit / count)
        return 0.5 * (self.misfit / inflation + count * float(np.log(inflation)))

    @property
    def tempered_half_hessian(self) -> NDArray[np.float64]:
        """Y at the inflated noise."""
        return np.asarray(self.half_hessian / np.sqrt(self.inflation))


@dataclass(slots=True)
class Tally:
    """Work done on this rank: counts of factorisations and right-hand sides, seconds by phase."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def timed(self, phase: str, since: float) -> float:
        """Add the time since `since` to a phase; returns now."""
        now = time.perf_counter()
        self.seconds[phase] += now - since  # type: ignore[assignment]
        return now


class ZoneSolver:
    """Evaluates one zone's likelihood at one frequency again and again as the moduli change.

    Args:
        number: the zone's position in the list of all zones; seeds its random start, so that every distribution
            of zones over ranks gives the same numbers.
        data: its data.
        voxel_size_mm: shape (3,), for the reference prior.
        rank_of_hessian: k, how many directions are followed.
        tally: where to count the work.
        dispersion: from the fields that are inverted to those at the data's frequency.
    """

    def __init__(
        self,
        number: int,
        data: ZoneData,
        voxel_size_mm: NDArray[np.float64],
        rank_of_hessian: int,
        tally: Tally,
        dispersion: Dispersion = AS_MEASURED,
    ) -> None:
        self.number = number
        self.data = data
        self.dispersion = dispersion
        self.voxels = data.zone.voxels
        self._whitening = Whitening(data.zone.ijk, voxel_size_mm)
        self._directions = min(rank_of_hessian, max(FEWEST_DIRECTIONS, len(self.voxels) // VOXELS_PER_DIRECTION))
        self._basis: NDArray[np.float64] | None = None  # of the last evaluation
        self._tally = tally

    def evaluate(self, parameters: NDArray[np.float64]) -> ZoneState:
        """Misfit, gradient and compressed Hessian at m, shape (2 n,) (this zone's voxels, at the reference)."""
        began = time.perf_counter()
        fields = parameters.reshape(FIELDS, -1)
        likelihood = self._linearised(self.dispersion.at(fields).ravel())
        start, passes = (self._random_basis(), 2) if self._basis is None else (self._basis, 1)
        self._tally.counts["right_hand_sides"] += passes * start.shape[1]
        informed = informed_directions(likelihood, self._whitening, start, passes=passes)
        self._basis = informed.basis
        likelihood.close()
        state = ZoneState(
            misfit=likelihood.misfit,
            expected_misfit=likelihood.expected_misfit,
            gradient=self.dispersion.pull_back(fields, self._whitening.project(likelihood.gradient, informed.range)),
            half_hessian=self.dispersion.pull_back(fields, informed.half_hessian),
            residual=likelihood.residual,
            probe_residual=likelihood.probe_residual,
        )
        self._count(likelihood, began)
        return state

    def expected_misfit(self, fields: NDArray[np.float64]) -> float:
        """What noise alone would leave in uniform tissue.

        Args:
            fields: ln G'/g and ln G''/g at this zone's own frequency, shape (2,).
        """
        began = time.perf_counter()
        likelihood = self._linearised(np.repeat(fields, len(self.voxels)))
        likelihood.close()
        self._count(likelihood, began)
        return likelihood.expected_misfit

    def _linearised(self, parameters: NDArray[np.float64]) -> Linearised:
        """The likelihood around moduli at this zone's own frequency, shape (2 n,)."""
        self._tally.counts["factorisations"] += 1
        self._tally.counts["right_hand_sides"] += 2
        equilibrium = equilibrium_of(self.data.zone, self.data.voxel_size, self.data.inertia)
        return Linearised(self.data, equilibrium, parameters)

    def _count(self, likelihood: Linearised, began: float) -> None:
        """Add a likelihood's work since `began` to the tally."""
        self._tally.seconds["factorisations"] += likelihood.factor.factorisation_s  # type: ignore[assignment]
        self._tally.seconds["triangular solves"] += likelihood.factor.solution_s  # type: ignore[assignment]
        self._tally.timed("zones, with factorisations and solves", began)

    def _random_basis(self) -> NDArray[np.float64]:
        generator = np.random.default_rng([20, self.number])
        return np.asarray(np.linalg.qr(generator.standard_normal((2 * len(self.voxels), self._directions)))[0])
