"""Quota of a user on a file system, as far as a program of the system knows it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from palpate.machine_check.programs import ask

_KIB: Final = 1024


def quota_left(folder: Path, kind: str) -> int | None:
    """Return the room that the user's quota leaves, bytes; None where there is no quota or nobody tells.

    Args:
        folder: folder on the file system.
        kind: name of the file system.
    """
    if kind == "lustre":
        answer = ask(["lfs", "quota", "-q", "-u", str(os.getuid()), str(folder)])
    else:
        answer = ask(["quota", "-w", "-p", "-f", str(folder)])
    return left_of(answer.text)


def left_of(text: str) -> int | None:
    """Return the room that a table of quota(1) or of lfs leaves, bytes; None where it states no limit.

    Both state, in a row, the file system, blocks of 1 KiB in use (with an asterisk when over), soft and hard limit.

    Args:
        text: the table, without the file system's name on a line of its own.
    """
    for line in text.splitlines():
        cells = line.split()
        used, soft, hard = (cell.rstrip("*") for cell in (cells[1:4] if len(cells) >= 4 else ("", "", "")))
        if not (used.isdigit() and soft.isdigit() and hard.isdigit()):
            continue
        limits = [int(limit) for limit in (soft, hard) if int(limit)]
        if limits:
            return max(0, min(limits) - int(used)) * _KIB
    return None
