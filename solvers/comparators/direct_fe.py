"""Heterogeneous direct inversion: the measured displacement is put into the weak form, which is then linear in G*.

In every zone, with the finite-element functions of the interior nodes as test functions,

    F(d) P g + B p = rho omega^2 M d     in the sense of least squares over (g, p),

where F(d) is our sensitivity, F(d) G* = K(G*) d, so that the gradient of G* is not neglected; P interpolates G* in
every cell linearly between its eight corners (two voxels apart); p is an unknown pressure, linear and discontinuous.
This is the family of the open direct finite-element inversions (MRE-PINN's baseline pairs quadratic displacement with
linear stiffness as here, HMDI joins gradients of G* in least squares). There is no regularisation but the size of the
cells, no smoothing of the data, and no treatment of noise in F(d), which biases G* to low values.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField
from palpate.meshing.zones import CELL_SPAN, NODES_PER_CELL, Zone
from palpate.solvers.comparators.zone_maps import ComparatorResult, ZoneProblem, map_from_zones, units_of
from palpate.solvers.inversion.zone.factorisation import Factorisation

PINNING = 1e-10
"""Tikhonov weight on (g, p), in their own units: it fixes what no equation determines (one constant pressure, G* where
nothing is strained) and is far below the weight of the data."""

_PLACES = list(itertools.product(range(CELL_SPAN + 1), repeat=3))
_CORNERS = np.array([n for n, place in enumerate(_PLACES) if all(along in (0, CELL_SPAN) for along in place)])
_WEIGHTS = np.array(
    [
        [np.prod([1 - abs(a - b) / CELL_SPAN for a, b in zip(node, _PLACES[c], strict=True)]) for c in _CORNERS]
        for node in _PLACES
    ]
)
"""Value at each node of a cell of the trilinear function of each corner, shape (27, 8)."""


def direct_fe_inversion(field: WaveField, zones: Sequence[Zone]) -> ComparatorResult:
    """Compute G* by least squares in the weak form, zone by zone, averaged where zones overlap.

    Args:
        field: displacement, mask, frequency and density; its noise is not used.
        zones: zones that cover the field's mask.

    Raises:
        InputError: no voxel with a positive modulus came out.
    """
    residuals: list[float] = []

    def solve(problem: ZoneProblem) -> NDArray[np.complex128]:
        moduli, residual = least_squares(problem)
        residuals.append(residual)
        return moduli

    storage_pa, loss_pa, own = map_from_zones(field, zones, units_of(field), solve)
    statistics = {"zones": float(len(zones)), "relative_residual": float(np.median(residuals))}
    return ComparatorResult(storage_pa, loss_pa, own, statistics)


def least_squares(problem: ZoneProblem) -> tuple[NDArray[np.complex128], float]:
    """Return G* / g at the nodes, and the norm of the equations' residual over that of the inertia.

    The augmented system [[I, A], [A^H, -pin]] keeps the condition number of A, which the normal equations square.
    """
    equilibrium, displacement = problem.equilibrium, problem.displacement
    interpolation = corner_interpolation(problem.zone.cells, len(problem.zone.voxels))
    stiffness = (equilibrium.sensitivity(displacement) @ interpolation).tocsr()
    inertia = -equilibrium.momentum(np.zeros(len(problem.zone.voxels), dtype=np.complex128)) @ displacement
    matrix = sparse.hstack([stiffness, equilibrium.pressure_gradient], format="csr")
    equations, unknowns = matrix.shape
    augmented = sparse.bmat(
        [[sparse.identity(equations), matrix], [matrix.conj().T, -PINNING * sparse.identity(unknowns)]], format="csr"
    )
    load = np.concatenate([inertia, np.zeros(unknowns)])[:, None]
    factor = Factorisation(augmented)
    solution = factor.solve(load)[:, 0]
    factor.close()
    left, found = solution[:equations], solution[equations:]
    moduli = interpolation @ found[: stiffness.shape[1]]
    return np.asarray(moduli), float(np.linalg.norm(left) / np.linalg.norm(inertia))


def corner_interpolation(cells: NDArray[np.int64], nodes: int) -> sparse.csr_matrix:
    """Return P, from values at the cells' corners to all nodes, trilinear in each cell, shape (nodes, corners).

    Args:
        cells: nodes of each cell, shape (c, 27), lexicographic.
        nodes: number of nodes; each belongs to a cell.
    """
    corners, number = np.unique(cells[:, _CORNERS], return_inverse=True)
    number = number.reshape(len(cells), len(_CORNERS))
    _, first = np.unique(cells, return_index=True)  # neighbouring cells agree on the nodes that they share
    cell, place = np.divmod(first, NODES_PER_CELL)
    rows = np.repeat(np.arange(nodes), len(_CORNERS))
    weights = _WEIGHTS[place].ravel()
    return sparse.csr_matrix((weights, (rows, number[cell].ravel())), shape=(nodes, len(corners)))
