"""Program of one rank: what its launcher made of it, in one line of JSON on stdout."""

from __future__ import annotations

import importlib
import json
import os
import sys


def main() -> None:
    """Talk to the other ranks once and print size, rank and the sum of all ranks."""
    importlib.import_module("palpate.solvers")  # loads MPI as every step does, before mpi4py looks for it
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    answer = {"size": world.size, "rank": world.rank, "sum": int(world.allreduce(world.rank, op=MPI.SUM))}
    os.write(sys.stdout.fileno(), f"{json.dumps(answer)}\n".encode())  # in one piece, beside other ranks' lines


if __name__ == "__main__":
    main()
