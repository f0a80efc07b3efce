"""Folder of the results and folder for temporary files: what their file systems can do, and their room."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.leftovers import partial_of
from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.mounts import SHARED, file_system, mounts_here
from palpate.machine_check.quota import quota_left

GB: Final = 10**9
SESSION_GB: Final = 1.0
"""Room for a session of a whole brain at 2 mm: joint draws 0.4 GB, the rest maps, DICOM and unfinished steps."""
SCRATCH_GB: Final = 2.0
"""Room for temporary files: an unpacked archive of images, and the compiler's."""
_LEAST_GB: Final = 0.1


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """Folder as this machine sees it.

    Attributes:
        path: the folder, or the nearest one above that exists.
        kind: name of its file system; empty where it is unknown.
        free: room that is left, bytes.
        quota: room that the user's quota leaves, bytes; None where it is unknown.
        writing: reason for which no file can be written and renamed there; empty without one.
        locking: reason for which no file can be locked there; empty without one.
    """

    path: Path
    kind: str
    free: int
    quota: int | None = None
    writing: str = ""
    locking: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether the file system is of a kind that several machines see."""
        return self.kind.startswith(SHARED)

    @property
    def room(self) -> int:
        """Room for new files, bytes."""
        return self.free if self.quota is None else min(self.free, self.quota)


def folder_facts(folder: Path) -> FolderFacts:
    """Try a folder with a hidden file that is locked, renamed and removed.

    Args:
        folder: the folder; where it does not exist, the nearest one above is tried.
    """
    folder = folder.expanduser().absolute()
    here = next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))
    kind = file_system(here.resolve(), mounts_here())
    try:
        free = shutil.disk_usage(here).free
    except OSError:
        free = 0
    return FolderFacts(here, kind, free, quota_left(here, kind), _why_not(_renamed, here), _why_not(_locked, here))


def results_line(facts: FolderFacts, sessions: int | None) -> CheckLine:
    """Judge the folder of results: it can be written, and has room for the study.

    Args:
        facts: the folder.
        sessions: number of sessions of the study; None where it is unknown.
    """
    found = _found(facts)
    if facts.writing:
        return CheckLine("results", f"{found}: {facts.writing}", Verdict.MISSING, _ELSEWHERE)
    if facts.room < SESSION_GB * GB:
        advice = f"Make room: a session of a whole brain takes up to {SESSION_GB:g} GB."
        return CheckLine("results", found, Verdict.MISSING, advice)
    if sessions is not None and facts.room < sessions * SESSION_GB * GB:
        advice = f"{sessions} whole brains take up to {sessions * SESSION_GB:g} GB; make room, or run them in parts."
        return CheckLine("results", found, Verdict.NOTE, advice)
    return CheckLine("results", f"{found}, written, renamed and {'not ' if facts.locking else ''}locked there")


def scratch_line(facts: FolderFacts) -> CheckLine:
    """Judge the folder for temporary files."""
    found = _found(facts)
    if facts.writing or facts.room < _LEAST_GB * GB:
        found += f": {facts.writing}" if facts.writing else ""
        return CheckLine("scratch", found, Verdict.MISSING, "Set TMPDIR to a folder of your own with room.")
    if facts.room < SCRATCH_GB * GB:
        advice = f"Archives of images are unpacked there: have {SCRATCH_GB:g} GB, or set TMPDIR to another folder."
        return CheckLine("scratch", found, Verdict.NOTE, advice)
    return CheckLine("scratch", found)


_ELSEWHERE: Final = "Name results on a file system that this machine can write (results in config.yaml)."


def _found(facts: FolderFacts) -> str:
    of_quota = "" if facts.quota is None else f", {facts.quota / GB:.1f} GB of your quota"
    return f"{facts.path} ({facts.kind or 'unknown file system'}), {facts.free / GB:.1f} GB free{of_quota}"


def _why_not(trial: Callable[[Path], None], folder: Path) -> str:
    """Return why a trial failed; empty where it did not."""
    try:
        trial(folder)
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


def _renamed(folder: Path) -> None:
    first, second = (partial_of(folder / f"palpate-check-{number}") for number in (1, 2))
    try:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
        first.replace(second)
    finally:
        for one in (first, second):
            one.unlink(missing_ok=True)


def _locked(folder: Path) -> None:
    probe = partial_of(folder / "palpate-check-lock")
    try:
        with probe.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        probe.unlink(missing_ok=True)
