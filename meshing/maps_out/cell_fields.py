"""Stiffness on the cells of a mesh: the mean over the part of each cell that the map covers.

With W_vc the volume that voxel v and cell c share (palpate.meshing.transfer) and the sums over voxels of the map,

    q_c = sum_v W_vc Q_v / C_c,        C_c = sum_v W_vc,        sum_c C_c q_c = sum_v Q_v |v and mesh|,

so that the integral over the part of the mesh within the map is the map's own. A cell without such a part has no
value: NaN. The share C_c / |c| stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from palpate.imaging.files.draws import DrawsFile
from palpate.imaging.files.moduli import MODULI, Modulus
from palpate.imaging.files.stiffness_folder import StiffnessMaps
from palpate.meshing.conforming.tetrahedral_mesh import TetrahedralMesh
from palpate.meshing.transfer import overlap

type Values = NDArray[np.float64]

_LEAST_SHARE: Final = 1e-9
"""Share of a cell below which what the map covers is rounding."""


@dataclass(frozen=True, slots=True)
class MeshedMap:
    """Transfer of a run's stiffness to the cells of a mesh.

    Attributes:
        run: posterior of one run.
        draws: its joint draws.
        carry: matrix from the draws' voxels to cells, shape (m, N); rows sum to one, or to zero outside the map.
        covered_mm3: volume C_c of each cell within the map, mm3, shape (m,).
        covered_share: share of each cell within the map, 0 to 1, shape (m,).
    """

    run: StiffnessMaps
    draws: DrawsFile
    carry: sparse.csr_array
    covered_mm3: Values
    covered_share: Values

    def mean(self, modulus: Modulus) -> Values:
        """Return the posterior mean, kPa, shape (m,): the transfer of the map of the mean."""
        return self._of_cells(self.run.moduli[modulus].mean.values[tuple(self.draws.voxels.T)].astype(np.float64))

    def each_draw(self, modulus: Modulus) -> Iterator[Values]:
        """Yield the draws, kPa, one after the other, each of shape (m,)."""
        for log_draw in self.draws.log_draws(modulus):
            yield self._of_cells(np.exp(log_draw))

    def _of_cells(self, voxels: Values) -> Values:
        known = self.carry.indptr[1:] > self.carry.indptr[:-1]
        return np.where(known, self.carry @ voxels, np.nan)


def meshed_map(run: StiffnessMaps, draws: DrawsFile, mesh: TetrahedralMesh, seen_mm: Values) -> MeshedMap:
    """Find the volumes that voxels of a map share with the cells of a mesh.

    Args:
        run: posterior of one run.
        draws: its joint draws.
        mesh: mesh of tetrahedra.
        seen_mm: nodes of the mesh in the elastogram's world, RAS millimetres, shape (n, 3).
    """
    shape, affine_mm = run.informed.shape, run.affine_mm.copy()
    to_index = np.linalg.inv(affine_mm)
    index = (seen_mm @ to_index[:3, :3].T + to_index[:3, 3])[mesh.cells]
    beyond = (index.max(axis=1) < -0.5) | (index.min(axis=1) > np.array(shape) - 0.5)
    near = np.flatnonzero(~beyond.any(axis=1))  # clipping is what costs time
    # A margin of one voxel takes all that lies beyond, because outermost voxels reach outwards without end.
    affine_mm[:3, 3] -= affine_mm[:3, :3].sum(axis=1)
    i, j, k = (size + 2 for size in shape)
    shared = overlap(seen_mm, mesh.cells[near], affine_mm, (i, j, k)).cells.tocsr()
    rows = np.ravel_multi_index(tuple(draws.voxels.T + 1), (i, j, k))
    at = tuple(draws.voxels.T)
    known = np.all([np.isfinite(run.moduli[modulus].mean.values[at]) for modulus in MODULI], axis=0)
    volumes = sparse.diags_array(known.astype(np.float64)) @ sparse.csr_array(shared)[rows]
    covered_mm3 = np.zeros(len(mesh.cells))
    covered_mm3[near] = np.asarray(volumes.sum(axis=0)).ravel()
    share = np.minimum(covered_mm3 / mesh.volumes_mm3, 1.0)
    covered_mm3[share < _LEAST_SHARE] = share[share < _LEAST_SHARE] = 0.0
    weight = np.divide(1.0, covered_mm3, out=np.zeros_like(covered_mm3), where=covered_mm3 > 0.0)
    places = sparse.csr_array((np.ones(len(near)), (near, np.arange(len(near)))), shape=(len(mesh.cells), len(near)))
    carry = sparse.csr_array(sparse.diags_array(weight) @ places @ volumes.T)
    carry.eliminate_zeros()
    return MeshedMap(run, draws, carry, covered_mm3, share)
