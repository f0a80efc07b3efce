"""How evenly the zones' work was shared out: what every rank worked, and how long it waited for the others."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

from palpate.solvers.inversion.steps.linearisation import WAITING
from palpate.solvers.inversion.zone.zone_solver import ZONES, Tally


@dataclass(frozen=True, slots=True)
class LoadBalance:
    """Seconds of the evaluations of all zones, in which ranks work alone until the slowest is done.

    Attributes:
        busy_s: of work, one number a rank.
        waiting_s: of waiting for other ranks at the evaluations' ends, one number a rank.
    """

    busy_s: tuple[float, ...]
    waiting_s: tuple[float, ...]

    @property
    def efficiency(self) -> float:
        """Mean over largest work: 1 where all ranks finish together."""
        largest = max(self.busy_s)
        return sum(self.busy_s) / len(self.busy_s) / largest if largest > 0 else 1.0


def load_balance_of(tally: Tally, comm: MPI.Comm) -> LoadBalance:
    """From every rank's own tally."""
    return LoadBalance(
        tuple(float(seconds) for seconds in comm.allgather(tally.seconds[ZONES])),
        tuple(float(seconds) for seconds in comm.allgather(tally.seconds[WAITING])),
    )
