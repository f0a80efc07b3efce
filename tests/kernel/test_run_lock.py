"""One workflow at a time works on a folder of results."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palpate.errors import InputError
from palpate.run_lock import NAME, lock_results
from tests.conftest import user_environment

HOLD = (
    "import signal, sys, time, pathlib, palpate.run_lock as one\n"
    # Whoever starts the tests in the background has SIGINT ignored, and children inherit it.
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "print(one.lock_results(pathlib.Path(sys.argv[1])), flush=True)\n"
)


def _holding(results: Path, then: str = "time.sleep(60)") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD + then, str(results)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=user_environment(),
    )


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_second_is_told_who_works_there(tmp_path: Path) -> None:
    """Two workflows that write the same files make a mixture of both; the sentence must lead to the other one."""
    first = _holding(tmp_path / "results")
    assert _said(first) == "None"
    held = json.loads((tmp_path / "results" / NAME).read_text())
    with pytest.raises(InputError) as caught:
        lock_results(tmp_path / "results")
    assert f"{held['owner']} started on {socket.gethostname()} at {held['since']}" in str(caught.value)
    first.send_signal(signal.SIGINT)
    first.wait(timeout=30)
    assert not (tmp_path / "results" / NAME).exists()


def test_results_that_cannot_be_written_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only share or a full disk ended the workflow in a traceback before anything had begun."""
    (tmp_path / "file").write_text("mine")
    for results in (tmp_path / "file", tmp_path / "file" / "results"):
        with pytest.raises(InputError, match=r"no folder can be made|expected a folder"):
            lock_results(results)

    def refuses(path: Path, *_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "write_text", refuses)
    with pytest.raises(InputError, match=r"results: found a read-only file system"):
        lock_results(tmp_path / "results")


def test_lock_of_a_dead_workflow_is_taken_over(tmp_path: Path) -> None:
    """A machine that lost power, or a kill -9, leaves the lock; nobody should have to know where it lies."""
    first = _holding(tmp_path)
    _said(first)
    first.kill()
    first.wait(timeout=30)
    assert (tmp_path / NAME).exists()
    second = _holding(tmp_path, "")
    assert "died before it ended" in _said(second)
    assert second.wait(timeout=30) == 0
    assert not (tmp_path / NAME).exists()


def test_of_many_that_take_over_one_wins(tmp_path: Path) -> None:
    """Jobs that a scheduler starts at once all find the same dead lock."""
    dead = _holding(tmp_path)
    _said(dead)
    dead.kill()
    dead.wait(timeout=30)
    many = [_holding(tmp_path) for _ in range(4)]
    try:
        assert len([line for line in map(_said, _in_turn(many)) if line]) == 1
    finally:
        for one in many:
            one.kill()
            one.wait(timeout=30)


def _in_turn(many: list[subprocess.Popen[str]]) -> Iterator[subprocess.Popen[str]]:
    """Those that end first come first; the winner never ends by itself."""
    deadline = time.monotonic() + 120.0
    while sum(one.poll() is not None for one in many) < len(many) - 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield from many


def test_lock_of_an_older_version_is_left_with_advice(tmp_path: Path) -> None:
    """Older versions give no sign of life, so that a living one would look dead; the sentence says what to remove."""
    held = {"owner": "erika", "host": "node7", "since": "2026-01-02 03:04", "pid": 1, "machine": "x", "began": "1"}
    (tmp_path / NAME).write_text(json.dumps(held))
    with pytest.raises(InputError) as caught:
        lock_results(tmp_path)
    assert f"Remove {tmp_path / NAME}" in str(caught.value)
    assert (tmp_path / NAME).exists()


def test_lock_that_holds_no_name_is_not_ignored(tmp_path: Path) -> None:
    """A full disk leaves an empty file; whether somebody works there is then unknown."""
    (tmp_path / NAME).touch()
    with pytest.raises(InputError, match="without a name"):
        lock_results(tmp_path)
