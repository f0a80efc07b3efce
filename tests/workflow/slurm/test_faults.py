"""A study on a real Slurm, disturbed: each fault ends in a sentence, none hangs, another start gives the same bits.

What was met here and what happened stands in docs/cluster.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.slurm.one_node import OneNode, missing, one_node, queue, rank_processes, wait_for
from tests.workflow.slurm.small_study import SESSION, bits, ended, sentences, start, write_study

pytestmark = [pytest.mark.skipif(missing() is not None, reason=str(missing())), pytest.mark.long]
LOGS = Path("results", "logs")
ONCE = ("--retries", "0")


@pytest.fixture(scope="module")
def cluster() -> Iterator[OneNode]:
    """A cluster of one node."""
    with one_node() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def undisturbed(cluster: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - it runs there
    """The study as it is without any fault, with its page: every rule for such a session has run on the cluster."""
    home = tmp_path_factory.mktemp("study") / "undisturbed"
    write_study(home)
    code, printed = ended(start(home, target="all"))
    assert code == 0, printed
    assert (home / SESSION / "report.html").exists()
    return home


@pytest.fixture
def home(undisturbed: Path, tmp_path: Path) -> Path:
    """The same study before its inversion."""
    shutil.copytree(undisturbed, tmp_path / "study", symlinks=True)
    shutil.rmtree(tmp_path / "study" / SESSION / "mre")
    return tmp_path / "study"


def _ranks() -> list[int]:
    wait_for(lambda: len(rank_processes()) == 2, "two ranks do not start")
    return rank_processes()


def _same_after_another_start(home: Path, undisturbed: Path) -> None:
    code, printed = ended(start(home))
    assert code == 0, printed
    assert bits(home) == bits(undisturbed)


def test_failed_product_costs_no_other(home: Path, undisturbed: Path) -> None:
    """Steps that share a job fail as one job; what the others have made must stay, and need not be made again."""
    shutil.copytree(undisturbed / SESSION / "mre", home / SESSION / "mre")
    for path in (home / SESSION / "report.html", home / SESSION / "report.json"):
        path.unlink()
    shutil.rmtree(home / SESSION / "derived")
    (home / "truth").mkdir()
    (home / "truth" / "truth_storagemodulus.nii.gz").write_bytes(b"no image")
    (home / "sessions.tsv").write_text("subject\tsession\tmre\ttruth\nbox\t01\tfield\ttruth\n")
    code, printed = ended(start(home, *ONCE, target="all"))
    assert code == 1
    assert (home / SESSION / "derived").exists(), printed
    (said,) = sentences(printed)
    assert "report of sub-box_ses-01" in said
    assert "truth_storagemodulus.nii.gz" in said
    assert not (home / SESSION / "report.html").exists()


def test_killed_rank(home: Path, undisturbed: Path) -> None:
    """Without --kill-on-bad-exit the other rank waits for the dead one until the time limit, hours later."""
    process = start(home, *ONCE)
    os.kill(_ranks()[1], signal.SIGKILL)
    code, printed = ended(process)
    assert code == 1
    (said,) = sentences(printed)
    assert "invert of sub-box_ses-01" in said
    assert "killed" in said
    _same_after_another_start(home, undisturbed)


def test_too_little_memory(home: Path, undisturbed: Path) -> None:
    """The memory of a request is a limit."""
    code, printed = ended(start(home, *ONCE, "--set-resources", "invert:mem_mb_per_cpu=60"))
    assert code == 1
    (said,) = sentences(printed)
    assert "more memory than it had asked for" in said
    assert "invert:mem_mb_per_cpu" in said
    _same_after_another_start(home, undisturbed)


def test_cancelled_job(home: Path, undisturbed: Path) -> None:
    """An administrator, or the user, may end any job."""
    process = start(home, *ONCE)
    _ranks()
    (job,) = [number for number, state in queue().items() if state == "RUNNING"]
    subprocess.run(["scancel", job], check=True)
    code, printed = ended(process)
    assert code == 1
    (said,) = sentences(printed)
    assert f"(Slurm job {job}): it was cancelled" in said
    _same_after_another_start(home, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_workflow(number: signal.Signals, home: Path, undisturbed: Path) -> None:
    """Jobs of a workflow that was stopped must not go on beside the next one."""
    process = start(home)
    _ranks()
    process.send_signal(number)
    code, printed = ended(process)
    assert code == 1
    (said,) = sentences(printed)
    assert "Start it again" in said
    wait_for(lambda: "RUNNING" not in queue().values(), "a job outlives its workflow")
    _same_after_another_start(home, undisturbed)


def test_killed_workflow(home: Path, undisturbed: Path) -> None:
    """Its job goes on. The next workflow takes the lock over, makes the same again, and both leave the same maps."""
    process = start(home)
    ranks = _ranks()
    for pid in ranks:
        os.kill(pid, signal.SIGSTOP)
    process.kill()
    process.communicate(timeout=60)
    again = start(home)
    wait_for(lambda: "PENDING" in queue().values(), "the next workflow submits nothing")
    for pid in ranks:
        os.kill(pid, signal.SIGCONT)
    code, printed = ended(again)
    assert code == 0, printed
    assert any("its lock is taken over" in said for said in sentences(printed))
    assert bits(home) == bits(undisturbed)


def test_lost_node(home: Path, undisturbed: Path, cluster: OneNode) -> None:
    """The job has to be given back by Slurm, and is started again on a node that works, by the workflow itself."""
    process = start(home)
    _ranks()
    cluster.stop_node()
    wait_for(lambda: "RUNNING" not in queue().values(), "the job of a lost node runs for ever")
    time.sleep(15.0)  # seconds of a node that is not there, with a second attempt that waits for it
    cluster.start_node()
    code, printed = ended(process)
    assert code == 0, printed
    assert "NODE_FAIL" in printed
    assert bits(home) == bits(undisturbed)


def test_drained_node_with_a_queued_job(home: Path, undisturbed: Path, cluster: OneNode) -> None:
    """The job waits for as long as the maintenance takes, and nothing fails meanwhile."""
    with cluster.drained():
        process = start(home)
        wait_for(lambda: "PENDING" in queue().values(), "the workflow submits nothing")
        time.sleep(15.0)  # several looks at a job that cannot start
        assert process.poll() is None
        assert rank_processes() == []
    code, printed = ended(process)
    assert code == 0, printed
    assert bits(home) == bits(undisturbed)


def test_drained_node_with_a_running_job(home: Path, undisturbed: Path, cluster: OneNode) -> None:
    """A running job goes on to its end; steps after it wait until the node is back."""
    (home / SESSION / "report.html").unlink()
    process = start(home, target="all")
    _ranks()
    with cluster.drained():
        wait_for((home / SESSION / "mre").exists, "the job ends with its node", 240.0)
        wait_for(lambda: "PENDING" in queue().values(), "no step waits", 120.0)
        assert process.poll() is None
        assert not (home / SESSION / "report.html").exists()
    code, printed = ended(process)
    assert code == 0, printed
    assert (home / SESSION / "report.html").exists()
    assert bits(home) == bits(undisturbed)


def test_time_limit(home: Path, undisturbed: Path) -> None:
    """A rank that hangs is ended by the time limit, which is what limits any hang."""
    process = start(home, *ONCE, "--set-resources", "invert:runtime=1")
    for pid in _ranks():
        os.kill(pid, signal.SIGSTOP)
    code, printed = ended(process)
    assert code == 1
    (said,) = sentences(printed)
    assert "reached its time limit" in said
    _same_after_another_start(home, undisturbed)


MPIEXEC = ("--set-resources", "invert:mpi='mpiexec -launcher fork'", "invert:nodes=1")


def test_mpiexec_in_the_job(home: Path, undisturbed: Path) -> None:
    """The way of sites whose srun speaks pmix alone; once connected, a rank that dies ends the others here, too."""
    process = start(home, *ONCE, *MPIEXEC)
    log = home / LOGS / "sub-box_ses-01_invert.attempt-2.log"
    wait_for(lambda: log.exists() and "2 ranks" in log.read_text(), "the ranks do not connect", 120.0)
    os.kill(_ranks()[1], signal.SIGKILL)
    code, printed = ended(process)
    assert code == 1
    (said,) = sentences(printed)
    assert "killed" in said
    code, printed = ended(start(home, *MPIEXEC))
    assert code == 0, printed
    assert bits(home) == bits(undisturbed)


def test_a_launcher_of_another_kind(home: Path) -> None:
    """The wheel's MPI does not speak PMIx; the sentence leads to the page with the launchers."""
    code, printed = ended(start(home, *ONCE, "--set-resources", "invert:mpi='srun --mpi=pmix'"))
    assert code == 1
    (said,) = sentences(printed)
    assert "the launcher does not speak to this MPI" in said
    assert "docs/cluster.md" in said


def test_accounting_that_is_not_there(home: Path) -> None:
    """Nobody answers sacct here, and the workflow waited for ever; now it does not start."""
    code, printed = ended(start(home, "--slurm-status-command", "sacct"))
    assert code == 2
    (said,) = sentences(printed)
    assert "--slurm-status-command squeue --slurm-no-account" in said
    assert "RUNNING" not in queue().values()
