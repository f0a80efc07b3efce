"""Outputs that a living process is writing, from the hidden files beside them."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from palpate.leftovers import written_now
from palpate.ownership import DEAD_AFTER_S, owner_file, seen_owner

_OWNER: Final = re.compile(re.escape(owner_file(Path("OUTPUT")).name).replace("OUTPUT", "(?P<output>.+)"))
"""Name of the file by which a run owns an output beside it; the run touches it every few seconds."""


def written_in(folder: Path, names: set[str]) -> set[str]:
    """Return the outputs in a folder that a process of this machine, or one with a heartbeat, is writing.

    Args:
        folder: folder of the outputs.
        names: names in it.
    """
    written = set()
    for hidden in (name for name in names if name.startswith(".")):
        owned = _OWNER.fullmatch(hidden)
        name = owned["output"] if owned and _lives(folder / hidden) else written_now(hidden)
        written |= {name} if name else set()
    return written


def _lives(path: Path) -> bool:
    """Return whether the run that an owner file names lives.

    On this machine its process is looked at: a run that was killed is over at once, and one that was suspended is not.
    Of another machine only the last heartbeat can be seen, as far as the clocks of machines agree.
    """
    owner = seen_owner(path)
    if owner is not None and owner[1] is not None:
        return owner[1]
    try:
        return time.time() - path.stat().st_mtime < DEAD_AFTER_S
    except OSError:
        return False
