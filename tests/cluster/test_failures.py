"""A job that a cluster ended leads to one sentence: which step, why, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from palpate.cluster.endings import ENDINGS
from palpate.cluster.failures import told_of_failures
from tests.conftest import CHECKOUT

BLOCK = """
[Mon Nov 30 15:28:55 2026]
Error in rule invert:
    message: SLURM-job '2' failed, SLURM status is: '{status}'. Detailed failure reason unavailable.For
    jobid: 2
    output: results/sub-A/ses-01/mre
    log: {own}, {slurm} (check log file(s) for error details)
    shell:
        PALPATE_RECEIPT='..' logged log srun palpate invert
        (command exited with non-zero exit code)
    external_jobid: 2
Trying to restart job 2.
"""
TOLD = [
    ("FAILED", "slurmstepd: error: Step 2.0 exceeded memory limit (200 > 100), being killed", "more memory than"),
    ("OUT_OF_MEMORY", "", "invert:mem_mb_per_cpu=MB"),
    ("TIMEOUT", "slurmstepd: error: *** JOB 2 ON n CANCELLED AT 2026 DUE TO TIME LIMIT ***", "reached its time limit"),
    ("CANCELLED", "slurmstepd: error: *** JOB 2 ON n CANCELLED AT 2026 ***", "it was cancelled"),
    ("NODE_FAIL", "", "its node failed"),
    ("FAILED", "srun: error: n: task 1: Killed", "a process of it was killed"),
    ("FAILED", "srun: error: n: task 1: Segmentation fault", "a process of it was killed"),
    ("FAILED", "BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", "a process of it was killed"),
    ("FAILED", "unsupported PMI version PMIx", "Choose another one"),
    ("FAILED", "nothing that is known", "it failed"),
]


def _told(tmp_path: Path, status: str, said: str, header: str = "palpate: attempt 1 on n, Slurm job 2, 2026\n") -> str:
    own, slurm = tmp_path / "sub-A_ses-01_invert.log", tmp_path / "2.log"
    own.write_text(header + said + "\n")
    slurm.write_text("")
    (sentence,) = told_of_failures(BLOCK.format(status=status, own=own, slurm=slurm))
    return sentence


@pytest.mark.parametrize(("status", "said", "told"), TOLD)
def test_each_ending_has_its_sentence(status: str, said: str, told: str, tmp_path: Path) -> None:
    """Snakemake says "failed" of all of them, and Slurm's words lie in a file that nobody knows."""
    sentence = _told(tmp_path, status, said)
    assert sentence.startswith("invert of sub-A_ses-01 (Slurm job 2): ")
    assert told in sentence
    assert sentence.endswith(f"Log: {tmp_path}/sub-A_ses-01_invert.log")


def test_what_the_step_itself_says_comes_first(tmp_path: Path) -> None:
    """After one rank has refused its input the launcher kills the others, which is no cause."""
    refusal = "palpate: wave field: found no wave; expected one. Check the units.\nsrun: error: n: tasks 0-1: Killed"
    assert "(Slurm job 2): wave field: found no wave; expected one. Check the units. Log:" in _told(
        tmp_path, "FAILED", refusal
    )


def test_an_attempt_before_is_not_quoted(tmp_path: Path) -> None:
    """A job that never began has no log of its own: what the last attempt said is not the reason."""
    earlier = "palpate: attempt 1 on n, Slurm job 1, 2026\n"
    assert "found no wave" not in _told(tmp_path, "NODE_FAIL", "palpate: found no wave; expected one.", earlier)


def test_refused_job() -> None:
    """A request that no partition can meet ends before there is a job."""
    printed = """
[Mon Nov 30 15:28:55 2026]
Error in rule mesh:
    message: SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed: Invalid
account'.
    sbatch call:
        sbatch --parsable --wrap="a long call"
    jobid: 3
    log: results/logs/sub-A_ses-01_mesh.log (check log file(s) for error details)
"""
    (sentence,) = told_of_failures(printed)
    assert sentence.startswith(
        "mesh of sub-A_ses-01: Slurm refused it: sbatch: error: Batch job submission failed: Inv"
    )


def test_the_last_attempt_is_told(tmp_path: Path) -> None:
    """Two attempts of one job are one failure."""
    own = tmp_path / "sub-A_ses-01_invert.log"
    own.write_text("palpate: attempt 2 on n, Slurm job 2, 2026\n")
    blocks = [BLOCK.format(status=status, own=own, slurm=tmp_path / "2.log") for status in ("TIMEOUT", "NODE_FAIL")]
    (sentence,) = told_of_failures("".join(blocks))
    assert "its node failed" in sentence


def test_local_failures_are_left_to_the_terminal() -> None:
    """Without a cluster the step's own words were printed a moment ago."""
    assert told_of_failures(BLOCK.replace("SLURM-job", "job").format(status="", own="a", slurm="b")) == ()


def test_every_ending_is_documented() -> None:
    """The sentence is what a user looks for on the page."""
    page = " ".join((CHECKOUT / "docs" / "cluster.md").read_text().split())
    for ending in ENDINGS:
        assert ending.sentence.partition(":")[0] in page
