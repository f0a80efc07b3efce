"""Exchange of the values on other ranks that a rank's own rows refer to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

type Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Halo:
    """Plan of the exchange between ranks, for vectors that are split over them into contiguous ranges.

    Attributes:
        comm: communicator of the ranks.
        start: global number of the first own entry.
        own: number of own entries.
        ghosts: global numbers of the entries of other ranks that are needed, ascending, shape (g,).
        sources: tuples (rank, first, last) of the ghosts that each other rank owns.
        targets: tuples (rank, own entries to send).
    """

    comm: MPI.Comm
    start: int
    own: int
    ghosts: NDArray[np.int64]
    sources: tuple[tuple[int, int, int], ...]
    targets: tuple[tuple[int, NDArray[np.int64]], ...]

    def extended(self, values: Values) -> Values:
        """Return own values followed by ghosts, shape (own + g, ...). Collective.

        If no rank needs or gives values, this is the argument itself.

        Args:
            values: own values, shape (own, ...); all columns are sent in one message.
        """
        if not self.sources and not self.targets:
            return values
        whole = np.empty((self.own + len(self.ghosts), *values.shape[1:]))
        whole[: self.own] = values
        requests = [
            self.comm.Irecv(whole[self.own + first : self.own + last], source=rank)
            for rank, first, last in self.sources
        ]
        parts = [(rank, values[chosen]) for rank, chosen in self.targets]
        requests += [self.comm.Isend(part, dest=rank) for rank, part in parts]
        MPI.Request.Waitall(requests)
        return whole

    def gathered(self, values: Values) -> Values:
        """Return all entries in global order, on every rank. Collective."""
        return np.concatenate(self.comm.allgather(np.ascontiguousarray(values)))

    def summed(self, value: float) -> float:
        """Return the sum over ranks. Collective."""
        return float(self.comm.allreduce(value))


def halo(comm: MPI.Comm, own: int, ghosts: NDArray[np.int64]) -> Halo:
    """Prepare the exchange between ranks. Collective.

    Args:
        comm: communicator of the ranks.
        own: number of own entries; ranks own contiguous ranges in their order.
        ghosts: global numbers of the entries of other ranks that are needed, ascending, shape (g,).
    """
    ends = np.cumsum(comm.allgather(own))
    start = int(ends[comm.rank]) - own
    owners = np.searchsorted(ends, ghosts, side="right")
    wanted = [ghosts[owners == rank] for rank in range(comm.size)]
    sources, first = [], 0
    for rank, some in enumerate(wanted):
        if len(some):
            sources.append((rank, first, first + len(some)))
            first += len(some)
    asked = comm.alltoall(wanted)
    targets = [(rank, some - start) for rank, some in enumerate(asked) if len(some)]
    return Halo(comm, start, own, ghosts, tuple(sources), tuple(targets))
