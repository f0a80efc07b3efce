"""Two nodes on one machine: what they share, and an inversion on both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness.nodes import ADDRESSES, SCRATCH, TwoNodes, why_not

from tests.benchmarks.short_run import record_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

_ADD = """
import socket
from mpi4py import MPI
here = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED).size
total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank + 1)
said = MPI.COMM_WORLD.gather(f"{socket.gethostname()} {here} {total}")
if MPI.COMM_WORLD.rank == 0:
    print("\\n".join(said))
"""

_LEAVE = """
import os
from mpi4py import MPI
from palpate.launcher import end_other_ranks
MPI.COMM_WORLD.Barrier()
if MPI.COMM_WORLD.rank == 1:
    end_other_ranks(137, 3.0)
    os._exit(137)
MPI.COMM_WORLD.Barrier()
"""


def test_nodes_share_files_and_no_memory(tmp_path: Path) -> None:
    """Otherwise ranks would talk through shared memory, and the second distributed run would be the first again.

    Files of a folder are seen from both, as the results of a study are. Nothing outside can be reached.
    """
    with TwoNodes(tmp_path / "nodes") as nodes:
        nodes.on("node-1", ["touch", f"{SCRATCH}/own", str(tmp_path / "shared")])
        assert nodes.on("node-2", ["ls", SCRATCH]) == ""
        assert "shared" in nodes.on("node-2", ["ls", str(tmp_path)])
        assert not Path(SCRATCH, "own").exists()
        assert "default" not in nodes.on("node-2", ["ip", "route"])
        assert len({nodes.on(name, ["hostname"]) for name in ADDRESSES}) == 2
        assert len({nodes.on(name, ["readlink", "/proc/self/ns/ipc"]) for name in ADDRESSES}) == 2
        processes = nodes.on("node-1", ["ls", "/proc"]).split()
        assert sum(one.isdigit() for one in processes) < 5


def test_ranks_of_two_nodes_reach_each_other(tmp_path: Path) -> None:
    """Each rank is alone in its memory, both add up to 3, and the cable has carried what they said."""
    with TwoNodes(tmp_path / "nodes") as nodes:
        words = [*nodes.mpiexec(), sys.executable, "-c", _ADD]
        said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120.0).stdout
        assert said.splitlines() == ["node-1 1 3", "node-2 1 3"]
        assert nodes.received_bytes("node-2") > 1000


def test_a_rank_that_leaves_ends_the_job_on_the_other_node(tmp_path: Path) -> None:
    """The other rank would wait for ever: mpiexec does not end it where one on another node leaves without a signal.

    A supervisor leaves so when its worker was killed.
    """
    with TwoNodes(tmp_path / "nodes") as nodes:
        words = [*nodes.mpiexec(), sys.executable, "-c", _LEAVE]
        assert subprocess.run(words, check=False, timeout=120.0).returncode == 137


@pytest.mark.long
def test_two_nodes(tmp_path: Path) -> None:
    """An inversion gives the bits of one machine, and a killed rank ends the job on both nodes (2 min)."""
    rows, facts = record_of("two_nodes", tmp_path / "out")
    assert {row.verdict for row in rows.values() if row.goal} == {"met"}
    assert "node-1 and node-2" in facts["notes"][0]
