"""One zone through the Gauss-Newton iterations: its equations, its data and what it remembers between steps."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palpate.solvers.inversion.curvature import Whitening, informed_directions
from palpate.solvers.inversion.equilibrium import equilibrium_of
from palpate.solvers.inversion.likelihood import Linearised, ZoneData

ZONES = "zones, with factorisations and solves"
"""The phase in which ranks work alone."""

VOXELS_PER_DIRECTION, FEWEST_DIRECTIONS = 8, 60
"""What waves can tell grows with a zone's volume: so do the directions followed in it, up to the setting."""


@dataclass(frozen=True, slots=True)
class ZoneState:
    """What a zone's data say at the present moduli, at the stated noise.

    Attributes:
        misfit: twice the negative log-likelihood.
        expected_misfit: what noise alone would leave.
        gradient: of half the misfit by m, in the informed directions, shape (2 n,).
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
    """Evaluates one zone's likelihood again and again as the moduli change.

    Args:
        number: the zone's position in the list of all zones; seeds its random start, so that every distribution
            of zones over ranks gives the same numbers.
        data: its data.
        voxel_size_mm: shape (3,), for the reference prior.
        rank_of_hessian: k, how many directions are followed.
        tally: where to count the work.
    """

    def __init__(
        self, number: int, data: ZoneData, voxel_size_mm: NDArray[np.float64], rank_of_hessian: int, tally: Tally
    ) -> None:
        self.number = number
        self.data = data
        self.voxels = data.zone.voxels
        self._whitening = Whitening(data.zone.ijk, voxel_size_mm)
        self._directions = min(rank_of_hessian, max(FEWEST_DIRECTIONS, len(self.voxels) // VOXELS_PER_DIRECTION))
        self.basis: NDArray[np.float64] | None = None
        """The directions followed in the last evaluation, where the next one starts, shape (2 n, k)."""
        self._tally = tally

    def evaluate(self, parameters: NDArray[np.float64]) -> ZoneState:
        """Misfit, gradient and compressed Hessian at m, shape (2 n,) (this zone's voxels)."""
        began = time.perf_counter()
        equilibrium = equilibrium_of(self.data.zone, self.data.voxel_size, self.data.inertia)
        likelihood = Linearised(self.data, equilibrium, parameters)
        start, passes = (self._random_basis(), 2) if self.basis is None else (self.basis, 1)
        self._tally.counts["factorisations"] += 1
        self._tally.counts["right_hand_sides"] += 2 + passes * start.shape[1]
        informed = informed_directions(likelihood, self._whitening, start, passes=passes)
        self.basis = informed.basis
        likelihood.close()
        state = ZoneState(
            misfit=likelihood.misfit,
            expected_misfit=likelihood.expected_misfit,
            gradient=self._whitening.project(likelihood.gradient, informed.range),
            half_hessian=informed.half_hessian,
            residual=likelihood.residual,
            probe_residual=likelihood.probe_residual,
        )
        self._tally.seconds["factorisations"] += likelihood.factor.factorisation_s  # type: ignore[assignment]
        self._tally.seconds["triangular solves"] += likelihood.factor.solution_s  # type: ignore[assignment]
        self._tally.timed(ZONES, began)
        return state

    def _random_basis(self) -> NDArray[np.float64]:
        generator = np.random.default_rng([20, self.number])
        return np.asarray(np.linalg.qr(generator.standard_normal((2 * len(self.voxels), self._directions)))[0])
