"""Clocks that jump: a step whose clock is days or years off, and files with times of the past and of the future."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final
from uuid import uuid4

from disturbed.compare import leftovers_in
from disturbed.study import DisturbedStudy, RuleStage
from disturbed.trial import failures_of, finish, kill, start, wait_until_gone, words_of

LIBRARY: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""Library of Debian's package libfaketime, which moves the clock of a process."""
DAY_S: Final = 86400.0
_REFUSES: Final = 2
"""Exit code of a sentence."""
JUMPS_DAYS: Final = (-365, -1, 1, 365)


@dataclass(frozen=True, slots=True)
class ClockOutcome:
    """Result of one jump of the clock.

    Attributes:
        failures: sentences on what is wrong.
    """

    failures: tuple[str, ...]


def with_clock_off(study: DisturbedStudy, stage: RuleStage, days: int, expected: dict[str, str]) -> ClockOutcome:
    """Run a step through the workflow with its clock off, then plan everything with the right clock.

    Files keep the times of the right clock, as those of a file server do.

    Args:
        study: copy of the study without the step's outputs; it is used up.
        stage: the step.
        days: error of the clock, days.
        expected: digests of the undisturbed results.
    """
    faked = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{days:+d}d", "NO_FAKE_STAT": "1"}
    first = finish(
        study, ["env", *(f"{name}={value}" for name, value in faked.items()), *words_of(study, stage, "workflow")]
    )
    if first.code == _REFUSES and first.sentences:  # dates of the table lie in the future of a clock that is behind
        first = finish(study, words_of(study, stage, "workflow"))
    failures = failures_of(study, first, expected)
    return ClockOutcome((*failures, *_planned(study)))


def with_times_moved(study: DisturbedStudy, days: int, generator: Random, expected: dict[str, str]) -> ClockOutcome:
    """Move the times of all results of a finished study, each by up to so many days, and plan everything.

    Args:
        study: copy of the finished study; it is used up.
        days: largest shift, days; all files are moved by it, or each by a part of it.
        generator: generator of the parts.
        expected: digests of the undisturbed results.
    """
    move_times(study.results, days, generator)
    again = finish(study, study.snakemake())
    failures = failures_of(study, again, expected)
    if "Nothing to be done" not in again.printed:
        failures.append("a step ran again")
    return ClockOutcome(tuple(failures))


def killed_before_a_jump(
    study: DisturbedStudy, stage: RuleStage, days: int, seconds: float, expected: dict[str, str]
) -> ClockOutcome:
    """Kill a step, move the times of all that it left by days, run it again.

    Args:
        study: copy of the study without the step's outputs; it is used up.
        stage: the step.
        days: shift, days; what the step left seems to be of the past or of the future.
        seconds: duration of the step when nobody disturbs it, seconds.
        expected: digests of the undisturbed results.
    """
    generator, mark = Random(days), uuid4().hex
    words = words_of(study, stage, "workflow")
    process = start(study, words, mark, study.home / "killed")
    time.sleep(0.8 * seconds)
    kill(process, mark, "group", generator)
    wait_until_gone(process, mark)
    move_times(study.results, days, None)
    left = leftovers_in(study.results)
    return ClockOutcome(
        tuple(f"{one} (left were {left})" for one in failures_of(study, finish(study, words), expected))
    )


def move_times(results: Path, days: int, generator: Random | None) -> None:
    """Move the times of all files and folders, by so many days or by random parts of them."""
    for path in (results, *results.rglob("*")):
        if not path.is_symlink():
            shift_s = days * DAY_S * (generator.random() if generator else 1.0)
            os.utime(path, times=(path.stat().st_atime, path.stat().st_mtime + shift_s))


def _planned(study: DisturbedStudy) -> list[str]:
    again = finish(study, study.snakemake("-n"))
    return [] if "Nothing to be done" in again.printed else [f"a step would run again: {again.printed[-800:]}"]
