"""Calls for a file's state (stat and its kin) that a start of the workflow makes, counted by strace."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.benchmark_study import CHECKOUT, BenchmarkStudy

_PROFILE: Final = (
    *("--profile", str(CHECKOUT / "workflow" / "profiles" / "slurm")),
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
)
_SBATCH: Final = r"""
import json, os, sys
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "job.json"), "w") as file:
    json.dump({"words": sys.argv[1:], "environment": dict(os.environ)}, file)
sys.exit(1)
"""
_SRUN: Final = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
_SCONTROL: Final = "#!/bin/sh\necho 'AccountingStorageType = accounting_storage/none'; echo 'MinJobAge = 300 sec'\n"
_ENGINE: Final = "snakemake"


@dataclass(frozen=True, slots=True)
class StatCalls:
    """Calls for a file's state in the processes of Snakemake; None where strace is missing or may not watch.

    Attributes:
        plan: calls of a plan of one session on this machine.
        slurm_start: calls of a start under the Slurm profile, up to the first job that is handed over.
        slurm_job: calls of that job, which prepares a session (ingest and mesh), without those of the steps.
    """

    plan: float | None
    slurm_start: float | None
    slurm_job: float | None


def stat_calls(study: BenchmarkStudy) -> StatCalls:
    """Return how often starts of the workflow ask for the state of a file.

    Slurm's programs are replaced: sbatch writes the job down and refuses it, srun runs its command.

    Args:
        study: study of one session that has not begun.
    """
    if shutil.which("strace") is None:
        return StatCalls(None, None, None)
    plan = _counted(study.command("-n", "-q"), study.home, os.environ)
    programs = study.home / "programs"
    _replace_slurm(programs)
    reached = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    start = _counted(study.command(*_PROFILE), study.home, reached, fails=True)
    handed_over = programs / "job.json"
    if not handed_over.exists():
        return StatCalls(plan, start, None)
    job = json.loads(handed_over.read_text(encoding="utf-8"))
    wrapped = next(word for word in job["words"] if word.startswith("--wrap=")).partition("=")[2]
    return StatCalls(plan, start, _counted(shlex.split(wrapped), study.home, job["environment"]))


def _replace_slurm(programs: Path) -> None:
    """Write programs that stand in for Slurm's."""
    programs.mkdir(exist_ok=True)
    texts = {"sbatch": f"#!{sys.executable} -SE\n{_SBATCH}", "srun": _SRUN, "scontrol": _SCONTROL}
    texts |= {"sinfo": "#!/bin/sh\necho 'debug*'\n"}
    texts |= dict.fromkeys(("squeue", "scancel", "sacct", "sacctmgr"), "#!/bin/sh\nexit 0\n")
    for name, text in texts.items():
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(stat.S_IRWXU)


def _counted(words: Sequence[str], home: Path, environment: Mapping[str, str], *, fails: bool = False) -> float | None:
    """Run a command under strace and count the calls of its processes that are Snakemake.

    Args:
        words: words of the command.
        home: folder to start it in.
        environment: its environment.
        fails: whether it is expected to fail.
    """
    told = home / "strace"
    shutil.rmtree(told, ignore_errors=True)
    told.mkdir()
    calls = "trace=%%stat,execve,clone,clone3,fork,vfork"
    watched = ["strace", "-f", "-ff", "--seccomp-bpf", "-qq", "-s", "200", "-e", calls, "-o", str(told / "of")]
    done = subprocess.run([*watched, *words], cwd=home, env=environment, capture_output=True, text=True, check=False)
    traces = {int(path.suffix[1:]): path.read_text(errors="replace") for path in told.iterdir()}
    shutil.rmtree(told)
    if (done.returncode != 0) != fails or not traces:
        print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
        return None
    return float(count_calls(traces, _ENGINE))


def count_calls(traces: Mapping[int, str], program: str) -> int:
    """Return the number of calls for a file's state in threads and processes of one program.

    A process that was started without a program of its own counts as the program that started it.

    Args:
        traces: lines that strace wrote about each thread, by its number.
        program: word that the command of the program contains.
    """
    parents = {
        int(child): thread
        for thread, text in traces.items()
        for child in re.findall(r"^(?:clone|clone3|fork|vfork)\(.*= (\d+)$", text, re.M)
    }

    def command_of(thread: int) -> str:
        own = re.findall(r"^execve\((.*)\) += 0$", traces.get(thread, ""), re.M)
        if own:
            return str(own[-1])
        return command_of(parents[thread]) if thread in parents else ""

    counted = [text for thread, text in traces.items() if program in command_of(thread)]
    return sum(len(re.findall(r"^\w*stat\w*\(", text, re.M)) for text in counted)
