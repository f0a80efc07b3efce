"""Cost of the workflow around the steps: per session, at a start, for a study of thousands, and for one that goes on.

Sessions are copies of one tiny wave field (7 x 7 x 7 voxels) under labels of their own, so that a step's own work is as
small as it can be and the cost around it is seen. Measured in CPU seconds of whole process trees, since the wall time
depends on who else uses the machine:

    overhead = CPU of everything - CPU that the steps' own records state    (.resources.json, docs/files.md)

A step's record counts from the start of its work to its output; Python's start before it and its exit count as
overhead. In the middle of a step, when half of the sessions are finished, every process of the study is killed
(SIGKILL). The workflow is then started again, which is part of the overhead. A step that was finished when the study
was killed must keep the record of what it used to the last byte: it would be another one if the step had run again.

Planning is `snakemake -n` of sessions that have not begun, and of a finished study: sessions whose results
are links to those of one session, as a copied study is. Calls that ask for a file's state (stat and its kin) are
counted by strace where it is there, over the start of a plan of one session; under the Slurm profile in the process of
the workflow as a user starts it and, since each job starts Snakemake again, in a job's.

A run that was stopped goes on where its --out folder is given again.

    python benchmarks/study.py --out folder [--sessions 100] [--planned 1000 10000] [--ranks 2] [--short]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.benchmark_study import STEPS, BenchmarkStudy, numbered, tiny_wavefield
from harness.pool import scored_once
from harness.record import Row, write_record
from harness.stat_calls import StatCalls, stat_calls

from palpate.provenance import atomic_file

PLANNING_GOAL: Final = {1000: "<= 15"}
"""Goals for the CPU seconds of a plan, by number of sessions."""


@dataclass(frozen=True, slots=True)
class SecondStart:
    """Start of a study that is finished.

    Attributes:
        cpu_s: CPU time, seconds.
        steps_ran: 1 where a step ran, otherwise 0.
    """

    cpu_s: float
    steps_ran: int


@dataclass(frozen=True, slots=True)
class Plans:
    """CPU time of plans of equal sessions, seconds.

    Attributes:
        new_s: plan of sessions that have not begun.
        copied_s: plan of finished sessions, the first time after they were copied.
        finished_s: plan of finished sessions.
    """

    new_s: float
    copied_s: float
    finished_s: float


def run_with_a_kill(study: BenchmarkStudy, ranks: int) -> tuple[int, int]:
    """Run all sessions of a study, killed once in the middle.

    Args:
        study: study to run.
        ranks: cores.

    Returns:
        Number of steps that were finished when the study was killed, and number of these that ran again.
    """
    kept = study.home / "finished-when-killed.json"
    if not kept.exists():
        study.live(ranks, until=len(study.labels) // 2 * len(STEPS) + 2)
        with atomic_file(kept) as partial:
            partial.write_text(json.dumps(study.records()), encoding="utf-8")
    before = json.loads(kept.read_text(encoding="utf-8"))
    if len(study.finished()) < len(study.labels) * len(STEPS):
        study.live(ranks)
    after = study.records()
    assert len(after) == len(study.labels) * len(STEPS), f"{len(after)} steps are finished"
    return len(before), sum(after[name] != content for name, content in before.items())


def real_rows(study: BenchmarkStudy, ranks: int) -> tuple[list[Row], list[str]]:
    """Run all sessions of a study, and once more, when nothing may run; return the figures and notes.

    Args:
        study: study to run.
        ranks: cores.
    """
    count = len(study.labels)
    finished, ran_again = run_with_a_kill(study, ranks)
    again = scored_once("second-start", lambda _name, _out: second_start(study, ranks), SecondStart, study.home)
    ends = [life[-1] for life in study.lives() if life]
    all_s, steps_s = sum(one.state.cpu_s for one in ends), study.steps_cpu_s()
    rows = [
        Row(f"overhead a session, of {count} sessions", "CPU s", (all_s - steps_s) / count, None),
        Row("overhead over the CPU of the steps", "%", 100.0 * (all_s - steps_s) / steps_s, None),
        Row("the steps of a session", "CPU s", steps_s / count, None),
        Row("killed in the middle: finished steps that ran again", "", float(ran_again), None, goal="<= 0"),
        Row("finished study, started again: steps that run", "", float(again.steps_ran), None, goal="<= 0"),
        Row("finished study, started again", "CPU s", again.cpu_s, None),
    ]
    cost = f"{sum(one.seconds for one in ends):.0f} s, {all_s:.0f} s of CPU, on {ranks} core{'s' if ranks > 1 else ''}"
    notes = [
        f"{count} sessions of {len(STEPS)} steps: {cost}, in {len(ends)} starts of the workflow.",
        "The CPU of a step that was killed is in none of the figures.",
        f"{finished} of {count * len(STEPS)} steps were finished when the study was killed.",
    ]
    return rows, notes


def second_start(study: BenchmarkStudy, ranks: int) -> SecondStart:
    """Start a finished study again.

    Args:
        study: finished study.
        ranks: cores.
    """
    again = study.run(f"-c{ranks}")
    return SecondStart(again.cpu_s, 0 if "Nothing to be done" in again.printed else 1)


def planned(out: Path, wavefield: Path, count: int, finished: Path) -> Plans:
    """Plan sessions that have not begun, and a finished study.

    Args:
        out: folder for the studies.
        wavefield: wave field of every session.
        count: number of sessions.
        finished: folder of a finished session.
    """
    new_s = BenchmarkStudy(out / f"new-{count}", wavefield, numbered(count)).run("-n", "-q").cpu_s
    done = BenchmarkStudy(out / f"done-{count}", wavefield, numbered(count))
    done.fill(finished)
    first, second = done.run("-n"), done.run("-n")
    assert "Nothing to be done" in second.printed, second.printed[-2000:]
    return Plans(new_s, first.cpu_s, second.cpu_s)


def planning_rows(out: Path, wavefield: Path, count: int, finished: Path) -> list[Row]:
    """Plan sessions that have not begun, and a finished study; return the figures.

    Args:
        out: folder for the studies.
        wavefield: wave field of every session.
        count: number of sessions.
        finished: folder of a finished session.
    """
    plans = scored_once(f"planned-{count}", lambda _name, to: planned(to, wavefield, count, finished), Plans, out)
    goal = PLANNING_GOAL.get(count, "")
    return [
        Row(f"plan of {count} sessions, not begun", "CPU s", plans.new_s, None, goal=goal),
        Row(f"plan of {count} finished sessions", "CPU s", plans.finished_s, None, goal=goal),
        Row(f"plan of {count} finished sessions, first after a copy", "CPU s", plans.copied_s, None),
    ]


def start_rows(out: Path, wavefield: Path) -> list[Row]:
    """Count the calls of a start; return the figures.

    Args:
        out: folder for the study.
        wavefield: wave field of its session.
    """
    study = BenchmarkStudy(out / "one", wavefield, numbered(1))
    calls = scored_once("calls", lambda _name, _out: stat_calls(study), StatCalls, out)
    return [
        Row("calls for a file's state at a start", "", calls.plan, None),
        Row("calls for a file's state at a start under the Slurm profile", "", calls.slurm_start, None),
        Row("calls for a file's state in a job of Slurm", "", calls.slurm_job, None),
    ]


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
    sessions, to_plan = (2, [5]) if chosen.short else (chosen.sessions, chosen.planned)
    wavefield = tiny_wavefield(chosen.out)
    study = BenchmarkStudy(chosen.out / "real", wavefield, numbered(sessions))
    rows, notes = real_rows(study, chosen.ranks)
    finished = study.results / f"sub-{study.labels[0]}" / "ses-01"
    for count in to_plan:
        rows += planning_rows(chosen.out, wavefield, count, finished)
    rows += start_rows(chosen.out, wavefield)
    if sessions < 100 or not {1000, 10000} <= set(to_plan):
        notes.append(f"Of 100 sessions {sessions} were run; planned: {', '.join(map(str, to_plan)) or 'none'}.")
    record = chosen.out / "record.json" if chosen.short else None
    seconds = time.perf_counter() - began
    write_record("study", rows, published="none", notes=notes, seconds=seconds, out=record)


if __name__ == "__main__":
    main()
