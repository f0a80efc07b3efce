"""The ranks of MPI that share a computation, and the check that the launcher connected as many as it started.

MPI that meets a launcher of another kind starts each process as a job of one rank, so that N whole computations run at
once and write the same output.
"""

from __future__ import annotations

from mpi4py import MPI

from palpate.errors import InputError
from palpate.launcher import Launch, count_as_copy, idle_tasks, mpiexec, stated_launch
from palpate.progress import say


def all_ranks(expected: int | None = None) -> MPI.Comm:
    """Return the communicator of all ranks of this job. All processes refuse alike, before any work.

    Args:
        expected: number of ranks that was asked for; None for as many as the launcher states.

    Raises:
        InputError: there are more or fewer.
    """
    found, launch = MPI.COMM_WORLD.size, stated_launch()
    wanted = launch.size if expected is None else expected
    if found == wanted:
        if expected is None and (tasks := idle_tasks()):
            say(f"this job has {tasks} tasks and palpate uses one; srun --mpi=pmi2 -n {tasks} palpate ... uses all")
        return MPI.COMM_WORLD
    if found == 1:
        count_as_copy(launch.number)
    raise InputError(
        "the MPI ranks" if expected is None else f"--ranks {expected}",
        found=_found(found, launch),
        expected=f"{wanted} connected rank{'s' if wanted > 1 else ''}",
        advice=_advice(wanted, alone=found == 1 and expected is None),
    )


def _found(found: int, launch: Launch) -> str:
    if found > 1:
        return f"{found} connected ranks"
    if launch.size == 1:
        return "one process without a launcher"
    return f"{launch.size} separate copies of this command, which {launch.launcher} started without connecting them"


def _advice(ranks: int, *, alone: bool) -> str:
    if ranks == 1:
        return "Start palpate without a launcher."
    advice = f"Start palpate with {mpiexec()} -n {ranks}, or under Slurm with srun --mpi=pmi2 -n {ranks}"
    return f"{advice}; --ranks 1 says that each copy is a run of its own." if alone else f"{advice}."
