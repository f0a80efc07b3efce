"""Likelihood of G* given one zone's data, with the displacement, boundary included, as unknown (errors in variables).

The whole displacement of a zone is unknown; the data are its values at the voxels with known noise, and equilibrium
holds inside. For given G* the best displacement minimises the misfit subject to equilibrium,

    min_{U,c}  sum_i chi_i |U_i + (Z c)_i - d_i|^2 / (2 sigma^2) + |c|^2 / 2   subject to   K(G*) U + B p = 0,  D U = 0,

where Z c are linear phase errors of slices (a plane in each slice of each component, of known size), and p is free.
That is one sparse saddle-point solve. It needs no boundary data, is never resonant, and its value is the exact
negative log-likelihood of G* with U and p marginalised under flat priors (docs/theory/likelihood.md). Under another
likelihood than the Gaussian chi contains a weight for each datum (data_weights.py). In units of sigma, with C = [K; D]
and S = C (chi^-1 + Z Z^H) C^H (pressure eliminated), r = C d:

    misfit   = r^H S^-1 r                         (twice the negative log-likelihood)
    gradient = Re(F^H S^-1 r),  F dG* = dK U      (exact, not only at small residuals)
    Hessian  ~ Re(F^H S^-1 F)                     (Gauss-Newton)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.meshing.zones import Zone
from palpate.solvers.inversion.zone.equilibrium import WaveEquilibrium
from palpate.solvers.inversion.zone.factorisation import Factorisation

PRESSURE_FREEDOM = 1e-6
"""Prior precision of the pressure against the scales of the zone: small enough to be free, large enough to pin
the constants that no equation determines."""


@dataclass(frozen=True, slots=True)
class ZoneData:
    """Data of one zone, in units of their noise.

    Attributes:
        zone: zone with its cells and n nodes.
        displacement: measured displacement d / sigma, complex, components along the voxel axes, shape (3 n,).
        phase_errors: linear phase errors Z / sigma of slices, scaled so that c has unit standard deviation, shape
            (3 n, q); q may be 0.
        probe: unit noise for comparison with the misfit and the residual, shape (3 n,).
        voxel_size: voxel edges in units of Scales.length_m, shape (3,).
        inertia: ratio of inertia to stiffness, rho omega^2 h^2 / g.
        divergence_tolerance: tolerance tau / sigma; by the elements' discretisation error the mean of div U over a
            volume V has standard deviation tau / sqrt(V), lengths in units of Scales.length_m.
        weights: factors w on the precision of each datum, shape (3 n,); None where all are 1.
    """

    zone: Zone
    displacement: NDArray[np.complex128]
    phase_errors: sparse.csr_matrix
    probe: NDArray[np.complex128]
    voxel_size: NDArray[np.float64]
    inertia: float
    divergence_tolerance: float
    weights: NDArray[np.float64] | None = None

    @property
    def precision(self) -> NDArray[np.float64]:
        """Precision of each datum in this zone: its share chi and its weight, shape (3 n,)."""
        share = np.repeat(self.zone.weight, 3)
        return share if self.weights is None else share * self.weights

    @property
    def noise(self) -> NDArray[np.complex128]:
        """Probe with the noise that the weights give each datum, shape (3 n,)."""
        return self.probe if self.weights is None else self.probe / np.sqrt(self.weights)


class Linearised:
    """Likelihood of one zone around given moduli: misfit, gradient and Gauss-Newton curvature.

    Parameters are m = (ln G'/g, ln G''/g) at the n nodes, shape (2 n,).

    Args:
        data: data of the zone.
        equilibrium: equations of the zone.
        parameters: parameters m, shape (2 n,).
    """

    def __init__(self, data: ZoneData, equilibrium: WaveEquilibrium, parameters: NDArray[np.float64]) -> None:
        self._equilibrium = equilibrium
        storage, loss = np.exp(parameters.reshape(2, -1))
        self._slope = np.stack([storage.astype(np.complex128), 1j * loss])  # dG*/dm, one row a field
        self._momentum = equilibrium.momentum(storage + 1j * loss)
        rows, displacements = self._momentum.shape
        pressures, linear_errors = equilibrium.divergence.shape[0], data.phase_errors.shape[1]
        self._blocks = np.cumsum([0, displacements, pressures, rows, pressures, linear_errors])
        self.factor = Factorisation(_saddle(data, equilibrium, self._momentum))
        """Factorisation of the saddle-point matrix, with its times."""
        weight = data.precision[:, None]
        seen = np.column_stack([data.displacement, data.noise])
        blocks = self._blocks
        load = np.zeros((blocks[-1], 2), dtype=np.complex128)
        load[: blocks[1]] = weight * seen
        load[blocks[4] :] = data.phase_errors.T @ (weight * seen)
        solution = self.factor.solve(load)
        displacement, phase_errors = solution[: blocks[1]], data.phase_errors @ solution[blocks[4] :]
        multiplier = solution[blocks[2] : blocks[3], 0]
        residuals = seen - displacement - phase_errors
        self.displacement: NDArray[np.complex128] = displacement[:, 0]
        """Best displacement U / sigma for these moduli, shape (3 n,)."""
        self.residual: NDArray[np.complex128] = residuals[:, 0]
        """Residual (d - U - Z c) / sigma at the nodes, explained neither by waves nor by phase errors, shape (3 n,)."""
        self.probe_residual: NDArray[np.complex128] = residuals[:, 1]
        """Residual of the probe, explained neither by waves nor by phase errors, shape (3 n,)."""
        # A quadratic's minimum is half its linear part at the minimum, which counts slack and phase errors too.
        misfits = np.sum((weight * seen).conj() * residuals, axis=0).real
        self.misfit: float = float(misfits[0])
        """Twice the negative log-likelihood, up to a constant."""
        self.expected_misfit: float = float(misfits[1])
        """Misfit of the probe: the misfit that noise alone would leave at the true moduli."""
        self._sensitivity = equilibrium.sensitivity(self.displacement)
        self.gradient: NDArray[np.float64] = self._to_parameters((self._sensitivity.conj().T @ multiplier)[:, None])[
            :, 0
        ]
        """Gradient of half the misfit with respect to m, shape (2 n,)."""

    def curvature(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Gauss-Newton Hessian of half the misfit times directions, shape (2 n, k).

        Args:
            directions: directions of m, shape (2 n, k).
        """
        n = directions.shape[0] // 2
        change = self._slope[0][:, None] * directions[:n] + self._slope[1][:, None] * directions[n:]
        return self._to_parameters(self._sensitivity.conj().T @ self._inverse_covariance(self._sensitivity @ change))

    def close(self) -> None:
        """Free the factors."""
        self.factor.close()

    def _inverse_covariance(self, forces: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """S^-1 on momentum residuals, shape (rows, k)."""
        return -self.factor.solve_within(forces, slice(self._blocks[2], self._blocks[3]))

    def _to_parameters(self, dual: NDArray[np.complex128]) -> NDArray[np.float64]:
        """From derivatives by G* to derivatives by m: Re(conj(dG*/dm) dual), shape (2 n, k)."""
        return np.concatenate([(slope.conj()[:, None] * dual).real for slope in self._slope])


def _saddle(data: ZoneData, equilibrium: WaveEquilibrium, momentum: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the optimality conditions in (U, p, momentum multipliers, divergence multipliers, phase errors)."""
    weight = sparse.diags(data.precision)
    divergence, gradient = equilibrium.divergence, equilibrium.pressure_gradient
    mass, phase_errors = equilibrium.pressure_mass, data.phase_errors
    slack = -(data.divergence_tolerance**2) * mass
    shared = weight @ phase_errors
    own = phase_errors.T @ shared + sparse.identity(phase_errors.shape[1])
    return sparse.bmat(
        [
            [weight, None, momentum.conj().T, divergence.conj().T, shared],
            [None, PRESSURE_FREEDOM * mass, gradient.conj().T, None, None],
            [momentum, gradient, None, None, None],
            [divergence, None, None, slack, None],
            [shared.T, None, None, None, own],
        ],
        format="csr",
    )
