"""Cost of the workflow around the steps: per session, at a start, for a study of thousands, and for one that goes on.

Sessions are copies of one tiny wave field (7 x 7 x 7 voxels) under labels of their own, so that a step's own work is as
small as it can be and the cost around it is seen. Measured in CPU seconds of whole process trees, since the wall time
depends on who else uses the machine:

    overhead = CPU of everything - CPU that the steps' own records state    (.resources.json, docs/files.md)

A step's record counts from the start of its work to its output; Python's start before it and its exit count as
overhead. Planning is `snakemake -n` of sessions that have not begun, and of a finished study: sessions whose results
are links to those of one session, as a copied study is. Calls that ask for a file's state (stat and its kin) are
counted by strace where it is there, over the start of a plan of one session.

    python benchmarks/study.py --out folder [--sessions 100] [--planned 1000 10000] [--ranks 2] [--short]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.record import Row, write_record
from worlds.lesion_block import Lesion, waves_through
from worlds.noise import write_noisy

from palpate.resources import read_use

CHECKOUT: Final = Path(__file__).resolve().parents[1]
QUICK: Final = {"fit_prior": False, "max_iterations": 3, "hessian_rank": 40, "samples": 40}
PLANNING_GOAL: Final = {1000: "<= 15"}
"""Goals for the CPU seconds of a plan, by number of sessions."""
_STEPS: Final = 5
"""Steps of a session without DICOM, anatomy and labels."""


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One run of the workflow.

    Attributes:
        cpu_s: CPU time of the whole process tree, seconds.
        wall_s: elapsed time, seconds.
        printed: text that it printed.
    """

    cpu_s: float
    wall_s: float
    printed: str


class BenchmarkStudy:
    """Study of equal sessions in a folder.

    Args:
        home: folder of the study; it is made.
        wavefield: folder of the wave field that every session has.
        labels: labels of the subjects.
    """

    def __init__(self, home: Path, wavefield: Path, labels: Sequence[str]) -> None:
        home.mkdir(parents=True)
        self.home, self.results, self.labels = home, home / "results", labels
        rows = [f"{label}\t01\t{wavefield.resolve()}" for label in labels]
        (home / "sessions.tsv").write_text("\n".join(["subject\tsession\tmre", *rows]) + "\n", encoding="utf-8")
        chosen = {"inversion": QUICK, "report": {"viewer": False}}
        (home / "study.yaml").write_text(json.dumps(chosen), encoding="utf-8")

    def command(self, *arguments: str) -> list[str]:
        """Return the words of snakemake with further arguments."""
        program = [str(Path(sys.executable).with_name("snakemake")), "-s", str(CHECKOUT / "Snakefile")]
        config = ["--configfile", "study.yaml", "--config", "sessions=sessions.tsv", "results=results"]
        return [*program, *arguments, *config]

    def run(self, *arguments: str) -> WorkflowRun:
        """Run the workflow; a failure ends the benchmark with what it printed."""
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(self.command(*arguments), cwd=self.home, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        printed = done.stdout + done.stderr
        if done.returncode:
            sys.exit(printed[-4000:])
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return WorkflowRun(cpu_s, time.perf_counter() - began, printed)

    def steps_cpu_s(self) -> float:
        """Return the CPU time that the records of all steps state, seconds."""
        used = [read_use(path) for path in self.results.glob("sub-*/ses-*/.*.resources.json")]
        return sum(one.cpu_s for one in used if one is not None)

    def fill(self, finished: Path) -> None:
        """Make all sessions finished: links to the files of a session that is, under its names.

        Args:
            finished: folder of the finished session.
        """
        for one in self.labels:
            to = self.results / f"sub-{one}" / "ses-01"
            shutil.copytree(finished, to, copy_function=os.link, ignore=shutil.ignore_patterns(".snakemake*"))


def numbered(count: int) -> list[str]:
    """Return labels of so many subjects."""
    return [f"{number:05d}" for number in range(count)]


def stat_calls(study: BenchmarkStudy) -> int | None:
    """Return how often a plan asks for the state of a file; None where strace is missing or may not watch.

    Args:
        study: study to plan.
    """
    if shutil.which("strace") is None:
        return None
    told = study.home / "strace"
    watched = ["strace", "-f", "-c", "-e", "trace=%%stat", "-o", str(told)]
    done = subprocess.run([*watched, *study.command("-n", "-q")], cwd=study.home, capture_output=True, check=False)
    calls = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?\w*stat\w*$", told.read_text(), re.M)
    return sum(map(int, calls)) if done.returncode == 0 and calls else None


def real_rows(study: BenchmarkStudy, ranks: int) -> tuple[list[Row], list[str]]:
    """Run all sessions of a study, and once more, when nothing may run; return the figures and notes.

    Args:
        study: study to run.
        ranks: cores.
    """
    count = len(study.labels)
    first = study.run(f"-c{ranks}")
    steps_s = study.steps_cpu_s()
    again = study.run(f"-c{ranks}")
    ran_again = 0 if "Nothing to be done" in again.printed else 1
    over_s = first.cpu_s - steps_s
    rows = [
        Row(f"overhead a session, of {count} sessions", "CPU s", over_s / count, None),
        Row("overhead over the CPU of the steps", "%", 100.0 * over_s / steps_s, None),
        Row("the steps of a session", "CPU s", steps_s / count, None),
        Row("finished study, started again: steps that run", "", float(ran_again), None, goal="<= 0"),
        Row("finished study, started again", "CPU s", again.cpu_s, None),
    ]
    notes = [f"{count} sessions of {_STEPS} steps: {first.wall_s:.0f} s, {first.cpu_s:.0f} s of CPU, on {ranks} cores."]
    return rows, notes


def planning_rows(out: Path, wavefield: Path, count: int, finished: Path) -> list[Row]:
    """Plan sessions that have not begun, and a finished study; return the figures.

    Args:
        out: folder for the studies.
        wavefield: wave field of every session.
        count: number of sessions.
        finished: folder of a finished session.
    """
    new = BenchmarkStudy(out / f"new-{count}", wavefield, numbered(count))
    goal = PLANNING_GOAL.get(count, "")
    rows = [Row(f"plan of {count} sessions, not begun", "CPU s", new.run("-n", "-q").cpu_s, None, goal=goal)]
    done = BenchmarkStudy(out / f"done-{count}", wavefield, numbered(count))
    done.fill(finished)
    first, second = done.run("-n"), done.run("-n")
    assert "Nothing to be done" in second.printed, second.printed[-2000:]
    rows.append(Row(f"plan of {count} finished sessions", "CPU s", second.cpu_s, None, goal=goal))
    rows.append(Row(f"plan of {count} finished sessions, first after a copy", "CPU s", first.cpu_s, None))
    return rows


def main() -> None:
    """Run the sessions, plan the larger studies, count the calls of a start; write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for data and results")
    parser.add_argument("--sessions", type=int, default=100, help="sessions that are run")
    parser.add_argument("--planned", type=int, nargs="*", default=[1000, 10000], help="sessions that are planned")
    parser.add_argument("--ranks", type=int, default=2, help="cores")
    parser.add_argument("--short", action="store_true", help="2 sessions, 5 planned; the record stays in --out")
    chosen = parser.parse_args()
    began = time.perf_counter()
    sessions, planned = (2, [5]) if chosen.short else (chosen.sessions, chosen.planned)
    wavefield = chosen.out / "wavefield"
    write_noisy(waves_through(Lesion(6.0, 1.0, voxels=7)), wavefield, 2.0, seed=1)
    study = BenchmarkStudy(chosen.out / "real", wavefield, numbered(sessions))
    rows, notes = real_rows(study, chosen.ranks)
    finished = study.results / f"sub-{study.labels[0]}" / "ses-01"
    for count in planned:
        rows += planning_rows(chosen.out, wavefield, count, finished)
    calls = stat_calls(BenchmarkStudy(chosen.out / "one", wavefield, numbered(1)))
    rows.append(Row("calls for a file's state at a start", "", None if calls is None else float(calls), None))
    if sessions < 100 or not {1000, 10000} <= set(planned):
        notes.append(f"Of 100 sessions {sessions} were run; planned: {', '.join(map(str, planned)) or 'none'}.")
    record = chosen.out / "record.json" if chosen.short else None
    seconds = time.perf_counter() - began
    write_record("study", rows, published="none", notes=notes, seconds=seconds, out=record)


if __name__ == "__main__":
    main()
