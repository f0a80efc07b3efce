"""The process that waits beside the work, so that a command can be stopped at any moment, whatever it does.

The command line divides itself in two before anything heavy is loaded: the worker does the step, the supervisor waits.
A signal to stop (Ctrl-C, a cluster's SIGTERM) ends the worker at once, by the system and not by an exception: libraries
in C neither see an exception in the middle of a call nor have to return before one is raised. The supervisor then
clears away what the worker was writing, says in one sentence how to go on, and leaves with 128 + the signal's number.

Only Python's smallest modules are imported up to there. Before that, a signal meets Python itself and ends it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from typing import Final, NoReturn

_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REAPING_S: Final = 3.0
"""Time that the worker is given to end after SIGKILL, seconds; it takes longer where its disk does not answer."""
_SUBREAPER: Final = 36
_PARENT_DIES: Final = 1
"""Options of Linux's prctl: become the parent of orphans below; get a signal when the parent ends."""


def divide() -> None:
    """Divide this process: the worker returns from here, the supervisor never does.

    Where that is not safe (this process has threads or MPI already, as under a test), it returns undivided.
    """
    if not _divisible():
        return
    awake, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    heard, tell = os.pipe2(os.O_CLOEXEC)
    # A background job of a shell inherits an ignored SIGINT; whoever sends it to palpate means it all the same.
    # An ignored SIGHUP is nohup's promise.
    stops = [one for one in _STOPS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
    for one in (*stops, signal.SIGCHLD):
        signal.signal(one, lambda *_: None)  # the number in the pipe says what to do
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    _prctl(_SUBREAPER, 1)
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    supervisor = os.getpid()
    worker = os.fork()
    if worker == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A terminal's Ctrl-C and a launcher's SIGTERM go to both; the supervisor must see what the worker holds first.
        # They stay blocked in the worker, since ignoring them is not enough: METIS, which orders the unknowns of a
        # factorisation, installs a handler of its own for SIGTERM, jumps out of its work and crashes afterwards.
        for one in stops:
            signal.signal(one, signal.SIG_IGN)
        for descriptor in (awake, wake, heard):
            os.close(descriptor)
        _prctl(_PARENT_DIES, signal.SIGKILL)
        if os.getppid() != supervisor:  # it ended before it was watched
            os._exit(128 + signal.SIGKILL)
        _work(tell)
        return
    os.close(tell)
    os.set_blocking(heard, False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
    _supervise(worker, (awake, wake), heard, stops)


def _work(tell: int) -> None:
    """Make this process the worker, which tells the supervisor where it writes, and us where it crashes."""
    import faulthandler

    from palpate.leftovers import report_to

    faulthandler.enable()
    report_to(tell)


def _supervise(worker: int, waking: tuple[int, int], heard: int, stops: Sequence[signal.Signals]) -> NoReturn:
    """Wait for the worker or for a signal, and leave as one of the two demands."""
    from palpate.cli.supervisor_exit import Notices, leave_after

    awake, wake = waking
    notices = Notices.of(worker, wake)
    listening = [awake, heard]
    while True:
        ready, _, _ = select.select(listening, [], [])
        if heard in ready and not notices.read(heard):
            listening.remove(heard)
        received = os.read(awake, 1 << 10) if awake in ready else b""
        stop = next((one for one in stops if one in received), None)
        notices.read(heard)
        ends = stop is not None or notices.taken_over() is not None
        if ends:
            notices.look(worker)
            os.kill(worker, signal.SIGKILL)
        status = _ended(worker, _REAPING_S if ends else 0.0)
        if ends or status is not None:
            notices.read(heard)
            leave_after(status, stop, notices)


def _ended(worker: int, patience_s: float) -> int | None:
    """Return the status with which the worker ended; None where it has not within some seconds."""
    until = time.monotonic() + patience_s
    while True:
        ended, status = os.waitpid(worker, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() >= until:
            return None
        time.sleep(0.01)


def _divisible() -> bool:
    """Return whether this process can be divided: one thread, nothing loaded that does not survive it."""
    if "mpi4py" in sys.modules or not hasattr(signal, "set_wakeup_fd") or not sys.platform.startswith("linux"):
        return False
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - pathlib is not loaded yet
    except OSError:
        return False


def _prctl(option: int, argument: int) -> None:
    """Ask Linux for a favour; where it refuses, a killed supervisor may leave its worker running."""
    import ctypes

    ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)
