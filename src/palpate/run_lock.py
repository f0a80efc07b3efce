"""Lock that admits one workflow at a time to a folder of results, wherever it is started from.

Snakemake's own lock lies in the working directory, so that two workflows which start in different places do not notice
each other. This lock lies in the results.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from palpate.ownership import Owner, give_back, seen_owner, take

NAME = ".lock.json"
"""Name of the lock in the results."""


def lock_results(results: Path) -> str | None:
    """Keep other workflows off a folder of results until this process ends.

    Args:
        results: the folder; it is made where it is missing.

    Returns:
        A sentence where the lock of a dead workflow was taken over, otherwise None.

    Raises:
        InputError: another workflow works there, or nothing can be written there.
    """
    path = results / NAME
    told = take(path, results, "workflow")
    atexit.register(_release, path, os.getpid())
    return told


def workflow_on(results: Path) -> tuple[Owner, bool | None] | None:
    """Return the workflow that a folder of results is locked by, and whether it runs; None where there is no lock.

    Args:
        results: the folder.

    Returns:
        The owner of the lock, and whether its process lives: None where it cannot be seen from this machine.
    """
    return seen_owner(results / NAME)


def _release(path: Path, process: int) -> None:
    if os.getpid() == process:  # not in a process that was divided from it
        give_back(path)
