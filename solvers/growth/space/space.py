"""Control volumes in which a tumour grows and the conductances between them, from voxels or from tetrahedra.

Both discretisations have the same algebra, that of a weighted graph. With volumes M_i, unit conductances S_ij = S_ji
and a_i = sqrt(D_i), diffusion is

    M_i du_i/dt = sum_j a_i S_ij a_j (u_j - u_i):

between two nodes the diffusivity is the geometric mean, that is, ln D is interpolated linearly. Zero flux at the
surface is the absence of a neighbour there. Where S_ij >= 0 ("monotone"), no step leaves the range of its data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy import sparse

from palpate.solvers.growth.space.halo import Halo, halo

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GrowthSpace:
    """This rank's control volumes (n of them) and their neighbours.

    Attributes:
        volumes_m3: volumes M, shape (n,).
        conductances_m: unit conductances S without the diagonal, so that D S is in m3/s, shape (n, n + ghosts).
        halo: exchange of values with neighbours on other ranks.
        monotone: whether all conductances of all ranks are >= 0.
    """

    volumes_m3: Values
    conductances_m: sparse.csr_matrix
    halo: Halo
    monotone: bool

    @property
    def size(self) -> int:
        """Number of own control volumes, n."""
        return len(self.volumes_m3)

    def integral_m3(self, density: Values) -> float:
        """Return the integral of a density, sum_i M_i u_i, the burden of a tumour. Collective.

        Args:
            density: density u, shape (n,).
        """
        return self.halo.summed(float(self.volumes_m3 @ density))

    def extremes(self, values: Values) -> tuple[float, float]:
        """Return the least and largest value of all ranks. Collective.

        Args:
            values: own values, shape (n,); may be empty.
        """
        low = self.halo.comm.allreduce(float(values.min(initial=np.inf)), op=MPI.MIN)
        high = self.halo.comm.allreduce(float(values.max(initial=-np.inf)), op=MPI.MAX)
        return float(low), float(high)


def space(comm: MPI.Comm, volumes_m3: Values, conductances_m: sparse.csr_matrix) -> GrowthSpace:
    """Build a space from rows of the whole graph. Collective.

    Args:
        comm: communicator of the ranks, which own contiguous ranges of rows in their order.
        volumes_m3: volumes of own rows, shape (n,).
        conductances_m: unit conductances of own rows and all global columns, diagonal ignored, shape (n, N).
    """
    own = len(volumes_m3)
    start = sum(comm.allgather(own)[: comm.rank])
    entries = conductances_m.tocoo()
    rows, columns, data = entries.row, entries.col.astype(np.int64), entries.data
    off = columns != rows + start
    rows, columns, data = rows[off], columns[off], data[off]
    foreign = (columns < start) | (columns >= start + own)
    ghosts = np.unique(columns[foreign])
    local = columns - start
    local[foreign] = own + np.searchsorted(ghosts, columns[foreign])
    matrix = sparse.csr_matrix((data, (rows, local.astype(np.int32))), shape=(own, own + len(ghosts)))
    matrix.sort_indices()
    monotone = bool(comm.allreduce(bool((data >= 0.0).all()), op=MPI.LAND))
    return GrowthSpace(np.asarray(volumes_m3, dtype=np.float64), matrix, halo(comm, own, ghosts), monotone)
