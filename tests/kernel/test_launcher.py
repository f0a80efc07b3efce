"""Ranks that no launcher connected refuse before any work, and no launcher loses why a rank failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from palpate.failure_note import VARIABLE, leave_note, repeat
from palpate.launcher import Launch, idle_tasks, stated_launch
from tests.conftest import BIN, CHECKOUT, user_environment

INVERT = ("palpate", "invert", "nosuch", "--out", "mre")
"""An inversion of nothing: whatever refuses before any work does not notice."""
STEP = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2"}
"""Variables of `srun --mpi=none -n 2`, which starts copies."""
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "2", "PMIX_NAMESPACE": "prterun", "PMIX_RANK": "0"}
RULE = 'rm -f note; PALPATE_FAILURE=note "$@" 2> >(tee log >&2) || python -m palpate.failure_note note log $?'
"""Shell of a rule of the workflow."""
FAILS = """
import os, signal, sys
here = int(os.environ["PMI_RANK"]) == {rank}
from palpate.cli.supervisor import divide
divide()
if here and {how!r} == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if here and {how!r} == "kill all":
    os.kill(os.getppid(), signal.SIGKILL)
from palpate.cli.failed_exit import leave
if here:
    leave(2, "palpate: bad input")
import palpate.solvers
from mpi4py import MPI
MPI.COMM_WORLD.Barrier()
"""
"""One rank fails before it joins MPI, where the others wait for it."""


def _run(cwd: Path, *words: object, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=user_environment({"PATH": f"{BIN}:{os.environ['PATH']}", **extra}),
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


def test_other_number_of_ranks_is_refused_before_any_work(tmp_path: Path) -> None:
    """The workflow knows how many ranks it asked for; one sentence, and not one a rank."""
    done = _run(tmp_path, "mpiexec", "-n", 2, *INVERT, "--ranks", 3)
    assert done.returncode == 2
    assert done.stderr.startswith("palpate: --ranks 3: found 2 connected ranks; expected 3")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("launcher", [OPEN_MPI, STEP | {"SLURM_PROCID": "0"}], ids=["mpirun", "srun"])
def test_copies_that_nobody_connected_are_refused(launcher: Mapping[str, str], tmp_path: Path) -> None:
    """32 whole inversions into one folder ended with exit code 0. MPI itself would stop at PMIx with its own words."""
    done = _run(tmp_path, *INVERT, **launcher)
    assert done.returncode == 2
    assert "found 2 separate copies of this command" in done.stderr
    assert f"{BIN / 'mpiexec'} -n 2, or under Slurm with srun --mpi=pmi2 -n 2" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_of_refusing_copies_one_speaks(tmp_path: Path) -> None:
    """The same sentence 32 times would bury it."""
    done = _run(tmp_path, *INVERT, **STEP, SLURM_PROCID="1")
    assert (done.returncode, done.stderr) == (2, "")


def test_copies_that_are_runs_of_their_own_say_so(tmp_path: Path) -> None:
    """A step of srun may hand a session to each of its tasks."""
    done = _run(tmp_path, *INVERT, "--ranks", 1, **STEP, SLURM_PROCID="0")
    assert "nosuch: found no such folder" in done.stderr


def test_reserved_tasks_are_no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch script runs once, however many tasks its job has; mpiexec in a step states its own ranks."""
    for name in ("PMI_RANK", "PMI_SIZE", *STEP):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_NTASKS", "8")
    assert stated_launch().size == 1
    assert idle_tasks() == 8
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert stated_launch() == Launch(8, 3, "srun")
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "1")
    assert (stated_launch().size, stated_launch().number) == (2, 1)


def test_pmix_beside_the_ranks_own_launcher_is_ignored(tmp_path: Path) -> None:
    """A cluster whose Slurm speaks PMIx sets its variables for mpiexec as well, at which MPI stopped with code 16."""
    done = _run(tmp_path, "mpiexec", "-n", 2, *INVERT, "--ranks", 2, PMIX_NAMESPACE="slurm.pmix.7.0", PMIX_RANK="0")
    assert done.returncode == 2
    assert done.stderr.startswith("palpate: nosuch: found no such folder")


def test_command_of_one_process_is_not_run_twice(tmp_path: Path) -> None:
    """Two copies would write one output at the same time."""
    done = _run(tmp_path, "mpiexec", "-n", 2, "palpate", "mesh", "nosuch", "--out", "mesh")
    assert done.returncode == 2
    assert done.stderr.startswith("palpate: palpate mesh: found 2 copies of the command")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("how", "rank", "code", "sentence"),
    [
        ("leave", 0, 2, "palpate: bad input"),
        ("leave", 1, 2, "palpate: bad input"),
        ("kill", 1, 137, "palpate: the system killed rank 1 of the step"),
        ("kill all", 1, 9, "palpate: a rank was killed from outside"),
    ],
)
def test_rank_that_fails_before_mpi_ends_the_job(how: str, rank: int, code: int, sentence: str, tmp_path: Path) -> None:
    """The others wait for it in the start of MPI, and mpiexec waits with them, for the eight hours of a job."""
    (tmp_path / "rank.py").write_text(FAILS.format(rank=rank, how=how))
    done = _run(tmp_path, "bash", "-c", RULE, "rule", "mpiexec", "-n", 2, sys.executable, "rank.py")
    assert done.returncode == code, done.stderr
    assert (tmp_path / "log").read_text().count(sentence) == 1
    assert not (tmp_path / "note").exists()


def test_launcher_that_loses_code_and_sentence(tmp_path: Path) -> None:
    """Under srun a rank that leaves with 2 is reported as 137, and its last words may not arrive."""
    loses = '"$@" 2> /dev/null; echo "srun: error: task 0: Killed" >&2; exit 137'
    done = _run(tmp_path, "bash", "-c", RULE, "rule", "bash", "-c", loses, "srun", *INVERT)
    assert done.returncode == 2
    told = (tmp_path / "log").read_text()
    assert told.splitlines()[-1].startswith("palpate: nosuch: found no such folder")
    assert told.splitlines()[-1] in done.stderr


def test_first_failure_is_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks that a launcher terminates afterwards fail as well, by its signal."""
    note, log = tmp_path / "note", tmp_path / "log"
    monkeypatch.setenv(VARIABLE, str(note))
    leave_note(2, "palpate: bad input")
    leave_note(143, "palpate: terminated")
    assert json.loads(note.read_text()) == {"code": 2, "sentence": "palpate: bad input"}
    assert repeat(note, log, 137) == 2
    assert log.read_text() == "palpate: bad input\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert repeat(note, log, 1) == 1


def test_rule_of_the_inversion_has_the_guards() -> None:
    """What is tested here with a shell like the rule's must be in the rule."""
    rule = (CHECKOUT / "workflow" / "rules" / "inversion.smk").read_text()
    assert "--ranks {resources.tasks}" in rule
    assert "PALPATE_FAILURE={log:q}.failed" in rule
    assert "|| python -m palpate.failure_note {log:q}.failed {log:q} $?" in rule
