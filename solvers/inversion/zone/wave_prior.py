"""Proper prior of the displacement of a zone, where its data alone do not determine it.

With three components on the nodes themselves the displacement needs no prior. One component, or thick slices, leave
directions open that a flat prior lets grow without bound: 2597 complex dimensions against 2197 data. There

    U ~ N(0, Q^-1) on the displacements in equilibrium,    U^H Q U = (s / V) int |U|^2 + l^2 |grad U|^2,

with l = REACH / k for waves of wavenumber k: shear waves, and bulk motion or pressure waves, whose gradients are
small, at the same cost as the longest of them. V is the volume of a node. The scale s is that of greatest evidence
(wave_scale.py).

The displacements in equilibrium change with the moduli, and with them the evidence's determinant, whose gradient is

    d ln det S / dm = -E [ d (Phi / 2) / dm ],    Phi of data that the model itself has drawn,

since the gradient of any log-likelihood is zero on average over its own data (Fisher). It is averaged over DRAWS, at
the anchor, and kept from there: the determinant is nearly linear in m (docs/theory/likelihood.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.solvers.inversion.zone.cell import COMPONENTS, cell_integrals
from palpate.solvers.inversion.zone.equilibrium import WaveEquilibrium
from palpate.solvers.inversion.zone.factorisation import Factorisation
from palpate.solvers.inversion.zone.likelihood import Linearised, WavePrior, ZoneData, saddle
from palpate.solvers.inversion.zone.noise import complex_normal
from palpate.solvers.inversion.zone.wave_scale import at_greatest_evidence

REACH: Final = 2.0
"""Product of wavenumber and length l of the prior; larger ones have nearly equal evidence."""

COMPARED: Final = 4
"""Number of drawn data sets whose Gauss-Newton Hessian is compared with the information."""

LEAST_SHARE: Final = 0.05
"""Least share of the Gauss-Newton Hessian that is kept."""

DRAWS: Final = 16
"""Number of data sets for the determinant's gradient: they add a sixteenth to its variance by noise."""


@dataclass(frozen=True, slots=True)
class WaveEnergy:
    """Energy U^H Q_1 U of a zone's displacement, as a sum over cells.

    Attributes:
        precision: matrix Q_1, shape (3 M, 3 M).
        root: factor R with R R^T = Q_1, shape (3 M, 81 cells).
    """

    precision: sparse.csr_matrix
    root: sparse.csr_matrix


def wave_energy(cells: NDArray[np.int64], nodes: int, spacing: NDArray[np.float64], reach: float) -> WaveEnergy:
    """Return the energy of displacements.

    Args:
        cells: nodes of each cell, shape (c, 27).
        nodes: number M of nodes.
        spacing: distance between nodes along i, j, k, in units of Scales.length_m, shape (3,).
        reach: length l, in the same unit.
    """
    i, j, k = (float(edge) for edge in spacing)
    own = cell_integrals((i, j, k))
    matrix = (own.inertia + reach**2 * own.gradient) / (i * j * k)
    lower = np.linalg.cholesky(matrix)
    components = (3 * cells[:, :, None] + np.arange(3)).reshape(len(cells), COMPONENTS)
    rows = np.repeat(components, COMPONENTS, axis=1).ravel()
    columns = np.repeat(np.arange(COMPONENTS * len(cells)).reshape(len(cells), 1, COMPONENTS), COMPONENTS, axis=1)
    values = np.tile(lower.ravel(), len(cells))
    root = sparse.csr_matrix((values, (rows, columns.ravel())), shape=(3 * nodes, COMPONENTS * len(cells)))
    return WaveEnergy(sparse.csr_matrix(root @ root.T), root)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Zone with the prior of its displacement of greatest evidence.

    Attributes:
        fitted: likelihood around the anchor under that prior, without the determinant; to be closed by its user.
        data: data of the zone under that prior, which has the determinant's gradient.
        information_share: information of data that the model draws over their Gauss-Newton Hessian.
    """

    fitted: Linearised
    data: ZoneData
    information_share: float

    @property
    def prior(self) -> WavePrior:
        """Prior of the displacement."""
        assert self.data.wave_prior is not None  # that is what calibrated finds
        return self.data.wave_prior


def calibrated(
    data: ZoneData,
    equilibrium: WaveEquilibrium,
    parameters: NDArray[np.float64],
    seed: tuple[int, ...],
    directions: NDArray[np.float64],
) -> Calibrated:
    """Return a zone with the prior of its displacement of greatest evidence around some moduli.

    Args:
        data: data of the zone; of a prior that they have already, the scale is where the search begins.
        equilibrium: equations of the zone.
        parameters: parameters m = (ln G'/g, ln G''/g) of the anchor, shape (2 n,).
        seed: seed of the drawn data.
        directions: directions of m along which the information is compared with the Gauss-Newton Hessian, (2 n, q).
    """
    wavenumber = float(np.sqrt(data.inertia / np.exp(np.mean(parameters.reshape(2, -1)[0]))))
    energy = wave_energy(data.zone.cells, data.nodes, data.node_spacing, REACH / wavenumber)
    found = at_greatest_evidence(data, energy.precision, equilibrium, parameters)
    plain, wave = found.data.wave_prior, found.fitted.displacement
    if plain is None:
        raise ValueError("the zone has no prior of its displacement")
    generator = np.random.default_rng(seed)
    drawn = _drawn_data(found.data, energy, plain.scale, equilibrium, parameters, generator)
    scores = found.fitted.gradients_of(drawn)
    share = _information_share(found.fitted, drawn, scores, directions)
    prior = replace(plain, slope=-scores.mean(axis=1), offset=float(np.vdot(wave, plain.precision @ wave).real))
    return Calibrated(found.fitted, replace(found.data, wave_prior=prior), share)


def _information_share(
    fitted: Linearised,
    drawn: NDArray[np.complex128],
    scores: NDArray[np.float64],
    directions: NDArray[np.float64],
) -> float:
    """Information of drawn data over their Gauss-Newton Hessian, both summed over directions.

    The information is the covariance of the scores over data (Fisher). Where noise is as large as the wave, the Hessian
    at the fitted wave takes fitted noise for a wave that tells of stiffness, and is too large.
    """
    along = directions.T @ scores
    information = float(np.sum(np.var(along, axis=1, ddof=1)))
    hessian = float(np.sum(fitted.curvature_of(drawn[:, :COMPARED], directions)))
    return float(np.clip(information / hessian, LEAST_SHARE, 1.0)) if hessian > 0.0 else 1.0


def _drawn_data(
    data: ZoneData,
    energy: WaveEnergy,
    scale: float,
    equilibrium: WaveEquilibrium,
    parameters: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.complex128]:
    """Data of waves from the prior in this tissue, with noise at the zone's precision, shape (C n, DRAWS)."""
    white = complex_normal(generator, (energy.root.shape[1], DRAWS))
    storage, loss = np.exp(data.at_nodes(parameters.reshape(2, -1)))
    unmeasured = replace(data, zone=replace(data.zone, weight=np.zeros_like(data.zone.weight)))
    matrix = saddle(unmeasured, equilibrium, equilibrium.momentum(storage + 1j * loss))
    factor = Factorisation(matrix)
    load = np.zeros((matrix.shape[0], DRAWS), dtype=np.complex128)
    rows = energy.root.shape[0]
    load[:rows] = np.sqrt(scale) * (energy.root @ white)
    waves = factor.solve(load)[:rows]
    factor.close()
    precision = data.precision
    size = np.where(precision > 0.0, 1.0 / np.sqrt(np.where(precision > 0.0, precision, 1.0)), 0.0)
    noise = size[:, None] * complex_normal(generator, (len(precision), DRAWS))
    return np.asarray(data.operator @ waves + noise)
