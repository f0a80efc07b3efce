"""Exit of a command that failed, whether it runs alone or as one of several MPI ranks."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import NoReturn

from palpate.failure_note import leave_note
from palpate.launcher import end_other_ranks, launcher_rank, launcher_size

_PATIENCE_S = 3.0
"""Time that another rank waits for rank 0 to print the message first, seconds."""

_HEARD_S = 0.3
"""Time for the launcher to pass the message on before it hears of the end, which comes by another way, seconds."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread_a_rank() -> None:
    """Keep linear algebra to one thread where ranks share the cores; call it before NumPy is imported.

    Snakemake tells every job's libraries to use all threads of the job. Two ranks with two threads each fight for two
    cores, and OpenBLAS waits by spinning: the demo's inversion took four times as long.
    """
    if launcher_size() > 1:
        os.environ.update(dict.fromkeys(_THREADS, "1"))


def leave(code: int, message: str = "") -> NoReturn:
    """Print `message` once and exit with `code`, without leaving other ranks waiting.

    Where all ranks fail alike (they read the same bad input), rank 0 prints the message and ends the job. Where only
    another rank fails, rank 0 may wait in a collective call for ever: then that rank prints it and ends the job.
    The first that fails leaves code and message in a note, because a launcher may lose both (palpate.failure_note).
    """
    leave_note(code, message)
    if launcher_size() == 1:
        if launcher_rank() == 0:  # copies that nobody connected fail alike
            _tell(message)
        sys.exit(code)
    if launcher_rank() != 0:
        time.sleep(_PATIENCE_S)  # the job is over before this ends, if rank 0 fails too
    _tell(message)
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized() or mpi.Is_finalized():
        end_other_ranks(code, _PATIENCE_S + 2.0)  # after the others, where they fail alike
        sys.exit(code)
    sys.stdout.flush()
    time.sleep(_HEARD_S)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # MPI's own words would hide our sentence
    mpi.COMM_WORLD.Abort(code)
    sys.exit(code)  # never reached; Abort has no return type


def _tell(message: str) -> None:
    if message:
        with suppress(OSError):  # the log lies on the full disk that the message is about, or nobody reads it any more
            print(message, file=sys.stderr, flush=True)
