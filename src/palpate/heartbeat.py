"""Heartbeat of a run: the time of its owner file, renewed while it lives, by which other machines see that it does.

The file names the process by the identifier of palpate.leftovers. Where a supervisor waits beside the work it beats,
since the work may hold Python's lock for minutes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

BEAT_S: Final = 15.0
"""Time between two beats, seconds."""


def names(path: Path, who: str) -> bool | None:
    """Return whether an owner file names a process; None where there is no file, or it cannot be read."""
    try:
        return f'"{who}"' in path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def beat_of(path: Path) -> int | None:
    """Return the time of the last beat, nanoseconds of the file system's clock; None where there is no file.

    The file is opened, because network shares otherwise answer from a cache.
    """
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def release(path: Path, who: str) -> None:
    """Remove an owner file if it still names a process."""
    if names(path, who):
        with suppress(OSError):
            path.unlink()


class Heartbeat:
    """Thread that renews the times of owner files.

    Args:
        who: identifier of the process that the files name.
        lost: function that is called with a file, once, when it names another process.
    """

    def __init__(self, who: str, lost: Callable[[Path], None]) -> None:
        self._who = who
        self._lost = lost
        self._paths: set[Path] = set()
        self._thread: threading.Thread | None = None

    def keep(self, path: Path) -> None:
        """Renew the time of an owner file from now on."""
        self._paths.add(path)
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, daemon=True)
            self._thread.start()

    def drop(self, path: Path) -> None:
        """Renew the time of an owner file no longer."""
        self._paths.discard(path)

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT_S):
            for path in tuple(self._paths):
                mine = names(path, self._who)
                if mine:
                    with suppress(OSError):  # the next beat may come through
                        os.utime(path)
                elif mine is not None:
                    self.drop(path)
                    self._lost(path)
