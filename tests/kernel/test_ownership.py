"""An output has one owner: a second run is told who has it, and what a dead one held is taken over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from palpate import ownership
from palpate.errors import InputError
from palpate.outputs import claim_folder
from palpate.ownership import owner_file, owning
from tests.conftest import user_environment

HOLD = "import pathlib, sys, time\nfrom palpate.ownership import owning\n"
ELSEWHERE = {
    "what": "run",
    "owner": "erika",
    "host": "node7",
    "since": "2026-01-02 03:04",
    "pid": 7,
    "job": "Slurm job 17",
    "who": "0123abcd-7-1",
}
"""A run on a machine that is not this one."""
SUPERVISED = """
import ctypes, pathlib, sys
from palpate import heartbeat
heartbeat.BEAT_S = 0.2
from palpate.cli.supervisor import divide
divide()
from palpate.outputs import claim_folder
with claim_folder(pathlib.Path(sys.argv[1]), "invert", {}).writing() as partial:
    (partial / "map").write_text("x")
    print("working", flush=True)
    ctypes.PyDLL(None).sleep(600)
"""
"""A step that holds Python's lock, as a factorisation does."""


@contextmanager
def _running(script: str, out: Path, **extra: str) -> Iterator[subprocess.Popen[str]]:
    """Start a script and wait for its first line; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=user_environment(extra),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def _holding(out: Path, **extra: str) -> AbstractContextManager[subprocess.Popen[str]]:
    hold = "with owning(pathlib.Path(sys.argv[1])):\n    print('owns', flush=True)\n    time.sleep(600)"
    return _running(HOLD + hold, out, **extra)


def _wait_for(holds: Callable[[], bool], patience_s: float = 20.0) -> None:
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("days", [0, 300, -300])
def test_second_run_is_told_who_has_the_output(days: int, tmp_path: Path) -> None:
    """Two runs that go on from the same finished zones remove each other's files.

    A clock that jumped by months makes a live owner on this machine neither dead nor young.
    """
    out = tmp_path / "mre"
    with _holding(out, SLURM_JOB_ID="17") as first:
        then = time.time() + days * 86400.0
        os.utime(owner_file(out), (then, then))
        held = json.loads(owner_file(out).read_text())
        with pytest.raises(InputError) as caught, claim_folder(out, "invert", {}).writing():
            pass
        told = str(caught.value)
        assert f"{held['owner']} started on {held['host']} at {held['since']}" in told
        assert f"(process {first.pid}, Slurm job 17)" in told
    assert not out.exists()


def test_output_of_a_dead_run_is_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After kill -9 the next run starts at once, and says why there was something to take over."""
    out = tmp_path / "mre"
    with _holding(out):
        pass
    assert owner_file(out).exists()
    began = time.monotonic()
    with claim_folder(out, "invert", {}).writing() as partial:
        (partial / "map").write_text("x")
    assert "died before it ended; its lock is taken over" in capsys.readouterr().err
    assert time.monotonic() - began < 5.0
    assert [path.name for path in tmp_path.iterdir()] == ["mre"]


def test_silent_owner_on_another_machine_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node that failed never removes its file; nobody should have to know where it lies."""
    monkeypatch.setattr(ownership, "DEAD_AFTER_S", 0.5)
    owner_file(tmp_path / "mre").write_text(json.dumps(ELSEWHERE))
    (tmp_path / f".partial-{ELSEWHERE['who']}-mre").mkdir()
    with owning(tmp_path / "mre"):
        assert json.loads(owner_file(tmp_path / "mre").read_text())["pid"] == os.getpid()
    told = capsys.readouterr().err
    assert "erika started on node7 at 2026-01-02 03:04 (process 7, Slurm job 17) died before it ended" in told
    assert not list(tmp_path.iterdir())


def test_owner_with_a_heartbeat_on_another_machine_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One beat is enough, whatever time it states: the other machine's clock may be wrong by years."""
    monkeypatch.setattr(ownership, "DEAD_AFTER_S", 30.0)
    path = owner_file(tmp_path / "mre")
    path.write_text(json.dumps(ELSEWHERE))
    os.utime(path, (1e9, 1e9))
    threading.Timer(0.3, os.utime, (path, (1.1e9, 1.1e9))).start()
    with pytest.raises(InputError, match="erika started on node7"), owning(tmp_path / "mre"):
        pass
    assert json.loads(path.read_text()) == ELSEWHERE


def test_heart_beats_while_the_work_holds_pythons_lock(tmp_path: Path) -> None:
    """Other machines would take over an output whose step is in a factorisation of some minutes."""
    path = owner_file(tmp_path / "mre")
    with _running(SUPERVISED, tmp_path / "mre"):
        first = path.stat().st_mtime_ns
        _wait_for(lambda: path.stat().st_mtime_ns > first)


def test_run_that_was_taken_over_ends(tmp_path: Path) -> None:
    """A machine that wakes up after hours must not write beside the run that has replaced it."""
    path = owner_file(tmp_path / "mre")
    with _running(SUPERVISED, tmp_path / "mre") as process:
        (tmp_path / "other").write_text(json.dumps(ELSEWHERE))
        (tmp_path / "other").rename(path)
        _, told = process.communicate(timeout=20.0)
        assert (process.returncode, told.count("another run has taken over")) == (2, 1)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert json.loads(path.read_text()) == ELSEWHERE


def test_stopped_run_owns_nothing(tmp_path: Path) -> None:
    """Whoever stops a command and starts it again on another machine must not wait for a sign of life."""
    with _running(SUPERVISED, tmp_path / "mre") as process:
        process.terminate()
        assert process.wait(timeout=20.0) == 143
    assert not list(tmp_path.iterdir())
