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
class WavePrior:
    """Gaussian prior of a zone's displacement, with the determinant that it adds to the likelihood (wave_prior.py).

    Attributes:
        precision: precision Q of U / sigma, shape (3 M, 3 M).
        scale: factor s in it.
        slope: gradient of the log-determinant by m at the anchor, shape (2 n,).
        anchor: parameters m at which the determinant was linearised, shape (2 n,).
        offset: energy U^H Q U of the fit at the anchor, which is not counted as misfit.
    """

    precision: sparse.csr_matrix
    scale: float
    slope: NDArray[np.float64]
    anchor: NDArray[np.float64]
    offset: float

    def misfit(self, parameters: NDArray[np.float64]) -> float:
        """Return what the prior adds to the misfit, the determinant less the offset."""
        return 2.0 * float(self.slope @ (parameters - self.anchor)) - self.offset


@dataclass(frozen=True, slots=True)
class ZoneData:
    """Data of one zone, in units of their noise.

    Attributes:
        zone: zone with its cells, M nodes and n voxels.
        displacement: measured displacement d / sigma, complex, C components of a voxel together, shape (C n,).
        axes: directions of the components in voxel axes, shape (C, 3); the identity where all of U was measured.
        phase_errors: linear phase errors Z / sigma of slices, scaled so that c has unit standard deviation, shape
            (C n, q); q may be 0.
        probe: unit noise for comparison with the misfit and the residual, shape (C n,).
        node_spacing: distance between nodes along i, j, k, in units of Scales.length_m, shape (3,).
        inertia: ratio of inertia to stiffness, rho omega^2 h^2 / g.
        divergence_tolerance: tolerance tau / sigma; by the elements' discretisation error the mean of div U over a
            volume V has standard deviation tau / sqrt(V), lengths in units of Scales.length_m.
        weights: factors w on the precision of each datum, shape (C n,); None where all are 1.
        wave_prior: prior of the displacement; None where it is flat.
        shared_noise: noise whose neighbours are correlated as stated, in the probe's units, shape (C n,); None where
            noise is independent between voxels.
    """

    zone: Zone
    displacement: NDArray[np.complex128]
    axes: NDArray[np.float64]
    phase_errors: sparse.csr_matrix
    probe: NDArray[np.complex128]
    node_spacing: NDArray[np.float64]
    inertia: float
    divergence_tolerance: float
    weights: NDArray[np.float64] | None = None
    wave_prior: WavePrior | None = None
    shared_noise: NDArray[np.complex128] | None = None

    @property
    def components(self) -> int:
        """Number C of measured components."""
        return len(self.axes)

    @property
    def nodes(self) -> int:
        """Number M of nodes."""
        return len(self.zone.interior)

    @property
    def complete(self) -> bool:
        """Whether the data are the displacement of the nodes themselves, all of its components."""
        return self.zone.refinement is None and np.array_equal(self.axes, np.eye(3))

    @property
    def operator(self) -> sparse.csr_matrix:
        """Scanner's operator A from the nodes' displacement to noise-free data, shape (C n, 3 M)."""
        seen = sparse.identity(self.nodes) if self.zone.refinement is None else self.zone.refinement.scanner
        return sparse.kron(seen, self.axes, format="csr")

    @property
    def precision(self) -> NDArray[np.float64]:
        """Precision of each datum in this zone: its share chi and its weight, shape (C n,)."""
        share = np.repeat(self.zone.weight, self.components)
        return share if self.weights is None else share * self.weights

    @property
    def noise(self) -> NDArray[np.complex128]:
        """Probe with the noise that the weights give each datum, shape (C n,)."""
        return self.probe if self.weights is None else self.probe / np.sqrt(self.weights)

    @property
    def stated_noise(self) -> NDArray[np.complex128]:
        """Noise as it is stated, the correlation of neighbours included, with the weights' size, shape (C n,)."""
        if self.shared_noise is None:
            return self.noise
        return self.shared_noise if self.weights is None else self.shared_noise / np.sqrt(self.weights)

    def at_nodes(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the voxels' ln G*, shape (fields, n), at the nodes, shape (fields, M)."""
        held = self.zone.refinement
        return values if held is None else np.asarray((held.modulus @ values.T).T)

    def from_nodes(self, dual: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return derivatives by the voxels' ln G*, shape (n, k), from those by the nodes', shape (M, k)."""
        held = self.zone.refinement
        return dual if held is None else np.asarray(held.modulus.T @ dual)


class Linearised:
    """Likelihood of one zone around given moduli: misfit, gradient and Gauss-Newton curvature.

    Parameters are m = (ln G'/g, ln G''/g) at the n voxels, shape (2 n,).

    Args:
        data: data of the zone.
        equilibrium: equations of the zone.
        parameters: parameters m, shape (2 n,).
    """

    def __init__(self, data: ZoneData, equilibrium: WaveEquilibrium, parameters: NDArray[np.float64]) -> None:
        self._data, self._equilibrium = data, equilibrium
        storage, loss = np.exp(data.at_nodes(parameters.reshape(2, -1)))
        self._slope = np.stack([storage.astype(np.complex128), 1j * loss])  # dG*/dm, one row a field
        self._momentum = equilibrium.momentum(storage + 1j * loss)
        rows, displacements = self._momentum.shape
        pressures, linear_errors = equilibrium.divergence.shape[0], data.phase_errors.shape[1]
        self._blocks = np.cumsum([0, displacements, pressures, rows, pressures, linear_errors])
        self._operator = None if data.complete else data.operator
        self.factor = Factorisation(saddle(data, equilibrium, self._momentum))
        """Factorisation of the saddle-point matrix, with its times."""
        correlated = [] if data.shared_noise is None else [data.stated_noise]
        seen = np.column_stack([data.displacement, data.noise, *correlated])
        displacement, multiplier, residuals = self._fit(seen)
        self.displacement: NDArray[np.complex128] = displacement[:, 0]
        """Best displacement U / sigma of the nodes for these moduli, shape (3 M,)."""
        self.residual: NDArray[np.complex128] = residuals[:, 0]
        """Residual (d - A U - Z c) / sigma, explained neither by waves nor by phase errors, shape (C n,)."""
        self.probe_residual: NDArray[np.complex128] = residuals[:, -1]
        """Residual of the stated noise, explained neither by waves nor by phase errors, shape (C n,)."""
        # A quadratic's minimum is half its linear part at the minimum, which counts slack, phase errors and prior too.
        misfits = np.sum((data.precision[:, None] * seen).conj() * residuals, axis=0).real
        self.misfit: float = float(misfits[0])
        """Twice the negative log-likelihood, up to a constant."""
        self.expected_misfit: float = float(misfits[1])
        """Misfit of the probe, independent noise: the number of data that equilibrium leaves unexplained."""
        self.noise_misfit: float = float(misfits[-1])
        """Misfit that the stated noise alone would leave at the true moduli: less where neighbours share it."""
        self._sensitivity = equilibrium.sensitivity(self.displacement)
        self.gradient: NDArray[np.float64] = self._to_parameters(
            (self._sensitivity.conj().T @ multiplier[:, 0])[:, None]
        )[:, 0]
        """Gradient of half the misfit with respect to m, shape (2 n,)."""
        self._parameters = parameters
        if data.wave_prior is not None:
            self.add_determinant(data.wave_prior)

    def add_determinant(self, prior: WavePrior) -> None:
        """Count what a prior's determinant and offset add, also one that was found from this very fit.

        Args:
            prior: prior of the displacement whose precision the fit has already.
        """
        self.misfit += prior.misfit(self._parameters)
        self.gradient += prior.slope

    def gradients_of(self, seen: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Return the gradients of half the misfits that other data would have, their determinant left out.

        Args:
            seen: data in place of d / sigma, shape (C n, k).

        Returns:
            Gradients by m, shape (2 n, k).
        """
        displacement, multiplier, _ = self._fit(seen)
        duals = [
            self._equilibrium.sensitivity(one).conj().T @ other
            for one, other in zip(displacement.T, multiplier.T, strict=True)
        ]
        return self._to_parameters(np.column_stack(duals))

    def curvature_of(self, seen: NDArray[np.complex128], directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Gauss-Newton curvature along directions that other data would have, mean over these data.

        Args:
            seen: data in place of d / sigma, shape (C n, k).
            directions: directions v of m, shape (2 n, q).

        Returns:
            Means of v^T H v, shape (q,).
        """
        waves, _, _ = self._fit(seen)
        change = self._change(directions)
        found = []
        for one in waves.T:
            forces = self._equilibrium.sensitivity(one) @ change
            found.append(np.sum(forces.conj() * self._inverse_covariance(forces), axis=0).real)
        return np.asarray(np.mean(found, axis=0))

    def curvature(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Gauss-Newton Hessian of half the misfit times directions, shape (2 n, k).

        Args:
            directions: directions of m, shape (2 n, k).
        """
        change = self._change(directions)
        return self._to_parameters(self._sensitivity.conj().T @ self._inverse_covariance(self._sensitivity @ change))

    def close(self) -> None:
        """Free the factors."""
        self.factor.close()

    def _fit(
        self, seen: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.complex128]]:
        """Displacements (3 M, k), momentum multipliers (rows, k) and residuals (C n, k) of data, shape (C n, k)."""
        data, blocks = self._data, self._blocks
        weighted = data.precision[:, None] * seen
        load = np.zeros((blocks[-1], seen.shape[1]), dtype=np.complex128)
        load[: blocks[1]] = weighted if self._operator is None else self._operator.T @ weighted
        load[blocks[4] :] = data.phase_errors.T @ weighted
        solution = self.factor.solve(load)
        displacement, phase_errors = solution[: blocks[1]], data.phase_errors @ solution[blocks[4] :]
        noise_free = displacement if self._operator is None else self._operator @ displacement
        return displacement, solution[blocks[2] : blocks[3]], seen - noise_free - phase_errors

    def _change(self, directions: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Changes of G* at the nodes by directions of m, shape (M, k)."""
        n = directions.shape[0] // 2
        storage, loss = (self._data.at_nodes(part.T).T for part in (directions[:n], directions[n:]))
        return np.asarray(self._slope[0][:, None] * storage + self._slope[1][:, None] * loss)

    def _inverse_covariance(self, forces: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """S^-1 on momentum residuals, shape (rows, k)."""
        return -self.factor.solve_within(forces, slice(self._blocks[2], self._blocks[3]))

    def _to_parameters(self, dual: NDArray[np.complex128]) -> NDArray[np.float64]:
        """From derivatives by G* at nodes to derivatives by m: Re(conj(dG*/dm) dual), shape (2 n, k)."""
        return np.concatenate([self._data.from_nodes((slope.conj()[:, None] * dual).real) for slope in self._slope])


def saddle(data: ZoneData, equilibrium: WaveEquilibrium, momentum: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return the optimality conditions in (U, p, momentum multipliers, divergence multipliers, phase errors).

    Args:
        data: data of the zone.
        equilibrium: equations of the zone.
        momentum: matrix K(G*) of the interior momentum equations, shape (rows, 3 M).
    """
    weight = sparse.diags(data.precision)
    divergence, gradient = equilibrium.divergence, equilibrium.pressure_gradient
    mass, phase_errors = equilibrium.pressure_mass, data.phase_errors
    slack = -(data.divergence_tolerance**2) * mass
    shared = weight @ phase_errors
    own = phase_errors.T @ shared + sparse.identity(phase_errors.shape[1])
    known = weight
    if not data.complete:
        operator = data.operator
        known, shared = operator.T @ weight @ operator, operator.T @ shared
    if data.wave_prior is not None:
        known = known + data.wave_prior.precision
    return sparse.bmat(
        [
            [known, None, momentum.conj().T, divergence.conj().T, shared],
            [None, PRESSURE_FREEDOM * mass, gradient.conj().T, None, None],
            [momentum, gradient, None, None, None],
            [divergence, None, None, slack, None],
            [shared.T, None, None, None, own],
        ],
        format="csr",
    )
