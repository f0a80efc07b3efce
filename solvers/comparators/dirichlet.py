"""Nonlinear inversion of zones with boundary data taken as exact, as in open nonlinear-inversion codes.

In every zone the displacement is computed from the measured boundary values, and G* at the nodes is sought that
brings it nearest to the data inside,

    min_m  f(m) = sum_interior |u(m) - d|^2 / (2 s^2),     K(G*) u + B p = 0,   D u + eps M p = 0,   u = d outside,

m = (ln G', ln G''), by L-BFGS from a homogeneous start, with the exact gradient from one adjoint solve. Zones are
averaged where they overlap. There is no prior: only positivity, wide bounds and early stopping (when the data are
fitted to their noise, at the latest after ITERATIONS steps) keep G* from following the noise. The zones are those of
Van Houten et al. 1999, Magn Reson Med 42:779; codes of that family add filters of their own between iterations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field

import numpy as np
import scipy.optimize as optimize
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import Zone
from palpate.solvers.comparators.zone_maps import ComparatorResult, ZoneProblem, map_from_zones, units_of
from palpate.solvers.inversion.zone.factorisation import Factorisation
from palpate.solvers.inversion.zone.noise import noise_of

ITERATIONS = 50
"""Largest number of L-BFGS steps in a zone.

Steps end earlier where the misfit reaches that of noise alone (discrepancy principle)."""

BOUND = float(np.log(100.0))
"""Largest change of ln G' and ln G'' from the start: a factor of 100."""

COMPRESSIBILITY = 1e-6
"""Compressibility eps = g / kappa: absorbs the noise in the volume that flows through the boundary as a uniform
pressure."""


@dataclass(slots=True)
class _Work:
    """Cost of the zones: forward solves (each with an adjoint), iterations, and zones fitted to the noise."""

    solves: int = 0
    iterations: int = 0
    fitted: int = 0
    misfits: list[float] = dataclass_field(default_factory=list)


def dirichlet_inversion(field: WaveField, zones: Sequence[Zone], *, iterations: int = ITERATIONS) -> ComparatorResult:
    """Compute G* by L-BFGS on each zone with measured boundary displacement, averaged where zones overlap.

    Args:
        field: displacement, mask, frequency, density and noise; where no noise is stated, it is measured.
        zones: zones that cover the field's mask.
        iterations: largest number of steps in a zone.
    """
    units = units_of(field)
    noise = noise_of(field, factor=1.0, discretisation_percent=0.0).std_m / units.displacement_m
    work = _Work()

    def solve(problem: ZoneProblem) -> NDArray[np.complex128]:
        return _fit(ForwardProblem(problem, noise), units.start, iterations, work)

    storage_pa, loss_pa, own = map_from_zones(field, zones, units, solve)
    statistics = {
        "zones": float(len(zones)),
        "solves": float(work.solves),
        "iterations": float(work.iterations),
        "fitted_zones": float(work.fitted),
        "misfit_over_noise": float(np.median(work.misfits)),
    }
    return ComparatorResult(storage_pa, loss_pa, own, statistics)


class ForwardProblem:
    """One zone with its boundary displacement given.

    Args:
        problem: the zone.
        noise: standard deviation s, in the unit of the problem's displacement.
    """

    def __init__(self, problem: ZoneProblem, noise: float) -> None:
        self._equilibrium = problem.equilibrium
        self._data = problem.displacement
        self._noise = noise
        self._inside = problem.equilibrium.rows
        self._outside = np.setdiff1d(np.arange(len(self._data)), self._inside)
        self._boundary = self._data[self._outside]
        divergence = problem.equilibrium.divergence
        self._flux = divergence[:, self._outside] @ self._boundary
        self._coupling = problem.equilibrium.pressure_gradient
        self._softness = -COMPRESSIBILITY * problem.equilibrium.pressure_mass
        self.nodes = len(problem.zone.voxels)
        """Number of nodes, n."""
        self.expected_misfit = float(len(self._inside))
        """Expected f at a displacement that differs from the data by noise alone: 1/2 for each of two real numbers."""

    def misfit(self, parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Compute the objective f and its gradient.

        Args:
            parameters: m = (ln G'/g, ln G''/g) at the nodes, shape (2 n,).
        """
        storage, loss = np.exp(parameters.reshape(2, -1))
        momentum = self._equilibrium.momentum(storage + 1j * loss).tocsc()
        matrix = sparse.bmat(
            [[momentum[:, self._inside], self._coupling], [self._coupling.T, self._softness]], format="csr"
        )
        load = np.concatenate([-(momentum[:, self._outside] @ self._boundary), self._flux])
        factor = Factorisation(matrix)
        inside = len(self._inside)
        displacement = self._data.copy()
        displacement[self._inside] = factor.solve(load[:, None])[:inside, 0]
        residual = (displacement - self._data)[self._inside] / self._noise
        # The matrix is complex symmetric: its conjugate transpose is its conjugate.
        adjoint_load = np.concatenate([residual.conj() / self._noise, np.zeros(len(load) - inside)])
        multiplier = -factor.solve(adjoint_load[:, None])[:inside, 0].conj()
        factor.close()
        dual = self._equilibrium.sensitivity(displacement).conj().T @ multiplier
        gradient = np.concatenate([storage * dual.real, loss * dual.imag])  # Re(conj(dG*/dm) dual)
        return float(0.5 * np.linalg.norm(residual) ** 2), gradient


def _fit(forward: ForwardProblem, start: complex, iterations: int, work: _Work) -> NDArray[np.complex128]:
    """G* / g at the nodes, by L-BFGS from a homogeneous medium."""
    initial = np.repeat(np.log([start.real, start.imag]), forward.nodes)

    def stop_at_noise(intermediate_result: optimize.OptimizeResult) -> None:
        if intermediate_result.fun <= forward.expected_misfit:
            raise StopIteration

    result = optimize.minimize(
        forward.misfit,
        initial,
        jac=True,
        method="L-BFGS-B",
        bounds=np.stack([initial - BOUND, initial + BOUND], axis=1),
        callback=stop_at_noise,
        options={"maxiter": iterations},
    )
    work.solves += int(result.nfev)
    work.iterations += int(result.nit)
    work.misfits.append(float(result.fun) / forward.expected_misfit)
    work.fitted += int(work.misfits[-1] <= 1.0)
    storage, loss = np.exp(result.x.reshape(2, -1))
    return np.asarray(storage + 1j * loss)
