"""Statements of a launcher of MPI ranks in the environment of a process; MPI itself is not initialised to read them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_RANK_VARIABLES: Final = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_SIZE_VARIABLES: Final = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")

_MPIEXEC_VARIABLES: Final = ("PMI_HOSTNAME", "HYDI_CONTROL_FD")
"""Variables of mpiexec's own ranks, which PMI-1 connects; the second is missing on other nodes than mpiexec's."""

_copy = 0
"""Number of this process among copies that a launcher started without connecting them."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Processes that a launcher started side by side.

    Attributes:
        size: number of processes.
        number: number of this process among them, from 0.
        launcher: name of the launcher.
    """

    size: int
    number: int
    launcher: str


def launcher_rank() -> int:
    """Return this process's MPI rank as its launcher states it; 0 without a launcher."""
    return _first_integer(_RANK_VARIABLES, _copy)


def launcher_size() -> int:
    """Return the number of MPI ranks as the launcher states it; 1 without a launcher."""
    return _first_integer(_SIZE_VARIABLES, 1)


def clear_pmix() -> None:
    """Remove the variables of PMIx, with which the MPI of the wheel stops the process. Call it before MPI is loaded.

    A site whose Slurm speaks PMIx by default sets them for every step, also for one process, and next to the variables
    of the launcher that did connect the ranks.
    """
    for name in [name for name in os.environ if name.startswith("PMIX_")]:
        del os.environ[name]


def stated_launch() -> Launch:
    """Return what the launcher of this process states; a size of 1 where nothing is stated.

    The processes of a Slurm step count only where no other launcher speaks: inside a step, mpiexec starts its own. The
    tasks that a Slurm job reserves (SLURM_NTASKS) say nothing of how many processes were started.
    """
    if any(name in os.environ for name in _SIZE_VARIABLES):
        name = "the launcher" if "PMI_SIZE" in os.environ else "mpirun of another MPI"
        return Launch(launcher_size(), launcher_rank(), name)
    size, number = (_first_integer((name,), 0) for name in ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"))
    return Launch(max(size, 1), number, "srun")


def idle_tasks() -> int:
    """Return the number of tasks of a Slurm job whose script starts this process alone; 0 where it reserved no more."""
    if "SLURM_STEP_ID" in os.environ or any(name in os.environ for name in _SIZE_VARIABLES):
        return 0
    tasks = _first_integer(("SLURM_NTASKS",), 0)
    return tasks if tasks > 1 else 0


def count_as_copy(number: int) -> None:
    """Take this process for rank `number`, so that of several copies with one fault only the first speaks."""
    global _copy  # noqa: PLW0603 - one launcher a process
    _copy = number


def mpiexec() -> str:
    """Return the path of the launcher that belongs to the MPI of this Python."""
    return str(Path(sys.executable).with_name("mpiexec"))


def end_other_ranks(code: int, after_s: float) -> None:
    """Have the launcher end the other ranks of this job although MPI does not run in this process.

    Both launchers would let them wait: mpiexec for a rank that never joined MPI, and srun, unless it was told
    --kill-on-bad-exit, for every rank that failed.

    Args:
        code: exit code of the job under mpiexec.
        after_s: seconds after which Slurm ends the ranks that still run.
    """
    if any(name in os.environ for name in _MPIEXEC_VARIABLES):
        with suppress(OSError, ValueError):
            os.write(int(os.environ.get("PMI_FD", "")), f"cmd=abort exitcode={code}\n".encode())
    else:
        _end_slurm_step(after_s)


def _end_slurm_step(after_s: float) -> None:
    """Order the end of the step from a process of its own; Slurm ends that too where the step ends before."""
    tasks, job, step = (os.environ.get(f"SLURM_{name}", "") for name in ("STEP_NUM_TASKS", "JOB_ID", "STEP_ID"))
    if not tasks.isdigit() or int(tasks) < 2 or not (job and step):
        return
    import subprocess  # half of what the supervisor of every command would import

    with suppress(OSError):
        subprocess.Popen(
            ["sh", "-c", f"sleep {after_s:g}; exec scancel --quiet {job}.{step}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _first_integer(names: tuple[str, ...], default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), default)
