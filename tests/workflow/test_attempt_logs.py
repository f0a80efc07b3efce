"""Each attempt at a step has a log of its own; the step's log leads to the last one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import CHECKOUT

SCRIPT = CHECKOUT / "workflow" / "scripts" / "attempts.sh"


def _logged(log: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'. "{SCRIPT}"; logged "$0" bash -c "$1"', str(log), command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_earlier_attempts_are_kept(tmp_path: Path) -> None:
    """The reason why a step failed at first is lost otherwise, since the next attempt writes over it."""
    log = tmp_path / "a b" / "sub-A_mesh.log"
    log.parent.mkdir()
    for said in ("first", "second", "third"):
        done = _logged(log, f"echo {said} >&2")
        assert done.returncode == 0
        assert said in done.stderr
    texts = [(log.parent / f"sub-A_mesh.attempt-{one}.log").read_text() for one in (1, 2, 3)]
    assert [text.splitlines()[-1] for text in texts] == ["first", "second", "third"]
    assert all(text.startswith(f"palpate: attempt {one} on ") for one, text in enumerate(texts, start=1))
    assert log.readlink() == Path("sub-A_mesh.attempt-3.log")


def test_exit_code_and_output_are_those_of_the_step(tmp_path: Path) -> None:
    """Exit code 2 tells bad input from a failure, and stdout may be read by others."""
    done = _logged(tmp_path / "x.log", "echo answer; echo 'palpate: bad' >&2; exit 2")
    assert (done.returncode, done.stdout, done.stderr) == (2, "answer\n", "palpate: bad\n")


def test_a_log_of_an_earlier_version_is_kept(tmp_path: Path) -> None:
    """It was a file, where there is a link now."""
    (tmp_path / "x.log").write_text("old")
    assert _logged(tmp_path / "x.log", "echo new >&2").returncode == 0
    assert (tmp_path / "x.attempt-0.log").read_text() == "old"
    assert (tmp_path / "x.log").read_text().endswith("new\n")


def test_attempts_at_one_time_have_two_logs(tmp_path: Path) -> None:
    """A job that was given up may still write while the next one runs."""
    log = tmp_path / "x.log"
    done = _logged(log, f'. "{SCRIPT}"; logged "{log}" bash -c "echo inner >&2"; echo outer >&2')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.attempt-2.log").read_text().endswith("inner\n")
    assert set((tmp_path / "x.attempt-1.log").read_text().splitlines()[1:]) == {"inner", "outer"}


def test_no_place_for_logs_is_a_sentence(tmp_path: Path) -> None:
    """A search for a free number must not go on for ever where none can be made."""
    done = _logged(tmp_path / "nowhere" / "x.log", "echo never")
    assert done.returncode == 2
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"palpate: {tmp_path}/nowhere/x.attempt-1.log: found a place where nothing")
