"""Owner files: records of who writes an output or works on results, by which a second run is refused.

An owner file names the account, machine, process and scheduler's job of a run, and when it started. Its time is the
run's heartbeat (palpate.heartbeat). Whether an owner lives is never told by comparing clocks:

    on the same machine     by its process and that process's start, which no change of the clock moves
    on another machine      by watching: an owner without a beat for DEAD_AFTER_S of this process's own time is dead

The file of a dead owner is taken over, and that is said.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from palpate import leftovers
from palpate.bounded_read import read_bounded
from palpate.errors import InputError
from palpate.heartbeat import Heartbeat, beat_of, release
from palpate.machine_failures import make_parent, on_this_machine
from palpate.progress import duration_text, say

DEAD_AFTER_S: Final = 120.0
"""Time without a heartbeat after which an owner on another machine counts as dead, seconds: eight beats."""

_JOBS: Final = (
    ("SLURM_JOB_ID", "Slurm job"),
    ("PBS_JOBID", "PBS job"),
    ("LSB_JOBID", "LSF job"),
    ("JOB_ID", "job"),
)
"""Variables with the number of a scheduler's job, and its name in words."""

_held: set[Path] = set()
"""Owner files that name this process."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Run that writes an output, or workflow that works on results.

    Attributes:
        what: "run" or "workflow".
        owner: name of the account.
        host: name of the machine.
        since: start, local time.
        pid: number of the process.
        job: scheduler's job in words, such as "Slurm job 17"; empty where there is none.
        who: identifier of the process (palpate.leftovers), which tells it from every other one of every machine.
    """

    what: str
    owner: str
    host: str
    since: str
    pid: int
    job: str
    who: str

    @property
    def words(self) -> str:
        """Phrase that names the account, the machine, the start, the process and the job."""
        job = f", {self.job}" if self.job else ""
        return f"the {self.what} that {self.owner} started on {self.host} at {self.since} (process {self.pid}{job})"


def owner_file(output: Path) -> Path:
    """Return the owner file of an output, which lies beside it."""
    return output.with_name(f".owner-{output.name}.json")


@contextmanager
def owning(output: Path) -> Iterator[None]:
    """Keep other runs off an output while the block runs; a block inside a block changes nothing. One rank alone.

    Args:
        output: the folder or file, absolute; it need not exist.

    Raises:
        InputError: another run writes it, or nothing can be written there.
    """
    path = owner_file(output)
    if path in _held:
        yield
        return
    if told := take(path, output, "run"):
        say(told)
    try:
        yield
    finally:
        give_back(path)


def take(path: Path, place: Path, what: str) -> str | None:
    """Make an owner file that names this process, and renew its heartbeat from now on.

    Args:
        path: owner file.
        place: output or results that it belongs to, for messages.
        what: "run" or "workflow".

    Returns:
        A sentence where a dead owner's file was taken over, otherwise None.

    Raises:
        InputError: another owner lives, or nothing can be written there.
    """
    me = this_process(what)
    make_parent(path)
    leftovers.sweep(path.parent)
    told = None
    while not _taken(path, me, place):
        owner = _read(path)
        if owner is None:  # it ended meanwhile, or is about to write its name
            if not path.exists():
                continue
            advice = f"Remove {path} if no {what} writes there, and start again."
            raise _refusal(place, what, "a lock of another version of palpate, or without a name", advice)
        if _lives(owner, path):
            raise _refusal(place, what, owner.words, "Wait until it has ended, or end it first.")
        if _discard(path, owner):
            leftovers.sweep_of(place.parent, owner.who)
            told = f"{owner.words} died before it ended; its lock is taken over."
    _held.add(path)
    leftovers.notify("owns", path)
    if not leftovers.is_supervised():
        _heartbeat().keep(path)
    return told


def give_back(path: Path) -> None:
    """Remove an owner file that names this process."""
    _held.discard(path)
    leftovers.notify("frees", path)  # before the file goes, so that nobody takes the next owner's for a loss
    if not leftovers.is_supervised():
        _heartbeat().drop(path)
    release(path, leftovers.owner(os.getpid()))


def this_process(what: str) -> Owner:
    """Return this process as an owner.

    Args:
        what: "run" or "workflow".
    """
    since, pid = datetime.now().strftime("%Y-%m-%d %H:%M"), os.getpid()
    job = next((f"{words} {os.environ[name]}" for name, words in _JOBS if os.environ.get(name)), "")
    return Owner(what, _account(), socket.gethostname(), since, pid, job, leftovers.owner(pid))


def seen_owner(path: Path) -> tuple[Owner, bool | None] | None:
    """Return the owner that a file names, and whether its process lives; None where there is no such file.

    Args:
        path: owner file.

    Returns:
        The owner, and whether its process lives: None where it cannot be seen from this machine.
    """
    owner = _read(path)
    if owner is None:
        return None
    ended = leftovers.has_ended(owner.who)
    return owner, None if ended is None else not ended


def _refusal(place: Path, what: str, found: str, advice: str) -> InputError:
    expected = "one workflow at a time on these results" if what == "workflow" else "one run at a time on this output"
    return InputError(place, found=found, expected=expected, advice=advice)


def _lives(owner: Owner, path: Path) -> bool:
    ended = leftovers.has_ended(owner.who)
    return _beats(owner, path) if ended is None else not ended


def _beats(owner: Owner, path: Path) -> bool:
    """Watch for a beat of an owner on another machine; it may take as long as an owner may be silent."""
    first, until = beat_of(path), time.monotonic() + DEAD_AFTER_S
    say(f"watching up to {duration_text(DEAD_AFTER_S)} for a sign of life of {owner.words}")
    while time.monotonic() < until:
        now = beat_of(path)
        if now is None:  # it has ended
            return False
        if now != first:
            return True
        time.sleep(min(1.0, DEAD_AFTER_S / 10.0))
    return False


def _taken(path: Path, me: Owner, place: Path) -> bool:
    """Return whether this process made the file; whoever comes second fails to."""
    partial = _hidden(path)
    try:
        with on_this_machine(place):
            partial.write_text(json.dumps(asdict(me)))
        os.link(partial, path)  # with its content, so that nobody reads half a name
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        return _made(path, me)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _made(path: Path, me: Owner) -> bool:
    try:
        with path.open("x") as stream:
            stream.write(json.dumps(asdict(me)))
        return True
    except FileExistsError:
        return False


def _discard(path: Path, owner: Owner) -> bool:
    """Remove the file of a dead owner; of two that try, one removes it and the other nothing else."""
    aside = _hidden(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    if _read(aside) != owner:  # somebody took it over meanwhile
        aside.rename(path)
        return False
    aside.unlink()
    return True


def _hidden(path: Path) -> Path:
    """Return a hidden name for an owner file for a moment; where this process is killed then, `sweep` clears it."""
    return leftovers.partial_of(path.with_name(f"{path.name}.{os.urandom(4).hex()}"))


def _read(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(read_bounded(path)))
    except (OSError, ValueError, TypeError):
        return None


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        return f"user {os.getuid()}"


@cache
def _heartbeat() -> Heartbeat:
    """Return the heartbeat of a process without a supervisor, such as a script or the workflow."""
    return Heartbeat(leftovers.owner(os.getpid()), _say_loss)


def _say_loss(path: Path) -> None:
    sys.stderr.write(f"palpate: {path} names another owner: this process gave no sign of life for too long. Stop it.\n")
