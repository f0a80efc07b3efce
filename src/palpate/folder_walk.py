"""Walk over the files of a user's folder: in the order of names, through links to folders, each folder once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from palpate.system_files import is_system_file

type Opening = Callable[[PurePosixPath], AbstractContextManager[None]]
"""Context in which the folder of a name, inside the one that is walked, is opened; it may turn errors into others."""

HIDDEN: Final = "hidden file or folder"
"""Reason to leave out what begins with a dot."""
SYSTEM_FILE: Final = "file that an operating system left behind"
"""Reason to leave out what palpate.system_files knows."""
_AGAIN: Final = "folder that a link leads to a second time"
_DANGLING: Final = "link without target"
_IRREGULAR: Final = "no regular file"


@dataclass(frozen=True, slots=True)
class WalkedEntry:
    """Entry of a folder or of a folder below.

    Attributes:
        path: path on disk.
        name: path inside the folder that is walked.
        left_out: reason to leave it, and all below it, out; empty for a file to be read.
    """

    path: Path
    name: PurePosixPath
    left_out: str = ""


def walk_folder(folder: Path, opening: Opening = lambda _: nullcontext()) -> Iterator[WalkedEntry]:
    """Yield the files below a folder, and what is left out with the reason, in an order that no disk determines.

    Links may lead back, or to one folder by many ways: whatever way comes first is taken, the others are left out.

    Args:
        folder: folder to walk.
        opening: context in which each folder is opened.

    Raises:
        OSError: a folder may not be read, unless `opening` raises another error in its place.
    """
    yield from _below(WalkedEntry(folder, PurePosixPath()), opening, set())


def _below(here: WalkedEntry, opening: Opening, seen: set[tuple[int, int]]) -> Iterator[WalkedEntry]:
    """Yield what is below a folder that a walk meets, unless it met this folder before."""
    with opening(here.name):
        status = here.path.stat()
        paths = sorted(here.path.iterdir())
    if (status.st_dev, status.st_ino) in seen:
        yield replace(here, left_out=_AGAIN)
        return
    seen.add((status.st_dev, status.st_ino))
    for path in paths:
        entry = WalkedEntry(path, here.name / path.name)
        if path.name.startswith("."):
            yield replace(entry, left_out=HIDDEN)
        elif is_system_file(path.name):
            yield replace(entry, left_out=SYSTEM_FILE)
        elif path.is_dir():
            yield from _below(entry, opening, seen)
        elif path.is_file():
            yield entry
        else:
            yield replace(entry, left_out=_IRREGULAR if path.exists() else _DANGLING)
