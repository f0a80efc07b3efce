"""Balance of momentum on a zone, as matrices that act on the displacement at the voxels.

    K(G*) U + B p = 0   at interior nodes:   (2 G* eps(U), eps(V)) - (p, div V) - rho omega^2 (U, V) = 0
    D U           = 0:                       (div U, q) = 0,  up to the tolerance in the likelihood

(kappa is 10^6 |G*|, so that p / kappa vanishes). All cells are equal, so the matrices are sums of one cell's integrals
(cell.py), scattered to the zone's nodes. Everything here is dimensionless (Scales).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from palpate.meshing.zones import NODES_PER_CELL, Zone
from palpate.solvers.inversion.zone.cell import COMPONENTS, PRESSURES, cell_integrals
from palpate.units import hz_to_rad_s


@dataclass(frozen=True, slots=True)
class Scales:
    """Units in which a zone's equations have coefficients near one, so that matrices are well scaled.

    Attributes:
        length_m: smallest voxel edge h, metre.
        modulus_pa: typical modulus g of |G*|, pascal.
    """

    length_m: float
    modulus_pa: float

    def inertia(self, density_kg_m3: float, frequency_hz: float) -> float:
        """Return the ratio of inertia to stiffness, rho omega^2 h^2 / g."""
        omega = hz_to_rad_s(frequency_hz)
        return float(density_kg_m3 * omega**2 * self.length_m**2 / self.modulus_pa)


class WaveEquilibrium:
    """Balance equations of one zone as sparse matrices.

    Args:
        cells: nodes of each cell, shape (c, 27), see Zone.
        interior: whether momentum balances at each node, shape (n,), bool.
        voxel_size: voxel edges in units of Scales.length_m.
        inertia: ratio of inertia to stiffness, rho omega^2 h^2 / g, see Scales.
        trilinear: whether G* is trilinear between voxels, instead of constant in each.
    """

    def __init__(
        self,
        cells: NDArray[np.int64],
        interior: NDArray[np.bool_],
        voxel_size: tuple[float, float, float],
        inertia: float,
        *,
        trilinear: bool = False,
    ) -> None:
        self._cells = cells
        self._cell = cell_integrals(voxel_size, trilinear=trilinear)
        self._inertia = inertia * self._cell.inertia
        self._components = (3 * cells[:, :, None] + np.arange(3)).reshape(len(cells), COMPONENTS)
        count, nodes = len(cells), len(interior)
        self.rows = (3 * np.flatnonzero(interior)[:, None] + np.arange(3)).ravel()
        """Interior momentum equations as indices into the 3 n displacement components."""
        equation = np.full(3 * nodes, -1)
        equation[self.rows] = np.arange(len(self.rows))
        own = equation[self._components]
        self._momentum = _Scatter(own[:, :, None], self._components[:, None, :], (len(self.rows), 3 * nodes))
        self._sensitivity = _Scatter(own[:, None, :], cells[:, :, None], (len(self.rows), nodes))
        modes = np.arange(count * PRESSURES).reshape(count, PRESSURES)
        divergence = _Scatter(modes[:, :, None], self._components[:, None, :], (modes.size, 3 * nodes))
        self.divergence: sparse.csr_matrix = divergence.matrix(np.tile(self._cell.divergence, (count, 1, 1)))
        """Divergence matrix D, shape (pressures, 3 n)."""
        self.pressure_mass: sparse.csr_matrix = sparse.kron(sparse.identity(count), self._cell.pressure_mass, "csr")
        """Mass matrix of the pressures, shape (pressures, pressures)."""
        self.pressure_gradient: sparse.csr_matrix = -self.divergence.T.tocsr()[self.rows]
        """Matrix B of the pressure in the interior momentum equations, shape (rows, pressures)."""

    def momentum(self, modulus: NDArray[np.complex128]) -> sparse.csr_matrix:
        """Return K(G*), interior rows only, shape (rows, 3 n).

        Args:
            modulus: complex modulus G* / g at the nodes, shape (n,).
        """
        flat = self._cell.stiffness.reshape(NODES_PER_CELL, -1)
        of_cells = modulus[self._cells]
        stiffness = (of_cells.real @ flat) + 1j * (of_cells.imag @ flat)
        return self._momentum.matrix(stiffness.reshape(-1, COMPONENTS, COMPONENTS) - self._inertia)

    def sensitivity(self, displacement: NDArray[np.complex128]) -> sparse.csr_matrix:
        """Return F with F dG* = dK(G*) U for every change dG* of the nodal moduli, shape (rows, n).

        Args:
            displacement: displacement U at the nodes, shape (3 n,), components of a node together.
        """
        flat = self._cell.stiffness.reshape(-1, COMPONENTS).T
        of_cells = displacement[self._components]
        forces = (of_cells.real @ flat) + 1j * (of_cells.imag @ flat)
        return self._sensitivity.matrix(forces.reshape(-1, NODES_PER_CELL, COMPONENTS))


def equilibrium_of(
    zone: Zone, voxel_size: NDArray[np.float64], inertia: float, *, trilinear: bool = False
) -> WaveEquilibrium:
    """Return the equations of a zone; zones of one shape share them, and only the latest few are kept in memory.

    Args:
        zone: zone with its cells and n nodes.
        voxel_size: voxel edges in units of Scales.length_m, shape (3,).
        inertia: ratio of inertia to stiffness, rho omega^2 h^2 / g, see Scales.
        trilinear: whether G* is trilinear between voxels, instead of constant in each.
    """
    size = (float(voxel_size[0]), float(voxel_size[1]), float(voxel_size[2]))
    return _of_shape(zone.cells.tobytes(), zone.interior.tobytes(), size, inertia, trilinear=trilinear)


@lru_cache(maxsize=8)
def _of_shape(
    cells: bytes, interior: bytes, voxel_size: tuple[float, float, float], inertia: float, *, trilinear: bool
) -> WaveEquilibrium:
    numbers = np.frombuffer(cells, dtype=np.int64).reshape(-1, NODES_PER_CELL)
    return WaveEquilibrium(numbers, np.frombuffer(interior, dtype=np.bool_), voxel_size, inertia, trilinear=trilinear)


class _Scatter:
    """Map of the entries of the cells' matrices to a sparse matrix; entries without a row are dropped.

    Args:
        rows: row of each entry, -1 for none; broadcast against `columns` to the shape of the cells' matrices.
        columns: column of each entry.
        shape: shape of the sparse matrix.
    """

    def __init__(self, rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> None:
        self._shape = shape
        rows, columns = (a.ravel() for a in np.broadcast_arrays(rows, columns))
        self._kept = np.flatnonzero(rows >= 0)
        keys, self._place = np.unique(rows[self._kept] * shape[1] + columns[self._kept], return_inverse=True)
        self._indices = (keys % shape[1]).astype(np.int32)
        self._starts = np.searchsorted(keys, np.arange(shape[0] + 1) * shape[1]).astype(np.int32)

    def matrix(self, values: NDArray[np.float64] | NDArray[np.complex128]) -> sparse.csr_matrix:
        """Return the sparse matrix with the sums of the cells' entries.

        Args:
            values: the cells' matrices, shape (cells, ...).
        """
        kept = values.ravel()[self._kept]
        data: NDArray[Any] = np.bincount(self._place, weights=kept.real, minlength=len(self._indices))
        if np.iscomplexobj(kept):
            data = data + 1j * np.bincount(self._place, weights=kept.imag, minlength=len(self._indices))
        return sparse.csr_matrix((data, self._indices, self._starts), shape=self._shape)
