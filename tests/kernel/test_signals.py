"""A command stops within ten seconds of a signal, whatever it does, and says truthfully how to go on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from fifty_signals import Trial, command, signalled, write_waves

from tests.conftest import BIN, run, user_environment

PROMISED_S = 10.0
CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {signal.SIGHUP: "the terminal was closed", signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

STEP = """
import ctypes, os, pathlib, signal, subprocess, sys, time
from palpate import cli

def work(folder):
{work}

def step(**_):
    from palpate.outputs import claim_folder
    with claim_folder(pathlib.Path(sys.argv[1]), "invert", {{}}).writing() as partial:
        (partial / "half").write_text("x")
        work(partial.parent)

def main():
    import palpate.cli.door
    palpate.cli.door.app = step
    print("working", os.getpid(), flush=True)
    cli.door.run()

{before}
from palpate.cli.supervisor import divide
divide()
main()
"""
HOLDS_THE_LOCK = "ctypes.PyDLL(None).sleep(600)"
"""C code that holds Python's global lock, as a factorisation does: no Python runs in the process meanwhile."""


@dataclass(frozen=True)
class Ended:
    """How a step ended, and how long after the signal."""

    code: int
    told: str
    seconds: float


def _stopped(
    work: Sequence[str],
    out: Path,
    stop: signal.Signals | None,
    before: str = "",
    wait_s: float = 0.5,
    awaited: Path | None = None,
) -> Ended:
    """Run a step of some lines as a command, and stop it some moment after it says that it works."""
    script = STEP.format(work="\n".join(f"    {line}" for line in work), before=before)
    process = subprocess.Popen(
        [sys.executable, "-c", script, out],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=user_environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("working")
    time.sleep(wait_s)
    while awaited is not None and not awaited.exists():
        time.sleep(0.1)
    began = time.monotonic()
    if stop is not None:
        process.send_signal(stop)
    _, told = process.communicate(timeout=60.0)
    return Ended(process.returncode, told, time.monotonic() - began)


@pytest.mark.parametrize("stop", CODES)
def test_code_in_c_cannot_delay_the_end(stop: signal.Signals, tmp_path: Path) -> None:
    """Python's own handlers wait until C returns, which a factorisation may do after minutes."""
    ended = _stopped([HOLDS_THE_LOCK], tmp_path / "mre", stop, wait_s=2.0)
    assert ended.code == CODES[stop], ended.told
    assert ended.told == f"palpate: {WORDS[stop]}; no partial result is left.\n"
    assert ended.seconds < PROMISED_S
    assert not list(tmp_path.iterdir())


def test_ignored_interrupt_is_obeyed_and_nohup_respected(tmp_path: Path) -> None:
    """A shell starts background jobs with SIGINT ignored, and nohup with SIGHUP; only the second is a promise."""
    ignored = "for one in (signal.SIGINT, signal.SIGHUP): signal.signal(one, signal.SIG_IGN)"
    assert _stopped([HOLDS_THE_LOCK], tmp_path / "mre", signal.SIGINT, before=ignored, wait_s=2.0).code == 130
    ended = _stopped(["time.sleep(2.0)"], tmp_path / "mre", signal.SIGHUP, before=ignored)
    assert ended.code == 0, ended.told
    assert (tmp_path / "mre" / "half").exists()


def test_handler_of_a_library_is_never_called(tmp_path: Path) -> None:
    """METIS handles SIGTERM itself while it works and crashed; mpiexec hands the signal to every process below it."""
    work = [
        "libc = ctypes.CDLL(None)",
        "for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):",
        "    libc.signal(ctypes.c_int(one), ctypes.cast(libc.abort, ctypes.c_void_p))",
        "for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):",
        "    os.kill(os.getpid(), one)",
        "time.sleep(600)",
    ]
    ended = _stopped(work, tmp_path / "mre", signal.SIGTERM, wait_s=2.0)
    assert (ended.code, ended.told) == (143, "palpate: terminated; no partial result is left.\n")


def test_what_the_step_started_ends_with_it(tmp_path: Path) -> None:
    """A compiler that goes on would write into a cache that the next run reads."""
    work = ["child = subprocess.Popen(['sleep', '600'])", "(folder / 'pid').write_text(str(child.pid))", "child.wait()"]
    assert _stopped(work, tmp_path / "mre", signal.SIGTERM, wait_s=2.0).code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_shared_memory_of_mpi_is_given_back(tmp_path: Path) -> None:
    """MPI removes its memory only where a process ends in order; every stop cost 1 MB until the machine's restart."""
    work = [
        "import palpate.solvers",
        "from mpi4py import MPI",
        "maps = pathlib.Path('/proc/self/maps').read_text().split()",
        "(folder / 'new').write_text(' '.join(one for one in maps if one.startswith('/dev/shm/mpich_shm_')))",
        "os.rename(folder / 'new', folder / 'begun')",
        "time.sleep(600)",
    ]
    ended = _stopped(work, tmp_path / "mre", signal.SIGINT, awaited=tmp_path / "begun")
    assert ended.code == 130
    held = (tmp_path / "begun").read_text().split()
    assert held
    assert not any(Path(memory).exists() for memory in held)


def test_result_that_is_in_place_is_told(tmp_path: Path) -> None:
    """Whoever stops a command that has just finished must not believe that nothing came of it.

    What was kept to go on from has served its turn; an output that another command left is not this one's.
    """
    (tmp_path / "other").mkdir()
    work = [
        "from palpate.leftovers import notify",
        "from palpate.outputs import claim_folder",
        "home = folder / '.unfinished-done'",
        "(home / 'key').mkdir(parents=True)",
        "(home / 'key' / 'zone').write_text('x')",
        "notify('keeps', home)",
        "with claim_folder(folder / 'done', 'mesh', {}).writing() as own: (own / 'mesh').write_text('x')",
        "(folder / 'begun').write_text('x')",
        "time.sleep(600)",
    ]
    ended = _stopped(work, tmp_path / "mre", signal.SIGTERM, awaited=tmp_path / "begun")
    assert ended.code == 143
    assert (
        ended.told.splitlines()[-1]
        == f"palpate: terminated; {tmp_path / 'done'} is complete; no partial result is left."
    )
    assert (tmp_path / "done" / "mesh").exists()
    assert not (tmp_path / ".unfinished-done").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_sentence_names_what_is_kept(finished: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """It claimed that nothing was left beside a folder to go on from; an empty one is no result and goes."""
    work = [
        "from palpate.leftovers import notify",
        "home = folder / '.unfinished-mre'",
        "(home / 'key').mkdir(parents=True)",
        "notify('keeps', home)",
        *(["(home / 'key' / 'zone-0.npz').write_text('x')"] if finished else []),
        "time.sleep(600)",
    ]
    ended = _stopped(work, tmp_path / "mre", signal.SIGTERM, wait_s=2.0)
    home = tmp_path / ".unfinished-mre"
    go_on = f"what was finished is kept in {home}: run the same command to go on from there."
    assert ended.told == f"palpate: terminated; {go_on if finished else 'no partial result is left.'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ([home.name] if finished else [])


@pytest.mark.parametrize(("cause", "code", "sentence"), [("KILL", 137, "memory runs out"), ("SEGV", 1, "our bug")])
def test_worker_that_dies_by_itself(cause: str, code: int, sentence: str, tmp_path: Path) -> None:
    """A system without memory kills without a word; somebody must say so, and clear up. A crash is ours."""
    ended = _stopped([f"os.kill(os.getpid(), signal.SIG{cause})"], tmp_path / "mre", None)
    assert ended.code == code
    assert sentence in ended.told.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_exit_codes_and_words_pass_through(tmp_path: Path) -> None:
    """The supervisor adds nothing to what a command says or prints that nobody stops, alone or on two ranks."""
    done = run("palpate", "mesh", "nosuch", "--out", "out", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    done = run("palpate", "--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("mpiexec", "-n", 2, BIN / "palpate", "invert", "nosuch", "--out", "out", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


@pytest.mark.long
def test_signals_at_random_moments(tmp_path: Path) -> None:
    """Six of the signals of benchmarks/fifty_signals.py, at moments of the start, the imports and the zones' work."""
    wavefield, mesh = write_waves(tmp_path / "wavefield", (6, 5, 5)), tmp_path / "mesh"
    assert run("palpate", "mesh", wavefield, "--out", mesh).returncode == 0
    moments = random.Random(20)
    for number, (stop, ranks) in enumerate([(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGTERM, 2)] * 2):
        trial = Trial(stop, ranks, to_group=number >= 3, after_s=moments.uniform(0.1, 6.0))
        out = tmp_path / f"run-{number}" / "mre"
        ended = signalled(command(wavefield, mesh, out, ranks), trial, out)
        assert ended.finished or ended.code == CODES[stop], (trial, ended)
        assert ended.seconds < PROMISED_S, (trial, ended)
        assert ended.truthful(), (trial, ended)
        assert not ended.alive, (trial, ended)
