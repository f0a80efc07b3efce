"""Work that is dealt to ranks in turn, one item each, and its results back in the order of one rank.

Each item is worked on by one rank as a rank alone would, so that results have the same bits for every number of ranks.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpi4py import MPI


def dealt[T](items: Sequence[T], comm: MPI.Comm) -> Sequence[T]:
    """Return this rank's share of the items: every n-th of n ranks, so that items of neighbouring cost are spread.

    Args:
        items: items of all ranks, the same on each.
        comm: ranks that share the items.
    """
    return items[comm.rank :: comm.size]


def dealt_back[T](own: Sequence[T], comm: MPI.Comm) -> list[T]:
    """Return the results of all items in the items' order, on every rank. Collective.

    Args:
        own: results of this rank's share, in its order.
        comm: ranks that share the items.
    """
    if comm.size == 1:
        return list(own)
    parts = comm.allgather(list(own))
    return [parts[number % comm.size][number // comm.size] for number in range(sum(map(len, parts)))]
