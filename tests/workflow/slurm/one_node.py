"""A real Slurm of one node on loopback: started and ended by the tests, for root alone."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

TEMPLATE = Path(__file__).with_name("slurm.conf.in")
SITE = Path("/etc/slurm/slurm.conf")
"""Place of the configuration: jobs lose SLURM_CONF, since the executor removes SLURM's variables."""

MARK = "palpatetest"
MUNGE = Path("/run/munge")
TURN = Path("/tmp/palpate-one-node-slurm.lock")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "munged")


def missing() -> str | None:
    """Return why no cluster can be started here; None where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"no {', '.join(absent)} here (apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "daemons of Slurm start jobs, which needs root"
    if SITE.exists() and f"ClusterName={MARK}" not in SITE.read_text():
        return f"{SITE} belongs to a cluster of this machine"
    return None


def _path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


class OneNode:
    """A cluster of one node.

    Args:
        home: an empty folder for configuration, state and logs.
        cpus: number of processors of the node.
    """

    def __init__(self, home: Path, cpus: int = 2) -> None:
        self._home = home
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("state", "spool", "log"):
            (home / name).mkdir()
        machine_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        port, node_port = _free_ports()
        words = {
            "MARK": MARK,
            "HOME": str(home),
            "PORT": str(port),
            "NODE_PORT": str(node_port),
            "FIRST": str(random.randrange(1, 60_000_000)),
            "CPUS": str(cpus),
            "MEMORY_MB": str(min(8000, machine_mb)),
        }
        text = TEMPLATE.read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        SITE.parent.mkdir(exist_ok=True)
        SITE.write_text(text)

    def __enter__(self) -> Self:
        MUNGE.mkdir(exist_ok=True)
        shutil.chown(MUNGE, "munge", "munge")
        MUNGE.chmod(0o755)
        if not Path("/etc/munge/munge.key").exists():
            subprocess.run(["mungekey", "--create"], check=True)
        self._start("munged", ["runuser", "-u", "munge", "--", "/usr/sbin/munged", "--foreground"])
        wait_for(lambda: _says("munge", "-n"), "munged does not answer")
        self._start("slurmctld", ["slurmctld", "-D", "-c"])
        wait_for(lambda: "UP" in _said("scontrol", "ping"), "slurmctld does not answer")
        self.start_node()
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["scancel", "--signal=KILL", "--full", "--state=RUNNING"], check=False, capture_output=True)
        subprocess.run(["scancel", "--state=PENDING"], check=False, capture_output=True)
        time.sleep(0.5)
        for name in reversed(self._daemons):
            self._end(name)
        SITE.unlink()

    def start_node(self) -> None:
        """Start the node's daemon, and wait until the node takes jobs."""
        self._start("slurmd", ["slurmd", "-D", "-N", "localhost"])
        wait_for(lambda: _said("sinfo", "-h", "-o", "%T").strip() in ("idle", "mixed"), "the node does not become idle")

    @contextmanager
    def drained(self) -> Iterator[None]:
        """Take the node out of service as an administrator does: its jobs go on, and no other one starts."""
        _update_node("State=DRAIN", "Reason=maintenance")
        try:
            yield
        finally:
            _update_node("State=RESUME")

    def stop_node(self) -> None:
        """End the node's daemon, and its jobs with it, as a node that loses its power does."""
        self._end("slurmd")
        running = _of_jobs()
        for pid in [*_watchers(running), *running]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _start(self, name: str, words: list[str]) -> None:
        with (self._home / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=os.environ | {"PATH": _path()},
            )

    def _end(self, name: str) -> None:
        daemon = self._daemons[name]
        daemon.terminate()
        try:
            daemon.wait(timeout=10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(timeout=10)


@contextmanager
def one_node() -> Iterator[OneNode]:
    """Start a cluster and end it; processes of tests take turns, since a machine has room for one.

    Its folder has a short name: Slurm's sockets lie there, whose paths may have 108 characters.
    """
    with TURN.open("w") as turn, TemporaryDirectory(prefix="slurm-", dir="/tmp", ignore_cleanup_errors=True) as home:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with OneNode(Path(home)) as cluster:
            yield cluster


def wait_for(there: Callable[[], object], otherwise: str, seconds: float = 60.0) -> None:
    """Wait until something is there; fail with a sentence where it does not come."""
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)


def queue() -> dict[str, str]:
    """Return the states of all jobs that the cluster remembers, by number."""
    lines = _said("squeue", "--states=all", "-h", "-o", "%i|%T").splitlines()
    return dict(line.split("|") for line in lines)


def rank_processes(command: str = "palpate invert") -> list[int]:
    """Return the processes of a command to which MPI has given a rank in this cluster, in the order of ranks."""
    ranks: dict[int, int] = {}
    for pid in _of_jobs():
        rank = [one for one in _environment(pid) if one.startswith("PMI_RANK=")]
        if rank and command in _words(pid):
            number = int(rank[0].partition("=")[2])
            ranks[number] = max(pid, ranks.get(number, 0))  # the worker, which its supervisor has started
    return [ranks[rank] for rank in sorted(ranks)]


def _update_node(*changes: str) -> None:
    subprocess.run(["scontrol", "update", "NodeName=localhost", *changes], check=True)


def _of_jobs() -> list[int]:
    """Processes of this cluster's jobs; other clusters may run on the machine."""
    everyone = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
    return [pid for pid in everyone if f"SLURM_CLUSTER_NAME={MARK}" in _environment(pid)]


def _watchers(pids: list[int]) -> set[int]:
    """Daemons of Slurm that started these processes and wait for them."""
    parents = {_parent(pid) for pid in pids}
    return {pid for pid in parents if _words(pid).startswith("slurmstepd")}


def _words(pid: int) -> str:
    return _of(pid, "cmdline").replace("\0", " ")


def _environment(pid: int) -> list[str]:
    return _of(pid, "environ").split("\0")


def _parent(pid: int) -> int:
    return int((_of(pid, "stat").rpartition(")")[2].split() or ["", "0"])[1])


def _of(pid: int, file: str) -> str:
    try:
        return Path("/proc", str(pid), file).read_text(errors="replace")
    except OSError:
        return ""


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def _says(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
