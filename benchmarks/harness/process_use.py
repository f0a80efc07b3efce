"""Memory, open files and CPU time of a running process, read from /proc; and the end of all processes of a run."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_MB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20
MARK: Final = "PALPATE_BENCHMARK_RUN"
"""Variable that marks the processes of one run; every process hands it on to those that it starts."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """State of a process at one moment.

    Attributes:
        cpu_s: CPU time of the process and of the processes that it started and that have ended, seconds.
        memory_mb: resident memory, MB of 2^20 bytes.
        handles: number of open files, sockets and pipes.
    """

    cpu_s: float
    memory_mb: float
    handles: int


def state_of(pid: int) -> ProcessState | None:
    """Return the state of a process; None where it has ended.

    Args:
        pid: number of the process.
    """
    place = _PROC / str(pid)
    try:
        # The name of the program stands in brackets and may hold blanks; the fields after it are counted from 3.
        fields = (place / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        handles = len(os.listdir(place / "fd"))  # noqa: PTH208 - names alone are counted
    except OSError:
        return None
    if fields[0] == "Z":
        return None
    cpu_s = sum(map(int, fields[11:15])) * _TICK_S
    return ProcessState(cpu_s, int(fields[21]) * _PAGE_MB, handles)


def kill_marked(mark: str) -> None:
    """Kill every process of a run at once, as a failing machine would: nothing of it can tidy up.

    Args:
        mark: value of the variable MARK in the environment of the run's processes.
    """
    while left := marked(mark):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def marked(mark: str) -> list[int]:
    """Return the living processes whose environment holds the mark, without this one.

    Args:
        mark: value of the variable MARK.
    """
    numbers = [int(place.name) for place in _PROC.iterdir() if place.name.isdigit()]
    return [pid for pid in numbers if pid != os.getpid() and f"{MARK}={mark}".encode() in environment(pid)]


def environment(pid: int) -> list[bytes]:
    """Return the environment of a process; nothing where it has ended or belongs to somebody else.

    Args:
        pid: number of the process.
    """
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []
