"""Exit of the supervisor: removal of what its worker left behind, and the message to the user."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from palpate.failure_note import leave_note
from palpate.heartbeat import Heartbeat, release
from palpate.launcher import end_other_ranks, launcher_rank, launcher_size
from palpate.leftovers import has_its_name, left_by, owner, sweep_of

_WORDS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal was closed"}
_SHARED: Final = re.compile(r"(/dev/shm/(?:mpich_shm|ucx_shm)_[^\s/]+)$", re.MULTILINE)
_TAKEN_OVER: Final = (
    "palpate: {folder}: found that another run has taken over an output of this one, which gave no sign of life for "
    "too long; expected one run at a time. This run has ended; the other one goes on."
)
_CLEARING_S: Final = 4.0
"""Longest time for which clearing may take before it is left to the next run, seconds."""
_PATIENCE_S: Final = 3.0
"""Time that another rank waits for rank 0 to clear up and print its message, seconds: a launcher kills all other ranks
when one ends."""


@dataclass(slots=True)
class Notices:
    """Files and folders that the worker has reported to the supervisor.

    Attributes:
        who: the worker's identifier, as it occurs in the names of its hidden files.
        writes: folders in which it has written outputs.
        keeps: folders with the finished part of the work, from which the same command goes on.
        finishes: outputs that were about to be renamed to their final names.
        shared: files of memory shared with other ranks, which MPI removes only where it ends in order.
        owns: owner files that name it.
        lost: owner files that came to name another process.
        heartbeat: heartbeat of the owner files.
    """

    who: str
    heartbeat: Heartbeat
    lost: list[Path]
    writes: list[Path] = field(default_factory=list)
    keeps: list[Path] = field(default_factory=list)
    finishes: list[Path] = field(default_factory=list)
    shared: list[Path] = field(default_factory=list)
    owns: list[Path] = field(default_factory=list)
    _unread: bytes = b""

    @classmethod
    def of(cls, worker: int, wake: int) -> Notices:
        """Return empty notices.

        Args:
            worker: number of the process.
            wake: descriptor of a pipe that gets a byte when an owner file is lost.
        """
        who, lost = owner(worker), list[Path]()

        def lose(path: Path) -> None:
            lost.append(path)
            os.write(wake, b"\0")

        return cls(who, Heartbeat(who, lose), lost)

    def taken_over(self) -> Path | None:
        """Return an owner file that another process took over; read the pipe first, as the worker may have freed it."""
        return next((path for path in self.lost if path in self.owns), None)

    def complete(self) -> list[Path]:
        """Return the outputs that are complete and have their final names."""
        return [output for output in self.finishes if has_its_name(output, self.who)]

    def look(self, worker: int) -> None:
        """Record which shared memory the worker holds, while it lives."""
        with suppress(OSError):
            maps = Path(f"/proc/{worker}/maps").read_text(encoding="utf-8", errors="surrogateescape")
            self.shared = [Path(name) for name in set(_SHARED.findall(maps))]

    def read(self, descriptor: int) -> bool:
        """Read the notices that wait in the pipe; return whether more may come."""
        more = True
        with suppress(BlockingIOError):
            while told := os.read(descriptor, 1 << 16):
                self._unread += told
            more = False
        *parts, rest = self._unread.split(b"\0")
        whole = len(parts) - len(parts) % 2
        self._unread = b"\0".join([*parts[whole:], rest])
        for notice, path in zip(parts[:whole:2], parts[1:whole:2], strict=True):
            self._note(notice, Path(os.fsdecode(path)))
        return more

    def _note(self, notice: bytes, place: Path) -> None:
        if notice == b"frees":
            self.heartbeat.drop(place)
            self.owns.remove(place)
            return
        if notice == b"owns":
            self.heartbeat.keep(place)
        places = {b"keeps": self.keeps, b"finishes": self.finishes, b"owns": self.owns}.get(notice, self.writes)
        if place not in places:
            places.append(place)


def leave_after(status: int | None, stop: signal.Signals | None, notices: Notices) -> NoReturn:
    """Clear away what the worker left, say how to go on, and exit.

    Args:
        status: worker's exit status as waitpid returns it; None where the worker did not end.
        stop: the signal that the supervisor was sent; None where the worker ended by itself.
        notices: files and folders that the worker reported.
    """
    lost = notices.taken_over()
    if lost is None and stop is None and status is not None and os.WIFEXITED(status):
        _release(notices)
        _exit(os.WEXITSTATUS(status))  # the worker has spoken, and cleared up behind itself
    if stop is None and status is not None:
        stop = signal.Signals(os.WTERMSIG(status))
    stop = stop or signal.SIGKILL
    complete = notices.complete()  # before clearing gives earlier outputs their names back
    clearing = threading.Thread(target=_clear, args=(notices, complete), daemon=True)
    clearing.start()
    clearing.join(_CLEARING_S)
    sentence, code = _sentence(stop, notices, complete), 128 + stop if stop in _WORDS or stop == signal.SIGKILL else 1
    if lost is not None:
        sentence, code = _TAKEN_OVER.format(folder=lost.parent), 2
    leave_note(code, sentence)
    if launcher_rank() == 0 or stop not in _WORDS:
        _tell(sentence)
    if stop not in _WORDS:  # this rank alone has failed
        end_other_ranks(code, _PATIENCE_S)
    if launcher_rank() != 0:
        time.sleep(_PATIENCE_S)
    _exit(code)


def _release(notices: Notices) -> None:
    for path in notices.owns:
        release(path, notices.who)


def _sentence(stop: signal.Signals, notices: Notices, complete: Sequence[Path]) -> str:
    """Say what happened and how to go on."""
    kept = [folder for folder in notices.keeps if any(one.is_file() for one in folder.rglob("*"))]
    left = [folder for folder in notices.writes if left_by(folder, notices.who)]
    if complete and not left:
        named = " and ".join(str(one) for one in complete)
        go_on = f"{named} {'is' if len(complete) == 1 else 'are'} complete; no partial result is left."
    elif kept:
        go_on = f"what was finished is kept in {kept[0]}: run the same command to go on from there."
    elif left:
        go_on = f"a partial result is left in {left[0]}: the next run that writes there removes it."
    elif launcher_rank() != 0:  # rank 0 writes, and may be killed before it has cleared up
        go_on = "run the same command again."
    else:
        go_on = "no partial result is left."
    if stop in _WORDS:
        return f"palpate: {_WORDS[stop]}; {go_on}"
    step = f"rank {launcher_rank()} of the step" if launcher_size() > 1 else "the step"
    if stop == signal.SIGKILL:
        return f"palpate: the system killed {step}, as it does when memory runs out; {go_on}"
    return f"palpate: {step} crashed ({stop.name}), which is our bug, not your input. Please report it; {go_on}"


def _clear(notices: Notices, complete: Sequence[Path]) -> None:
    """End what the worker started (a compiler, say), and remove what it was writing."""
    until = time.monotonic() + _CLEARING_S
    with suppress(OSError):
        while time.monotonic() < until:  # ends with ECHILD: no children any more
            for child in _children():
                os.kill(child, signal.SIGKILL)
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
    for memory in notices.shared:
        memory.unlink(missing_ok=True)
    for folder in notices.writes:
        sweep_of(folder, notices.who)
    _release(notices)
    for home in notices.keeps:
        if any(home.name == f".unfinished-{output.name}" for output in complete):  # nothing to go on to
            shutil.rmtree(home, ignore_errors=True)
        for kept, _, _ in os.walk(home, topdown=False):
            with suppress(OSError):  # it holds something
                Path(kept).rmdir()


def _children() -> list[int]:
    me = os.getpid()
    return [int(one) for one in Path(f"/proc/{me}/task/{me}/children").read_text(encoding="ascii").split()]


def _tell(sentence: str) -> None:
    with suppress(OSError, ValueError):  # whoever would read it may be gone as well
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # below the line of progress
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()


def _exit(code: int) -> NoReturn:
    os._exit(code)  # nothing here is worth the way through Python's end
