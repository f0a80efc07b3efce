"""Resources that a command used: wall and CPU seconds and peak memory by rank, in a record beside its output.

The record is a hidden file beside the output and not a key of the output's own records, because these are compared by
content: a re-run to the same maps must leave the same bytes (palpate.receipt, palpate.output_marker).
"""

from __future__ import annotations

import json
import os
import resource
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from palpate.bounded_read import read_bounded
from palpate.launcher import launcher_rank
from palpate.leftovers import partial_of
from palpate.progress import detail, duration_text
from palpate.receipt import requested

NAME: Final = ".resources.json"
"""End of the name of the record: it is `.<output>.resources.json` beside the output."""
KEY: Final = "resources"
"""Key of the record."""
RECORDED: Final = (
    *("ingest", "mesh", "invert", "maps", "overlay", "report", "regions", "change"),
    *("tumour", "calibrate", "assimilate", "forecast", "outlook"),
)
"""Commands that leave a record of what they used."""
_BEGAN_S: Final = time.monotonic()


class Communicator(Protocol):
    """Ranks of a job, as mpi4py's communicators are."""

    def allgather(self, sendobj: Any, /) -> list[Any]:  # noqa: ANN401 - whatever can be pickled
        """Return the objects of all ranks on every rank."""


@dataclass(frozen=True, slots=True)
class RankUse:
    """Use of one rank since its process began, with the processes that it started and that have ended.

    Attributes:
        host: name of the machine.
        cpu_s: CPU time, user and system, seconds.
        peak_memory_mb: largest resident size of its largest process, MB of 2^20 bytes.
    """

    host: str
    cpu_s: float
    peak_memory_mb: float


@dataclass(frozen=True, slots=True)
class Use:
    """Use of one command.

    Attributes:
        command: name below palpate.cli, such as "invert".
        finished: end, UTC, ISO 8601.
        wall_s: elapsed time, seconds.
        ranks: use of each rank.
        requested: resources that the workflow reserved, by Snakemake's names, such as mem_mb, runtime (minutes) and
            threads; empty where the command was not started by the workflow.
    """

    command: str
    finished: str
    wall_s: float
    ranks: tuple[RankUse, ...]
    requested: Mapping[str, float] = field(default_factory=dict)

    @property
    def cpu_s(self) -> float:
        """CPU time of all ranks, seconds."""
        return sum(one.cpu_s for one in self.ranks)

    @property
    def peak_memory_mb(self) -> float:
        """Sum of the peaks of all ranks, MB, which a reservation for the whole job must hold."""
        return sum(one.peak_memory_mb for one in self.ranks)

    def as_record(self) -> dict[str, Any]:
        """Return the object under the key `resources`."""
        ranks = [asdict(one) for one in self.ranks]
        return {
            "command": self.command,
            "finished": self.finished,
            "wall_s": round(self.wall_s, 3),
            "ranks": len(ranks),
            "host": [one["host"] for one in ranks],
            "cpu_s": [round(one["cpu_s"], 3) for one in ranks],
            "peak_memory_mb": [round(one["peak_memory_mb"], 1) for one in ranks],
            "requested": dict(self.requested),
        }

    @classmethod
    def of_record(cls, told: Mapping[str, Any]) -> Use:
        """Return the use that an object under the key `resources` states.

        Raises:
            LookupError, TypeError or ValueError: it was not written by `as_record`.
        """
        columns = zip(told["host"], told["cpu_s"], told["peak_memory_mb"], strict=True)
        ranks = tuple(RankUse(str(host), float(cpu), float(memory)) for host, cpu, memory in columns)
        reserved = {str(name): float(value) for name, value in told["requested"].items()}
        finished = datetime.fromisoformat(told["finished"])
        return cls(str(told["command"]), finished.isoformat(), float(told["wall_s"]), ranks, reserved)


_command: list[str] = []
"""Command that this process carries out, if it leaves a record."""
_gathered: list[RankUse] = []
"""Use of all ranks, as it was last gathered."""


def begin(command: str) -> None:
    """Have the output of a command of this process recorded.

    Args:
        command: name below palpate.cli; nothing is recorded for one that is not in RECORDED.
    """
    _command[:] = [command] if command in RECORDED else []
    _gathered.clear()


def own_use() -> RankUse:
    """Return the use of this process so far."""
    own, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu_s = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    peak_kib = max(_peak_kib() or own.ru_maxrss, ended.ru_maxrss)
    return RankUse(socket.gethostname(), cpu_s, peak_kib / 1024.0)


def gather_use(comm: Communicator) -> tuple[RankUse, ...]:
    """Return the use of every rank so far, and keep it for the record; all ranks call this together.

    Args:
        comm: ranks of the job.
    """
    _gathered[:] = comm.allgather(own_use())
    return tuple(_gathered)


def note_use(output: Path) -> None:
    """Write what this process's command used beside its finished output; one rank calls this.

    A record that cannot be written costs nothing but itself.

    Args:
        output: file or folder under its final name.
    """
    if not _command:
        return
    used = _use_now(_command[0])
    detail(
        f"took {duration_text(used.wall_s)}, {used.cpu_s:.0f} s of processor time,"
        f" {max(one.peak_memory_mb for one in used.ranks):.0f} MB at most"
    )
    path = record_path(output)
    partial = partial_of(path)
    try:
        partial.write_text(json.dumps({KEY: used.as_record()}) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        detail(f"the record of the resources used cannot be written ({error.strerror})")
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def record_path(output: Path) -> Path:
    """Return the path of the record of an output.

    Args:
        output: file or folder.
    """
    return output.with_name(record_name(output.name))


def record_name(output: str) -> str:
    """Return the name of the record of an output.

    Args:
        output: name of the file or folder.
    """
    return f".{output}{NAME}"


def read_use(path: Path) -> Use | None:
    """Return what a record states; None where there is none that can be understood.

    Args:
        path: path of the record, as record_path gives it.
    """
    try:
        return Use.of_record(json.loads(read_bounded(path))[KEY])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _use_now(command: str) -> Use:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Use(command, now, time.monotonic() - _BEGAN_S, tuple(_with_own(_gathered)), requested())


def _with_own(gathered: Sequence[RankUse]) -> list[RankUse]:
    """Return the use of all ranks, this rank's own as it is now: it has written the output meanwhile."""
    if len(gathered) <= launcher_rank():
        return [own_use()]
    return [own_use() if rank == launcher_rank() else one for rank, one in enumerate(gathered)]


def _peak_kib() -> int:
    """Return the largest resident size of this process, KiB; 0 where the system does not state it.

    Linux's getrusage would state that of the process which started this one where that is larger.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 - as small as can be
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)
    except (OSError, ValueError, IndexError):
        return 0
