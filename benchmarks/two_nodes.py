"""An inversion on two nodes that share no memory, beside the same inversion on two ranks of one machine.

The nodes are namespaces of this machine behind a switch: each has its own network, name, process numbers, /dev/shm and
scratch folder, so that ranks reach each other by TCP alone. They share the results' folder, as nodes of a cluster do. A
block of 11 x 11 x 13 voxels is inverted in eight zones. Maps and draws must be the same to the last bit, since nothing
in the solver may depend on how messages travel. A rank that is killed on the second node must end the job on both.

What a cable carries stays in the memory of this machine: speed and delay of a real network are not measured.

    python benchmarks/two_nodes.py --out folder [--short]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.command_line import PROGRAMS, options, run
from harness.nodes import ADDRESSES, TwoNodes, why_not
from harness.process_use import MARK, environment, kill_marked, marked
from harness.record import Row, write_record
from worlds.lesion_block import Lesion, waves_through
from worlds.noise import write_noisy

from palpate.content_digest import digest
from palpate.resources import read_use, record_path

_QUICK: Final = '{"samples": 40, "max_iterations": 3, "hessian_rank": 40, "fit_prior": false}'
_ZONES: Final = '{"zone_width_mm": 16, "zone_stride_mm": 12}'
_PROBE: Final = """
import os, socket
import dolfinx_solver
from mpi4py import MPI
beside = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED).size
said = MPI.COMM_WORLD.gather((socket.gethostname(), beside))
if MPI.COMM_WORLD.rank == 0:
    print(max(count for _, count in said), *sorted(name for name, _ in said))
"""
"""Program that says how many ranks share memory at most, and the names of their nodes."""


@dataclass(frozen=True, slots=True)
class Block:
    """Wave field and its mesh.

    Attributes:
        wavefield: folder of the wave field.
        mesh: folder of its zones.
    """

    wavefield: Path
    mesh: Path

    def inversion(self, launcher: list[str], out: Path) -> list[str]:
        """Return the words that invert the wave field on two ranks.

        Args:
            launcher: words before the command that start its ranks.
            out: folder of the maps.
        """
        program = [*launcher, str(PROGRAMS / "palpate"), "invert", str(self.wavefield), "--mesh", str(self.mesh)]
        return [*program, "--ranks", "2", "--settings", _QUICK, "--out", str(out)]


def block(out: Path, shape: tuple[int, int, int]) -> Block:
    """Return a block of voxels with noise of 2 %, in zones of 16 mm; it is made where it is missing.

    Args:
        out: folder for wave field and mesh.
        shape: number of voxels of 2 mm along each edge.
    """
    made = Block(out / "wavefield", out / "mesh")
    if not made.wavefield.exists():
        whole = waves_through(Lesion(6.0, 1.0, voxels=max(shape)))
        i, j, k = map(slice, shape)
        cut = replace(whole, displacement_m=whole.displacement_m[i, j, k], mask=whole.mask[i, j, k])
        write_noisy(cut, made.wavefield, 2.0, seed=1)
    if not made.mesh.exists():
        run("palpate", "mesh", made.wavefield, "--settings", _ZONES, "--out", made.mesh)
    return made


@dataclass(frozen=True, slots=True)
class NodesRun:
    """An inversion on two ranks.

    Attributes:
        files: digest of each map and of the draws, by name.
        hosts: name of each rank's machine.
        cpu_s: CPU time of both ranks, seconds.
    """

    files: dict[str, str]
    hosts: tuple[str, ...]
    cpu_s: float


def inverted(launcher: list[str], one: Block, out: Path) -> NodesRun:
    """Invert a wave field on two ranks.

    Args:
        launcher: words before the command that start its ranks.
        one: wave field and mesh.
        out: folder of the maps.
    """
    subprocess.run(one.inversion(launcher, out), check=True)
    used = read_use(record_path(out))
    assert used is not None
    files = {path.name: digest(path) for path in sorted(out.iterdir()) if path.name.endswith((".nii.gz", ".h5"))}
    return NodesRun(files, tuple(rank.host for rank in used.ranks), used.cpu_s)


def seconds_after_a_kill(launcher: list[str], one: Block, out: Path) -> float | None:
    """Kill the work of the second rank, and return how long the job still lasted, seconds.

    Args:
        launcher: words before the command that start its ranks.
        one: wave field and mesh.
        out: folder of the maps.

    Returns:
        The time; None where the job did not end with the exit code of a killed process, or left maps.
    """
    lasted_s: float | None
    job = subprocess.Popen(
        one.inversion(launcher, out), env=os.environ | {MARK: str(out)}, stderr=subprocess.PIPE, text=True
    )
    try:
        assert job.stderr is not None
        next(line for line in job.stderr if "step 1" in line)
        of_second = [pid for pid in marked(str(out)) if b"PMI_RANK=1" in environment(pid)]
        os.kill(max(of_second), signal.SIGKILL)  # the worker, which its supervisor has started
        began = time.perf_counter()
        job.communicate(timeout=120.0)
        lasted_s = time.perf_counter() - began
    except subprocess.TimeoutExpired:
        lasted_s = None
    finally:
        kill_marked(str(out))
        job.wait()
    return lasted_s if job.returncode == 137 and not out.exists() else None


def rows_of(near: NodesRun, apart: NodesRun, beside: int, received_mb: float, lasted_s: float | None) -> list[Row]:
    """Return the figures.

    Args:
        near: inversion on one machine.
        apart: inversion on two nodes.
        beside: largest number of ranks on the nodes that share memory.
        received_mb: data that came to the second node through its cable during the inversion, MB.
        lasted_s: time from the kill of a rank to the end of the job, seconds.
    """
    assert near.files.keys() == apart.files.keys()
    other = sum(near.files[name] != content for name, content in apart.files.items())
    return [
        Row("files of maps and draws that differ from those of one machine", "", float(other), None, goal="<= 0"),
        Row("files of maps and draws", "", float(len(apart.files)), None, goal=">= 9"),
        Row("ranks of the nodes that share memory", "", float(beside), None, goal="<= 1"),
        Row("nodes that have a rank", "", float(len(set(apart.hosts))), None, goal=">= 2"),
        Row("received by the second node", "MB", received_mb, None, goal="> 0"),
        Row("CPU of both ranks over that on one machine", "", apart.cpu_s / near.cpu_s, None),
        Row("job after the kill of a rank on the second node", "s", lasted_s, None, goal="<= 60"),
    ]


def main() -> None:
    """Invert on one machine and on two nodes, kill a rank, and write the record."""
    chosen = options(__doc__)
    began = time.perf_counter()
    if told := why_not():
        sys.exit(f"skipped: {told}")
    one = block(chosen.out, (7, 7, 13) if chosen.short else (11, 11, 13))
    near = inverted([str(PROGRAMS / "mpiexec"), "-n", "2"], one, chosen.out / "near")
    with TwoNodes(chosen.out / "nodes") as nodes:
        probed = subprocess.run([*nodes.mpiexec(), sys.executable, "-c", _PROBE], check=True, stdout=-1, text=True)
        beside, *names = probed.stdout.split()
        before = nodes.received_bytes("node-2")
        apart = inverted(nodes.mpiexec(), one, chosen.out / "apart")
        received_mb = (nodes.received_bytes("node-2") - before) / 1e6
        lasted_s = seconds_after_a_kill(nodes.mpiexec(), one, chosen.out / "killed")
    assert names == sorted(ADDRESSES), probed.stdout
    rows = rows_of(near, apart, int(beside), received_mb, lasted_s)
    notes = [f"The record of the inversion names the machines {' and '.join(apart.hosts)}."]
    seconds = time.perf_counter() - began
    write_record("two_nodes", rows, published="none", notes=notes, seconds=seconds, out=chosen.record)


if __name__ == "__main__":
    main()
