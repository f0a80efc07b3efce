"""One answer for every number of MPI ranks."""

from __future__ import annotations

from collections.abc import Sequence

from mpi4py import MPI


def dealt[T](items: Sequence[T], comm: MPI.Comm) -> list[T]:
    """This rank's share of the items, dealt like cards, so that every rank but perhaps the last ones has some."""
    return list(items[comm.rank :: comm.size])
