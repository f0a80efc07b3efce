"""Balance of the zones' work between ranks: time that every rank worked, and time that it waited for the others."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

from palpate.solvers.inversion.steps.linearisation import WAITING
from palpate.solvers.inversion.zone.zone_solver import ZONES, WorkCounter


@dataclass(frozen=True, slots=True)
class LoadBalance:
    """Times of the evaluations of all zones, in which ranks work alone until the slowest is done.

    Attributes:
        busy_s: seconds of work, one number for each rank.
        waiting_s: seconds of waiting for other ranks at the evaluations' ends, one number for each rank.
    """

    busy_s: tuple[float, ...]
    waiting_s: tuple[float, ...]

    @property
    def efficiency(self) -> float:
        """Mean work of the ranks over the largest: 1 where all ranks finish together."""
        largest = max(self.busy_s)
        return sum(self.busy_s) / len(self.busy_s) / largest if largest > 0 else 1.0


def load_balance_of(counter: WorkCounter, comm: MPI.Comm) -> LoadBalance:
    """Return the balance from every rank's own counter. Collective."""
    return LoadBalance(
        tuple(float(seconds) for seconds in comm.allgather(counter.seconds[ZONES])),
        tuple(float(seconds) for seconds in comm.allgather(counter.seconds[WAITING])),
    )
