"""Disks that are full or read-only: a step of the study on each, and again once the disk has room or may be written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from disturbed.compare import differences, leftovers_in, results_of
from disturbed.study import DisturbedStudy, RuleStage
from disturbed.trial import EndedRun, Way, failures_of, finish, words_of

_PAGE: Final = 4096
_ROOM_FOR_RERUN: Final = 64 << 20
"""Bytes on the disk beside the results, for a step's work in the re-run."""
_BALLAST: Final = ".ballast"


@dataclass(frozen=True, slots=True)
class DiskOutcome:
    """Result of a step on a disk that could not take its output.

    Attributes:
        code: exit code on that disk.
        sentence: last sentence on that disk.
        failures: sentences on what was wrong there or after the re-run.
    """

    code: int
    sentence: str
    failures: tuple[str, ...]


def may_mount() -> bool:
    """Return whether this process may mount file systems."""
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(words, capture_output=True, check=False).returncode == 0


def on_full_disk(
    study: DisturbedStudy, stage: RuleStage, way: Way, share: float, output_bytes: int, expected: dict[str, str]
) -> DiskOutcome:
    """Run a step on a disk with room for a share of its output, then again with room.

    Args:
        study: copy of the study without the step's outputs; it is used up.
        stage: the step.
        way: form in which it is run, "command" or "workflow".
        share: room that is left, as a share of the output.
        output_bytes: size of the output, bytes.
        expected: digests of the undisturbed results.
    """
    with _results_on_a_disk_of_their_own(study):
        _fill(study.results, round(share * output_bytes) // _PAGE * _PAGE)
        before = results_of(study.results)
        first = finish(study, words_of(study, stage, way))
        failures = _wrong(study, first, before)
        (study.results / _BALLAST).unlink()
        again = finish(study, words_of(study, stage, way))
        failures += failures_of(study, again, expected)
    return DiskOutcome(first.code, "".join(first.sentences[-1:]), tuple(failures))


def on_read_only_disk(study: DisturbedStudy, stage: RuleStage, way: Way, expected: dict[str, str]) -> DiskOutcome:
    """Run a step while the results may only be read, then again when they may be written.

    Args:
        study: copy of the study without the step's outputs; it is used up.
        stage: the step.
        way: form in which it is run, "command" or "workflow".
        expected: digests of the undisturbed results.
    """
    before = results_of(study.results)
    subprocess.run(["mount", "--bind", study.results, study.results], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", study.results], check=True)
        first = finish(study, words_of(study, stage, way))
    finally:
        subprocess.run(["umount", "-l", study.results], check=True)
    failures = _wrong(study, first, before)
    failures += failures_of(study, finish(study, words_of(study, stage, way)), expected)
    return DiskOutcome(first.code, "".join(first.sentences[-1:]), tuple(failures))


def _wrong(study: DisturbedStudy, first: EndedRun, before: dict[str, str]) -> list[str]:
    """Return what a run on such a disk did wrong: no sentence, another code, a changed or half-written file."""
    failures = [] if first.code in (1, 2) else [f"exit code {first.code}"]
    failures += [] if first.sentences else [f"no sentence: {first.printed[-500:]}"]
    failures += ["a traceback"] if "Traceback" in first.printed else []
    failures += [f"{name} changed on that disk" for name in differences(results_of(study.results), before)]
    kept = [name for name in leftovers_in(study.results) if ".unfinished-" not in name]
    return failures + [f"{name} is left on that disk" for name in kept]


@contextmanager
def _results_on_a_disk_of_their_own(study: DisturbedStudy) -> Iterator[None]:
    aside = study.home / "results-before"
    study.results.rename(aside)
    study.results.mkdir()
    size = sum(-(-path.stat().st_size // _PAGE) * _PAGE for path in aside.rglob("*") if path.is_file())
    size += _ROOM_FOR_RERUN
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", study.results], check=True)
    try:
        shutil.copytree(aside, study.results, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "-l", study.results], check=True)


def _fill(folder: Path, left_bytes: int) -> None:
    """Fill a disk until some bytes are left."""
    state = os.statvfs(folder)
    with (folder / _BALLAST).open("wb") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, state.f_bavail * state.f_frsize - left_bytes)
