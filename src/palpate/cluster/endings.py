"""Ways in which a cluster ends a job, recognised by what Slurm and launchers print, each with a sentence and advice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Ending:
    """Way in which a job ends.

    Attributes:
        name: short name, as docs/cluster.md lists it.
        pattern: regular expression of what is printed where a job ends so.
        sentence: end of the job in words, to go behind the name of the step.
        advice: remedy, in words.
    """

    name: str
    pattern: re.Pattern[str] = field(repr=False)
    sentence: str
    advice: str


MEMORY: Final = Ending(
    "memory",
    re.compile(r"exceeded (?:job )?memory limit|oom.?kill|OUT_OF_MEMORY|out.of.memory", re.IGNORECASE),
    "it took more memory than it had asked for, and Slurm ended it",
    "Start again with more: in the profile, under set-resources, {rule}:{memory}=MB; or take more ranks.",
)
TIME: Final = Ending(
    "time",
    re.compile(r"DUE TO TIME LIMIT|status is: '(?:TIMEOUT|DEADLINE)'"),
    "it reached its time limit, and Slurm ended it",
    "Start again with more: in the profile, under set-resources, {rule}:runtime=MINUTES. An inversion goes on.",
)
NODE: Final = Ending(
    "node",
    re.compile(r"DUE TO NODE FAILURE|status is: '(?:NODE_FAIL|BOOT_FAIL)'"),
    "its node failed",
    "Start again; name a node to keep away from with --slurm-exclude-failed-nodes NODE.",
)
CANCELLED: Final = Ending(
    "cancelled",
    re.compile(r"\*\*\* JOB \d+ ON \S+ CANCELLED AT|status is: 'CANCELLED"),
    "it was cancelled",
    "Start again; what is finished is kept, and an inversion goes on where it was.",
)
LAUNCHER: Final = Ending(
    "launcher",
    re.compile(r"unsupported PMI version|Invalid MPI type|Couldn't find the specified plugin name for mpi", re.I),
    "the launcher does not speak to this MPI",
    "Choose another one: in the profile, under set-resources, {rule}:mpi=...; docs/cluster.md lists them.",
)
KILLED: Final = Ending(
    "rank killed",
    re.compile(
        r"srun: error: .*: tasks? [\d,-]+: "
        r"(?:Killed|Terminated|Segmentation|Bus error|Aborted|Exited with exit code 1[34]\d)"
        r"|BAD TERMINATION"
    ),
    "a process of it was killed, and the launcher ended the others",
    "Start again; an inversion goes on where it was. If it happens again, ask for more memory.",
)
REFUSED: Final = Ending(
    "refused",
    re.compile(r"SLURM sbatch failed"),
    "Slurm refused it: {words}",
    "Ask for what the site has: memory, time, ranks, partition and account are in the profile.",
)
UNKNOWN: Final = Ending(
    "unknown",
    re.compile(""),
    "it failed",
    "Its logs say more.",
)
ENDINGS: Final = (REFUSED, MEMORY, TIME, NODE, LAUNCHER, CANCELLED, KILLED, UNKNOWN)
"""All endings. The first whose pattern is found is the cause: one way to end leaves traces of those behind it."""


def ending_of(texts: Sequence[str]) -> Ending:
    """Return how a job ended.

    Args:
        texts: output about the job, of Snakemake, Slurm and the step.
    """
    return next(ending for ending in ENDINGS if any(ending.pattern.search(text) for text in texts))
