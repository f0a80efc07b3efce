"""A study on a real Slurm with two ranks, of which one is killed: no hang, and the next attempt finishes the study."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.workflow.slurm.one_node import missing, one_node, queue, rank_processes, wait_for
from tests.workflow.slurm.small_study import SESSION, ended, start, write_study

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def test_killed_rank_costs_one_attempt(tmp_path: Path) -> None:
    """The other rank would wait for the dead one until the time limit; Slurm ends it, and Snakemake starts again.

    The second attempt asks for twice the memory, since the first may have been killed for the lack of it, and each
    attempt has its log.
    """
    home = tmp_path / "study"
    write_study(home)
    with one_node():
        process = start(home)
        try:
            wait_for(lambda: len(rank_processes()) == 2, "two ranks do not start", 120.0)
            os.kill(rank_processes()[1], signal.SIGKILL)
        except BaseException:
            process.kill()
            raise
        code, printed = ended(process, 150.0)
        assert code == 0, printed
        assert [state for _, state in sorted(queue().items())] == ["COMPLETED", "FAILED", "COMPLETED"]
        asked = subprocess.run(
            ["squeue", "--states=all", "-h", "--sort=i", "-o", "%m %C"], capture_output=True, text=True, check=True
        )
        assert asked.stdout.split("\n")[:3] == ["4000M 1", "1600M 2", "3100M 2"]
    assert (home / SESSION / "mre" / "sub-box_ses-01_inversion.json").exists()
    first, second = ((home / f"results/logs/sub-box_ses-01_invert.attempt-{one}.log").read_text() for one in (1, 2))
    assert "killed" in first.lower()
    assert "joint draws" in second
    assert (home / "results/logs/sub-box_ses-01_invert.log").read_text() == second
