"""Sentences about jobs that failed on a cluster, from what Snakemake, Slurm and the steps have logged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from palpate.cluster.endings import CANCELLED, KILLED, UNKNOWN, ending_of

_TIME: Final = re.compile(r"^\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}\]", re.MULTILINE)
"""Time that Snakemake prints before each event."""

_MESSAGE: Final = re.compile(
    r"^ +message: (?P<words>(?:SLURM|Error in group).*?)(?=\n +(?:jobid|log|jobs|input|output|sbatch call):)",
    re.M | re.S,
)
_NUMBER: Final = re.compile(r"SLURM-job '(\d+)'|/(\d+)\.log\b")
"""Number of the job; where several steps share one, its log alone names it."""

_REFUSAL: Final = re.compile(r"The error message was '(?P<words>.*?)'\.", re.DOTALL)
_RULE: Final = re.compile(r"^ *(?:Error in )?rule (?P<name>\w+):", re.MULTILINE)
_LOGS: Final = re.compile(r"^ +log: (?P<paths>.*?)(?: \(check log file\(s\) for error details\))?$", re.MULTILINE)
_OF: Final = re.compile(r"(?P<subject>sub-[0-9A-Za-z]+(?:_ses-[0-9A-Za-z]+)?)_(?P<rule>\w+)\.log")
_OURS: Final = re.compile(r"^(?:.*?: )?palpate: (?!attempt \d|terminated|interrupted)(?P<words>\S.*)$", re.MULTILINE)
_WRONG_INPUT: Final = "; expected "
_MOST_READ: Final = 1 << 20


class _Step(NamedTuple):
    """Step of a job, the subject that it is of, its log and what that says; no log where the step never began."""

    rule: str
    subject: str
    log: str
    text: str

    @property
    def words(self) -> str:
        return f"{self.rule} of {self.subject}" if self.subject else self.rule


def told_of_failures(printed: str) -> tuple[str, ...]:
    """Return a sentence for each job that failed on the cluster, with its step, cause, remedy and log.

    Args:
        printed: log of Snakemake of this run.

    Returns:
        For each step the sentence of its last attempt, in the order of first failures; none where the run was stopped.
    """
    told: dict[str, str] = {}
    for block in _TIME.split(printed):
        message = _MESSAGE.search(block)
        if message:
            logs = [path for line in _LOGS.findall(block) for path in line.split(", ")]
            job = next((one or other for one, other in _NUMBER.findall(" ".join([message["words"], *logs]))), "")
            for step in _steps(block, logs, job):
                told |= {step.words: _sentence(step, message["words"], logs, job)}
    return tuple(told.values())


def _sentence(step: _Step, message: str, logs: Sequence[str], job: str) -> str:
    of_slurm = [_end_of(path) for path in logs if not _OF.search(path)]
    ending = ending_of([message, step.text, *of_slurm])
    refusal = _REFUSAL.search(message)
    filled = {
        "rule": step.rule,
        "memory": "mem_mb_per_cpu" if step.rule == "invert" else "mem_mb",
        "words": " ".join(refusal["words"].split()) if refusal else "",
    }
    told = f"{ending.sentence}. {ending.advice}".format(**filled)
    own = _OURS.findall(step.text)
    if own and ending in (CANCELLED, KILLED, UNKNOWN):
        complete = _WRONG_INPUT in own[-1] or ending is UNKNOWN
        told = own[-1] if complete else f"{own[-1]} {ending.advice}" if ending is KILLED else told
    where = f" Log: {_attempt(step.log) if step.log else ', '.join(logs)}" if logs else ""
    return f"{step.words}{f' (Slurm job {job})' if job else ''}: {told}{where}"


def _steps(block: str, logs: Sequence[str], job: str) -> list[_Step]:
    """Steps of a job that failed: those that say why, else the one that began last, else one that did not begin."""
    texts = {log: _end_of(log) for log in logs if _OF.search(log)}
    began = [log for log, text in texts.items() if job and f"Slurm job {job}," in text]
    said = [log for log in began if _OURS.search(texts[log])]
    newest = sorted(began, key=lambda path: Path(path).stat().st_mtime)[-1:]
    rules = _RULE.findall(block)
    named = _OF.search(next(iter(texts), ""))
    unknown = _Step(rules[0] if rules else "a step", named["subject"] if named else "", "", "")
    return [_Step(*_rule_and_subject(log), log, texts[log]) for log in said or newest] or [unknown]


def _rule_and_subject(log: str) -> tuple[str, str]:
    named = _OF.search(log)
    return (named["rule"], named["subject"]) if named else ("a step", "")


def _attempt(log: str) -> Path:
    """Log of the attempt that a step's log leads to, by the path that the user knows."""
    path = Path(log)
    return path.with_name(path.readlink().name) if path.is_symlink() else path


def _end_of(path: str) -> str:
    """End of a log, with its first line, which names the attempt."""
    try:
        with Path(path).open("rb") as stream:
            first = stream.readline(1024)
            stream.seek(max(stream.tell(), Path(path).stat().st_size - _MOST_READ))
            return (first + stream.read(_MOST_READ)).decode(errors="replace")
    except OSError:
        return ""
