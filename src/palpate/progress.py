"""Progress on stderr: short lines that read well in a terminal and in a log, from one rank only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_START = time.monotonic()
_RANK_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_SIZE_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def launcher_rank() -> int:
    """This process's MPI rank as its launcher states it; 0 without a launcher. Does not initialise MPI."""
    return _first_integer(_RANK_VARIABLES, 0)


def launcher_size() -> int:
    """The number of MPI ranks as the launcher states it; 1 without a launcher. Does not initialise MPI."""
    return _first_integer(_SIZE_VARIABLES, 1)


def _first_integer(names: tuple[str, ...], default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), default)


def say(message: str) -> None:
    """Print one line with the seconds since the start to stderr, on rank 0 only. Never name a patient here."""
    if launcher_rank() == 0:
        print(f"[{time.monotonic() - _START:7.1f} s] {message}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Progress:
    """Counts finished pieces of a long step.

    A terminal sees one line that updates in place; a log sees a new line at most every `log_every_s` seconds, so that
    thousands of zones do not make thousands of lines.

    Attributes:
        what: what is being counted, such as "zones".
        total: how many pieces there are.
        log_every_s: shortest time between two lines of a log, seconds.
    """

    what: str
    total: int
    log_every_s: float = 10.0
    done: int = 0
    _began: float = field(default_factory=time.monotonic)
    _printed: float = field(default_factory=time.monotonic)

    def step(self, count: int = 1) -> None:
        """Count `count` more finished pieces and show them where it is time to."""
        self.done += count
        if launcher_rank() != 0:
            return
        now = time.monotonic()
        finished = self.done >= self.total
        in_place = sys.stderr.isatty()
        pause = 0.2 if in_place else self.log_every_s
        if finished or now - self._printed >= pause:
            self._printed = now
            self._show(now, in_place=in_place, finished=finished)

    def _show(self, now: float, *, in_place: bool, finished: bool) -> None:
        elapsed = now - self._began
        left = elapsed / max(self.done, 1) * (self.total - self.done)
        text = f"[{now - _START:7.1f} s] {self.done}/{self.total} {self.what}"
        text += "" if finished else f", about {left:.0f} s left"
        end = "" if in_place and not finished else "\n"
        print(f"\r{text:<78}" if in_place else text, end=end, file=sys.stderr, flush=True)


def track[T](items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Pass `items` through while showing how many of `total` are finished."""
    shown = Progress(what, total)
    for item in items:
        yield item
        shown.step()
