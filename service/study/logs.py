"""Logs of steps: the newest attempt of each, and how it ended."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TAIL: Final = 16384
"""Length of a log's end that is read, bytes: a traceback before the sentence is no longer."""
_LONGEST: Final = 400
"""Longest sentence that is shown, characters."""
_ATTEMPT: Final = re.compile(r"(?P<step>.+?)(?:\.attempt-(?P<number>[0-9]+))?\.log")
_BEGAN: Final = re.compile(r"palpate: attempt [0-9]+ on ")
"""First line of an attempt's log, which is no error."""
_SAID: Final = "palpate: "
_CLOCK: Final = re.compile(r"^\[ *[0-9.]+ s\] ")
_ABSOLUTE: Final = re.compile(r"""(?<![\w.~])/[^\s;:,'"]+""")


@dataclass(frozen=True, slots=True)
class LogEnd:
    """End of the log of a step.

    Attributes:
        error: sentence with which the command refused or failed; empty where there is none.
        last: last line, without its time; empty where there is none.
        changed_s: time of the last change, seconds since the epoch.
        attempt: number of the attempt; 0 where the log does not say.
    """

    error: str
    last: str
    changed_s: float
    attempt: int


class StepLogs:
    """Logs of a folder of results; the folder is listed once, and a log is read when it is asked for.

    Args:
        results: folder of results, with the folder logs/.
    """

    def __init__(self, results: Path) -> None:
        self._folder = results / "logs"
        self._results = results
        self._newest = _newest(self._folder)

    def end_of(self, step: str) -> LogEnd | None:
        """Return the end of the newest log of a step; None where there is none.

        Args:
            step: name of the log without its ending, such as "sub-01_ses-01_invert".
        """
        if step not in self._newest:
            return None
        attempt, name = self._newest[step]
        try:
            with (self._folder / name).open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                stream.seek(max(size - _TAIL, 0))
                text = stream.read(_TAIL).decode("utf-8", errors="replace")
                changed_s = os.fstat(stream.fileno()).st_mtime
        except OSError:
            return None
        lines = [line for line in re.split(r"[\r\n]+", text) if line.strip() and not _BEGAN.match(line)]
        errors = [line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)]
        error, last = errors[-1] if errors else "", lines[-1] if lines else ""
        return LogEnd(self._without_places(error), self._without_places(_CLOCK.sub("", last)), changed_s, attempt)

    def _without_places(self, line: str) -> str:
        """Return a line with paths below the results alone: the folder of a scan is often named after the patient."""
        where, found, rest = line.partition(": found ")
        if found and "/" in where:
            own = f"{self._results}/"
            where = where.removeprefix(own) if where.startswith(own) else "an input"
        text = " ".join(_ABSOLUTE.sub("…", f"{where}{found}{rest}").split())
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _newest(folder: Path) -> Mapping[str, tuple[int, str]]:
    """Return the number of the newest attempt at each step, and the name of its log."""
    newest: dict[str, tuple[int, str]] = {}
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a path object for each of 80,000 logs would take seconds
    except OSError:
        return newest
    for name in names:
        if (found := _ATTEMPT.fullmatch(name)) is not None:
            attempt = (int(found["number"] or 0), name)
            newest[found["step"]] = max(attempt, newest.get(found["step"], attempt))
    return newest
