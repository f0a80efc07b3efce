"""Progress on stderr: short lines that read well in a terminal and in a log, from one rank only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from palpate.launcher import launcher_rank

_START = time.monotonic()


class Loudness(IntEnum):
    """Amount of messages about a step that goes well; errors are always printed."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_loudness = Loudness.NORMAL


def set_loudness(loudness: Loudness) -> None:
    """Choose how many messages this process prints.

    Args:
        loudness: amount, from errors alone (-q) to the numbers of every step (-v).
    """
    global _loudness  # noqa: PLW0603 - one process has one stderr
    _loudness = loudness


def loudness() -> Loudness:
    """Return how many messages this process prints."""
    return _loudness


def say(message: str) -> None:
    """Print one line with the seconds since the start to stderr, on rank 0 only. Never name a patient here."""
    if launcher_rank() == 0 and _loudness > Loudness.QUIET:
        _print(f"[{time.monotonic() - _START:7.1f} s] {message}\n")


def _print(text: str) -> None:
    """Print to stderr. A log on a full disk costs its lines, not the work; a reader that has gone ends the step."""
    try:
        print(text, end="", file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        return


def detail(message: str) -> None:
    """Print a line as `say` does, but only with --verbose."""
    if _loudness is Loudness.VERBOSE:
        say(message)


def duration_text(seconds: float) -> str:
    """Return an approximate duration in words: "40 s", "6 min", "2 h 10 min"."""
    if seconds < 55.0:
        return f"{max(5 * round(seconds / 5.0), 5)} s"
    minutes = max(round(seconds / 60.0), 1)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(10 * round(minutes / 10.0), 60)
    return f"{hours} h" + (f" {rest} min" if rest and hours < 10 else "")


@dataclass(slots=True)
class Progress:
    """Counter of finished pieces of a long step.

    A terminal sees one line that updates in place; a log sees a new line at most every `log_every_s` seconds, so that
    thousands of zones do not make thousands of lines.

    Attributes:
        what: the pieces, in words, such as "zones".
        total: number of pieces.
        log_every_s: shortest time between two lines of a log, seconds.
        say: function that makes the line from the numbers of finished and of all pieces; None for "3/10 zones, about 4
            s left".
    """

    what: str
    total: int
    log_every_s: float = 10.0
    say: Callable[[int, int], str] | None = None
    done: int = 0
    _began: float = field(default_factory=time.monotonic)
    _printed: float = field(default_factory=time.monotonic)

    def step(self, count: int = 1) -> None:
        """Count `count` more finished pieces, and show the number if the last line is old enough."""
        self.done += count
        if launcher_rank() != 0 or _loudness is Loudness.QUIET:
            return
        now = time.monotonic()
        finished = self.done >= self.total
        in_place = sys.stderr.isatty()
        pause = 0.2 if in_place else self.log_every_s
        if finished or now - self._printed >= pause:
            self._printed = now
            self._show(now, in_place=in_place, finished=finished)

    def _show(self, now: float, *, in_place: bool, finished: bool) -> None:
        text = f"[{now - _START:7.1f} s] {self._line(now) if self.say is None else self.say(self.done, self.total)}"
        end = "" if in_place and not finished else "\n"
        _print((f"\r{text:<78}" if in_place else text) + end)

    def _line(self, now: float) -> str:
        left = (now - self._began) / max(self.done, 1) * (self.total - self.done)
        return f"{self.done}/{self.total} {self.what}" + (
            f", about {left:.0f} s left" if self.done < self.total else ""
        )


def track[T](items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Pass `items` through while showing how many of `total` are finished."""
    shown = Progress(what, total)
    for item in items:
        yield item
        shown.step()
