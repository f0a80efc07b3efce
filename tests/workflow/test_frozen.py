"""What a run was started with stays what it works with, and one run at a time works on a folder of results."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from palpate.leftovers import owner
from palpate.run_lock import NAME
from tests.conftest import CHECKOUT
from tests.workflow.study_copy import Workflow, write_study

SESSION = Path("results", "sub-box", "ses-01")
MESH = str(SESSION / "mesh")
EXECUTOR = Path(__file__).parent / "executor"


def _start(workflow: Workflow, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        workflow.command(MESH, *arguments),
        cwd=workflow.home,
        env=workflow.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240.0
    while not there():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _sentences(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("palpate: ")]


@pytest.mark.long
@pytest.mark.parametrize(
    ("edited", "what"), [("sessions.tsv", "the table of sessions"), ("study.yaml", "the configuration")]
)
def test_job_elsewhere_refuses_another_choice(edited: str, what: str, tmp_path: Path) -> None:
    """Jobs of a cluster read configuration and table when they begin, maybe days after somebody edited these.

    The step that ran before the edit is kept, the one after it refuses, and the workflow goes on once it is started
    again, with what it finds then.
    """
    write_study(tmp_path)
    (tmp_path / "study.yaml").write_text("mesh: {zone_width_mm: 30.0}\n")
    workflow = Workflow(CHECKOUT, tmp_path, (EXECUTOR,))
    given = "--configfile", "study.yaml"
    process = _start(workflow, "--executor", "elsewhere", "-j1", "--latency-wait", "5", *given)
    (tmp_path / "go-ingest").touch()
    _wait_for((tmp_path / SESSION / "wavefield").exists, process)
    more = {"sessions.tsv": "more\t01\tfield\t\n", "study.yaml": "report: {viewer: false}\n"}
    with (tmp_path / edited).open("a") as file:
        file.write(more[edited])
    (tmp_path / "go-mesh").touch()
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1, printed
    assert [line for line in _sentences(printed) if f"{what}: found other choices" in line]
    assert not (tmp_path / MESH).exists()
    assert set(workflow.planned(MESH, *given)) == {("mesh", "box")}


def test_second_workflow_gets_one_sentence(tmp_path: Path) -> None:
    """It may start in another folder, where Snakemake's own lock is not seen."""
    write_study(tmp_path)
    (tmp_path / "results").mkdir()
    held = {"what": "workflow", "owner": "erika", "host": "node7", "since": "2026-01-02 03:04", "pid": 1, "job": ""}
    held["who"] = owner(os.getpid())  # a process that lives
    (tmp_path / "results" / NAME).write_text(json.dumps(held))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = Workflow(CHECKOUT, elsewhere)
    done = second.run(str(tmp_path / MESH), config=[f"sessions={tmp_path}/sessions.tsv", f"results={tmp_path}/results"])
    assert done.returncode == 2, done.stdout + done.stderr
    (sentence,) = _sentences(done.stdout + done.stderr)
    assert "the workflow that erika started on node7 at 2026-01-02 03:04" in sentence
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_workflow_takes_over_from_a_dead_one(tmp_path: Path) -> None:
    """After a kill -9 the same command goes on, although both Snakemake's lock and ours were left.

    The finished study may then be moved with Snakemake's own records, which name absolute paths.
    """
    home = tmp_path / "study"
    write_study(home)
    workflow = Workflow(CHECKOUT, home)
    process = _start(workflow)
    _wait_for((home / SESSION / "wavefield").exists, process)
    process.kill()
    process.communicate(timeout=60)
    assert json.loads((home / "results" / NAME).read_text())["host"] == socket.gethostname()
    done = workflow.run(MESH)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "died before it ended; its lock is taken over." in done.stderr
    assert not (home / "results" / NAME).exists()
    home.rename(tmp_path / "moved")
    assert Workflow(CHECKOUT, tmp_path / "moved").planned(MESH) == {}
