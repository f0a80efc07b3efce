"""Launchers of MPI ranks: two ranks are started for real, and say whether they are one world."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from palpate.machine_check.check_line import CheckLine, Verdict
from palpate.machine_check.programs import ProgramAnswer, ask

type ProfileName = Literal["local", "slurm"]

RANKS: Final = 2
MPIEXEC: Final = "mpiexec -genv UCX_TLS self,sm,tcp"
"""Launcher on one machine, as the workflow's rules have it."""
SRUN: Final = "srun --mpi={} --kill-on-bad-exit=1"
_PATIENCE_S: Final = 90.0
_QUEUE_S: Final = 30
"""Longest time that srun waits for a free node outside of a job, seconds."""
_MODULE: Final = "palpate.machine_check.rank_probe"


@dataclass(frozen=True, slots=True)
class LaunchTrial:
    """Trial of one launcher.

    Attributes:
        launcher: command before `-n`.
        ranks: size, rank and sum of ranks as each started process states them.
        complaint: words of a launcher that failed; empty otherwise.
    """

    launcher: str
    ranks: tuple[tuple[int, int, int], ...]
    complaint: str = ""

    @property
    def works(self) -> bool:
        """Whether exactly the ranks that were asked for form one world and reach each other."""
        total = RANKS * (RANKS - 1) // 2
        return sorted(self.ranks) == [(RANKS, rank, total) for rank in range(RANKS)]

    @property
    def outcome(self) -> str:
        """Noun phrase for what came of it."""
        if self.works:
            return f"{RANKS} ranks of one world"
        if self.ranks and all(size == 1 for size, _, _ in self.ranks):
            return f"{len(self.ranks)} unconnected copies instead of {RANKS} ranks"
        return self.complaint or f"answers of {len(self.ranks)} ranks instead of {RANKS}"


def launchers(profile: ProfileName, listed: str = "") -> tuple[str, ...]:
    """Return the launchers to try, the usual one first.

    Args:
        profile: kind of the machine.
        listed: output of `srun --mpi=list`.
    """
    if profile == "local":
        return (MPIEXEC,)
    kinds = [kind for kind in ("pmi2", "pmix") if kind in listed.split()]
    return (*(SRUN.format(kind) for kind in kinds), MPIEXEC)


def trial_of(launcher: str, answer: ProgramAnswer) -> LaunchTrial:
    """Read what started ranks printed.

    Args:
        launcher: command before `-n`.
        answer: answer of the launcher with its ranks.
    """
    ranks = []
    for line in answer.text.splitlines():
        try:
            told = json.loads(line)
            ranks.append((int(told["size"]), int(told["rank"]), int(told["sum"])))
        except (ValueError, TypeError, KeyError):  # words of the launcher
            continue
    return LaunchTrial(launcher, tuple(ranks), "" if answer.code == 0 else answer.complaint)


def launch_facts(profile: ProfileName, launcher: str | None) -> tuple[LaunchTrial, ...]:
    """Start two ranks with one launcher after the other, until one works.

    Args:
        profile: kind of the machine.
        launcher: launcher that was named; None tries the usual ones.
    """
    mpi = ask(["srun", "--mpi=list"]) if profile == "slurm" and launcher is None else ProgramAnswer(None)
    trials: list[LaunchTrial] = []
    for one in launchers(profile, mpi.text + mpi.errors) if launcher is None else (launcher,):
        trials.append(trial_of(one, ask(_command(one), patience_s=_PATIENCE_S)))
        if trials[-1].works:
            break
    return tuple(trials)


def launch_line(trials: Sequence[LaunchTrial]) -> CheckLine:
    """Judge the trials of launchers; the last one works, or none does."""
    last = trials[-1]
    failed = "; ".join(f"{one.launcher}: {one.outcome}" for one in trials if not one.works)
    if last.works and len(trials) == 1:
        return CheckLine("launcher", f"{last.launcher}: {last.outcome}")
    if last.works:
        advice = "Take the profile below, whose launcher works."
        return CheckLine("launcher", f"{failed}; {last.launcher}: {last.outcome}", Verdict.NOTE, advice)
    if any(one.ranks and {size for size, _, _ in one.ranks} == {1} for one in trials):
        advice = "Name a launcher that speaks PMI-2 to the MPI of this environment (--launcher)."
    else:
        advice = "Run this inside a job of 2 tasks (sbatch --ntasks=2), or name the site's launcher (--launcher)."
    if last.launcher == MPIEXEC and len(trials) == 1:
        advice = "Check that mpiexec of this environment is on the PATH and may start processes."
    return CheckLine("launcher", failed, Verdict.MISSING, advice)


def _command(launcher: str) -> list[str]:
    words = shlex.split(launcher)
    if words[0] == "srun" and "SLURM_JOB_ID" not in os.environ:
        words += [f"--immediate={_QUEUE_S}", "--time=2"]
    elif words[0] == "srun":
        words += ["--overlap"]  # the check may itself run in a step that holds all tasks of the job
    return [*words, "-n", str(RANKS), sys.executable, "-m", _MODULE]
