"""One disturbed step of the study: start it, kill it at a moment, run it again and compare the results."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, Literal
from uuid import uuid4

from disturbed.compare import differences, leftovers_in, results_of
from disturbed.study import CHECKOUT, DisturbedStudy, RuleStage

MARK: Final = "PALPATE_DISTURBED"
"""Environment variable by which every process of a trial is found, whatever its parent or group."""
PATIENCE_S: Final = 1800.0
"""Longest wait for a run, or for processes that outlive a kill, seconds."""
_HANGS: Final = 124
"""Exit code of a run that did not end."""
_AT_WORK: Final = ("one run at a time on this output", "one workflow at a time on these results")

type Way = Literal["command", "workflow"]
type Victims = Literal["group", "one"]


@dataclass(frozen=True, slots=True)
class EndedRun:
    """End of one run.

    Attributes:
        code: exit code; 128 + n where signal n ended the process itself.
        printed: text on stdout and stderr.
        seconds: elapsed time, seconds.
    """

    code: int
    printed: str
    seconds: float

    @property
    def sentences(self) -> list[str]:
        """Lines in which palpate says why it ended."""
        return [line for line in self.printed.splitlines() if line.startswith("palpate: ")]


@dataclass(frozen=True, slots=True)
class KillOutcome:
    """Result of one kill.

    Attributes:
        victim: name of the victim: "group", or the name of the one process.
        moment: moment of the kill as a share of the undisturbed duration.
        refused: whether the re-run was refused while a process of the killed run was still at work, and was repeated.
        failures: sentences on what differs from the undisturbed study; empty where nothing does.
    """

    victim: str
    moment: float
    refused: bool
    failures: tuple[str, ...]


def words_of(study: DisturbedStudy, stage: RuleStage, way: Way) -> list[str]:
    """Return the command line of a step: its shell command as the workflow runs it, or the workflow with its output.

    Args:
        study: the study.
        stage: the step.
        way: "command" for the step's shell command alone, "workflow" for snakemake.
    """
    if way == "workflow":
        return study.snakemake(targets=(stage.target,))
    attempts = CHECKOUT / "workflow" / "scripts" / "attempts.sh"
    return ["bash", "-c", f"set -euo pipefail; . {attempts}; {stage.shell}"]


def start(study: DisturbedStudy, words: Sequence[str], mark: str, out: Path) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own; it prints into a file, since a dead reader would end it.

    Args:
        study: the study in which it works.
        words: command line.
        mark: text by which the processes of the run are found.
        out: file for what it prints.
    """
    with out.open("wb") as stream:
        return subprocess.Popen(
            list(words),
            cwd=study.home,
            env=study.environment({MARK: mark}),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            process_group=0,
        )


def finish(study: DisturbedStudy, words: Sequence[str]) -> EndedRun:
    """Run a command to its end."""
    out, began, mark = study.home / "printed", time.monotonic(), uuid4().hex
    process = start(study, words, mark, out)
    try:
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        _send(sorted(marked(mark)), signal.SIGKILL)
        process.wait()
        code = _HANGS
    printed = out.read_text(encoding="utf-8", errors="replace")
    return EndedRun(code if code >= 0 else 128 - code, printed, time.monotonic() - began)


def marked(mark: str) -> dict[int, str]:
    """Return the living processes of a run and their command lines."""
    found = {}
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if words:  # a zombie has none
                    found[int(folder.name)] = words
        except OSError:
            continue
    return found


def signal_all(mark: str, number: signal.Signals) -> None:
    """Send a signal to all processes of a run."""
    _send(sorted(marked(mark)), number)


def kill(process: subprocess.Popen[bytes], mark: str, victims: Victims, generator: Random) -> str | None:
    """Kill all processes of a run or one of them, without a warning.

    Args:
        process: the run's first process.
        mark: text by which the others are found.
        victims: processes to kill, "group" for all or "one" at random.
        generator: generator that chooses.

    Returns:
        Name of the victim; None where the run had ended.
    """
    living = marked(mark)
    if process.poll() is not None or not living:
        return None
    chosen = sorted(living) if victims == "group" else [generator.choice(sorted(living))]
    if victims == "group":
        _send(chosen, signal.SIGSTOP)  # none may see another one die
        chosen = sorted(marked(mark))
    _send(chosen, signal.SIGKILL)
    return "group" if victims == "group" else _name(living[chosen[0]])


def wait_until_gone(process: subprocess.Popen[bytes], mark: str) -> bool:
    """Wait for all processes of a run; return whether they ended, and kill those that did not."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if process.poll() is not None and not marked(mark):
            return True
        time.sleep(0.05)
    _send(sorted(marked(mark)), signal.SIGKILL)
    process.wait()
    return False


def killed_once(
    study: DisturbedStudy,
    stage: RuleStage,
    way: Way,
    victims: Victims,
    *,
    seconds: float,
    moment: float,
    generator: Random,
    expected: dict[str, str],
) -> KillOutcome | None:
    """Kill a step once, run it again and compare.

    Args:
        study: copy of the study without the step's outputs; it is used up.
        stage: the step.
        way: form in which it is run, "command" or "workflow".
        victims: processes to kill, "group" or "one".
        seconds: duration of the step when nobody disturbs it, seconds.
        moment: moment of the kill as a share of that.
        generator: generator that chooses the victim.
        expected: digests of the undisturbed results.

    Returns:
        The outcome; None where the step had ended before the moment.
    """
    words, mark = words_of(study, stage, way), uuid4().hex
    process = start(study, words, mark, study.home / "killed")
    until = time.monotonic() + moment * seconds
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    victim = kill(process, mark, victims, generator)
    if victim is None:
        wait_until_gone(process, mark)
        return None
    again = finish(study, words)
    refused = again.code != 0 and any(one in again.printed for one in _AT_WORK)
    failures = [] if wait_until_gone(process, mark) else [f"processes lived on for {PATIENCE_S:g} s"]
    if refused and victims == "group":
        failures.append("the re-run was refused although every process was dead")
    if refused:
        again = finish(study, words)
    failures += failures_of(study, again, expected)
    return KillOutcome(victim, moment, refused, tuple(failures))


def failures_of(study: DisturbedStudy, again: EndedRun, expected: dict[str, str]) -> list[str]:
    """Return what is wrong after a re-run: its exit code, results that differ, files that are left.

    Args:
        study: the study.
        again: the re-run.
        expected: digests of the undisturbed results.
    """
    if again.code:
        return [f"the re-run ended with {again.code}: {' '.join(again.sentences[-1:]) or again.printed[-500:]}"]
    other = differences(results_of(study.results), expected)
    left = leftovers_in(study.results)
    return [f"{name} differs" for name in other] + [f"{name} is left" for name in left]


def _send(processes: Sequence[int], number: signal.Signals) -> None:
    for one in processes:
        try:
            os.kill(one, number)
        except ProcessLookupError:
            continue


def _name(words: str) -> str:
    """Return a short name of a process: its program and, for palpate, the command."""
    parts = [Path(one).name for one in words.split(" ")[:4]]
    for program in ("snakemake", "palpate"):
        if program in parts:
            return " ".join(parts[parts.index(program) :][: 2 if program == "palpate" else 1])
    return parts[0]
