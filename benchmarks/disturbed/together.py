"""Two workflows at once on one folder of results, and a configuration that is edited while its steps wait."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from disturbed.compare import differences, results_of
from disturbed.study import DisturbedStudy, RuleStage
from disturbed.trial import failures_of, finish, signal_all, start, wait_until_gone, words_of


@dataclass(frozen=True, slots=True)
class TogetherOutcome:
    """Result of two runs at once.

    Attributes:
        sentence: sentence with which the second run was refused; empty where both ran.
        failures: sentences on what is wrong.
    """

    sentence: str
    failures: tuple[str, ...]


def two_workflows(
    study: DisturbedStudy, stage: RuleStage, expected: dict[str, str], *, elsewhere: bool
) -> TogetherOutcome:
    """Start a second workflow while the first is at work.

    Args:
        study: copy of the study without the step's outputs; it is used up.
        stage: the step.
        expected: digests of the undisturbed results.
        elsewhere: whether the second one starts in another folder.
    """
    mark = uuid4().hex
    process = start(study, words_of(study, stage, "workflow"), mark, study.home / "first")
    _wait_for((study.results / ".lock.json").exists)
    signal_all(mark, signal.SIGSTOP)  # the first one is at work for as long as the second one takes to start
    words = words_of(study, stage, "workflow")
    if elsewhere:
        words = ["env", "-C", str(_another_folder(study)), *_absolute(study, words)]
    second = finish(study, words)
    signal_all(mark, signal.SIGCONT)
    wait_until_gone(process, mark)
    failures = [] if second.code == 2 else [f"the second workflow ended with {second.code}"]
    failures += [] if any("one workflow at a time" in one for one in second.sentences) else ["no sentence"]
    failures += [] if process.returncode == 0 else [f"the first workflow ended with {process.returncode}"]
    failures += failures_of(study, finish(study, words_of(study, stage, "workflow")), expected)
    return TogetherOutcome("".join(second.sentences[-1:]), tuple(failures))


def two_commands(study: DisturbedStudy, stage: RuleStage, expected: dict[str, str]) -> TogetherOutcome:
    """Start a step's command twice at the same moment, as two people by hand; one may be refused.

    Args:
        study: copy of the study without the step's outputs; it is used up.
        stage: the step.
        expected: digests of the undisturbed results.
    """
    mark, words = uuid4().hex, words_of(study, stage, "command")
    process = start(study, words, mark, study.home / "first")
    second = finish(study, words)
    wait_until_gone(process, mark)
    codes = {process.returncode, second.code}
    failures = [] if 0 in codes and codes <= {0, 2} else [f"exit codes {sorted(codes)}"]
    failures += failures_of(study, finish(study, words), expected)
    told = second.sentences if second.code else [one for one in _lines(study.home / "first") if process.returncode]
    return TogetherOutcome("".join(told[-1:]), tuple(failures))


def edited_while_waiting(
    study: DisturbedStudy, stages: tuple[RuleStage, RuleStage], expected: dict[str, str]
) -> TogetherOutcome:
    """Edit the configuration of a step that waits behind another one, let both end, and go on with either text.

    Args:
        study: copy of the study without the outputs of two steps; it is used up.
        stages: the two steps; the quantities of the derived maps are edited.
        expected: digests of the undisturbed results.
    """
    chosen = study.home / "study.yaml"
    before = chosen.read_text(encoding="utf-8")
    mark, words = uuid4().hex, study.snakemake(targets=[one.target for one in stages])
    process = start(study, words, mark, study.home / "first")
    _wait_for((study.results / ".lock.json").exists)
    chosen.write_text(json.dumps(json.loads(before) | {"derived": {"quantities": ["magnitude"]}}), encoding="utf-8")
    wait_until_gone(process, mark)
    failures = [] if process.returncode == 0 else [f"the edited workflow ended with {process.returncode}"]
    failures += [f"{one} follows the edit" for one in differences(results_of(study.results), expected)]
    edited = finish(study, words)
    if edited.code or not list(study.results.rglob("*_stat-mean_magnitude.nii.gz")):
        failures.append(f"the next run does not follow the edit: {edited.printed[-400:]}")
    chosen.write_text(before, encoding="utf-8")
    failures += failures_of(study, finish(study, words), expected)
    return TogetherOutcome("", tuple(failures))


def _wait_for(there: Callable[[], bool], patience_s: float = 300.0) -> None:
    until = time.monotonic() + patience_s
    while not there():
        if time.monotonic() > until:
            raise TimeoutError("a workflow did not take its lock")
        time.sleep(0.02)


def _another_folder(study: DisturbedStudy) -> Path:
    folder = study.home / "elsewhere"
    folder.mkdir()
    return folder


def _absolute(study: DisturbedStudy, words: list[str]) -> list[str]:
    """Return a command line that means the same files from any folder."""
    relative = {"study.yaml", "sessions=patient/sessions.tsv", "results=results"}
    home = study.home.absolute()
    return [
        one.replace("=", f"={home}/")
        if one in relative and "=" in one
        else f"{home}/{one}"
        if one in relative or one.startswith("results/")
        else one
        for one in words
    ]


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if line.startswith("palpate: ")]
