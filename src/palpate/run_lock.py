"""Lock that admits one workflow at a time to a folder of results, wherever it is started from.

Snakemake's own lock lies in the working directory, so that two workflows which start in different places do not notice
each other. This lock lies in the results.
"""

from __future__ import annotations

import atexit
import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from palpate.bounded_read import read_bounded
from palpate.errors import InputError
from palpate.machine_failures import make_parent, on_this_machine

NAME = ".lock.json"
"""Name of the lock in the results."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Workflow that holds a lock.

    Attributes:
        owner: name of the account.
        host: name of the machine.
        since: start of the workflow, local time.
        pid: number of its process.
        machine: host, boot of the machine, and namespace of process numbers; equal where this process can see the
            holder's process.
        began: start of the process, in clock ticks after the boot; it distinguishes the process from a later one of
            the same number.
    """

    owner: str
    host: str
    since: str
    pid: int
    machine: str
    began: str

    @property
    def words(self) -> str:
        """Phrase that names the account, the machine and the start of the workflow that holds the lock."""
        return f"the workflow that {self.owner} started on {self.host} at {self.since}"


def lock_results(results: Path) -> str | None:
    """Keep other workflows off a folder of results until this process ends.

    Args:
        results: the folder; it is made where it is missing.

    Returns:
        A sentence where the lock of a dead workflow was taken over, otherwise None.

    Raises:
        InputError: another workflow works there, or may do so on another machine, or nothing can be written there.
    """
    path = results / NAME
    me = _myself()
    make_parent(path)
    told = None
    while not _taken(path, me):
        holder = _holder(path)
        if holder is None:  # it ended meanwhile, or is about to write its name
            if not path.exists():
                continue
            raise _refusal(path, "a lock without a name", f"Remove {path} if no workflow runs there, and start again.")
        if holder.machine != me.machine:
            advice = f"If it no longer runs there, remove {path} and start again."
            raise _refusal(path, holder.words, f"Wait until it has ended. {advice}")
        if _runs(holder):
            raise _refusal(path, holder.words, "Wait until it has ended, or end it first.")
        _discard(path, holder)
        told = f"{holder.words} died before it ended; its lock is taken over."
    atexit.register(_release, path, me)
    return told


def workflow_on(results: Path) -> tuple[Holder, bool | None] | None:
    """Return the workflow that a folder of results is locked by, and whether it runs; None where there is no lock.

    Args:
        results: the folder.

    Returns:
        The holder of the lock, and whether its process lives: None where it cannot be seen from this machine.
    """
    holder = _holder(results / NAME)
    if holder is None:
        return None
    return holder, (_runs(holder) if holder.machine == _machine() else None)


def _refusal(path: Path, found: str, advice: str) -> InputError:
    return InputError(path.parent, found=found, expected="one workflow at a time on these results", advice=advice)


def _taken(path: Path, me: Holder) -> bool:
    """Return whether this process made the lock; whoever comes second fails to."""
    partial = path.with_name(f"{NAME}.{me.pid}.{os.urandom(4).hex()}")
    with on_this_machine(path.parent):
        partial.write_text(json.dumps(asdict(me)))
    try:
        os.link(partial, path)  # with its content, so that nobody reads half a name
        return True
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        return _made(path, me)
    finally:
        partial.unlink(missing_ok=True)


def _made(path: Path, me: Holder) -> bool:
    try:
        with path.open("x") as stream:
            stream.write(json.dumps(asdict(me)))
        return True
    except FileExistsError:
        return False


def _discard(path: Path, holder: Holder) -> None:
    """Remove the lock of a dead process; of two that try, one removes it and the other nothing else."""
    aside = path.with_name(f"{NAME}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _holder(aside) != holder:  # somebody took it over meanwhile
        aside.rename(path)
        return
    aside.unlink()


def _release(path: Path, me: Holder) -> None:
    if os.getpid() == me.pid and _holder(path) == me:
        path.unlink(missing_ok=True)


def _holder(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(read_bounded(path)))
    except (OSError, ValueError, TypeError):
        return None


def _myself() -> Holder:
    since = datetime.now().strftime("%Y-%m-%d %H:%M")
    return Holder(_owner(), socket.gethostname(), since, os.getpid(), _machine(), _began(os.getpid()))


def _owner() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in a container
        return f"user {os.getuid()}"


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def _began(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, LookupError):
        return ""


def _runs(holder: Holder) -> bool:
    return _began(holder.pid) == holder.began
