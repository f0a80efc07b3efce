"""What a benchmark reads about a running process, and how it ends all processes of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from harness.process_use import MARK, kill_marked, marked, state_of

_PARENT = """
import subprocess, sys, time
subprocess.Popen(["sleep", "60"], start_new_session=True)
print("started", flush=True)
time.sleep(60)
"""


def test_open_files_and_memory_are_seen(tmp_path: Path) -> None:
    """Two more files and 64 MB more are what the state of a process shows after they were taken."""
    before = state_of(os.getpid())
    with (tmp_path / "one").open("w"), (tmp_path / "two").open("w"):
        held = bytearray(b"x" * 2**26)
        after = state_of(os.getpid())
    assert before is not None
    assert after is not None
    assert after.handles == before.handles + 2
    assert after.memory_mb > before.memory_mb + 48.0
    assert len(held) == 2**26


def test_a_process_that_has_ended_has_no_state() -> None:
    """A dead child that nobody has waited for yet counts as ended too: the samples of an engine must stop."""
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 20.0
    while state_of(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert state_of(child.pid) is None
    child.wait()
    assert state_of(child.pid) is None


def test_everything_of_a_run_is_killed_and_nothing_else() -> None:
    """A process in a session of its own belongs to the run that started its parent; another run goes on."""

    def run(mark: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", _PARENT]
        started = subprocess.Popen(words, env=os.environ | {MARK: mark}, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        assert started.stdout.readline() == "started\n"
        return started

    one, other = run(f"one-{os.getpid()}"), run(f"other-{os.getpid()}")
    try:
        assert len(marked(f"one-{os.getpid()}")) == 2
        kill_marked(f"one-{os.getpid()}")
        assert one.wait(timeout=20.0) == -9
        assert marked(f"one-{os.getpid()}") == []
        assert len(marked(f"other-{os.getpid()}")) == 2
    finally:
        kill_marked(f"one-{os.getpid()}")
        kill_marked(f"other-{os.getpid()}")
        other.wait(timeout=20.0)
