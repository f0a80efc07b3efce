"""Memory and open files of what runs for long: the workflow's engine, `palpate.invert` in one process, and the status.

- *engine*: one process of Snakemake runs a study of 200 sessions; looked at every 2 s.
- *door*: one Python process reads, inverts and saves 200 wave fields, of which no two have the same voxels.
- *status*: one process makes the page of a study of 200 finished sessions 200 times.

Sessions are tiny (7 x 7 x 7 voxels), so that what stays after a session is not hidden by what a session needs. A
straight line is fitted to resident memory and to the number of open files after each session, without the first fifth;
neighbours that are alike count for less (`benchmarks/harness/growth_trend.py`). The goal is on the upper end of the
line's 95 % interval: 20 MB in 200 sessions would be 1 GB in a study of 10,000.

The engine takes an hour of CPU. --engine takes a study that `benchmarks/study.py` has run, or is running, instead: the
longest run of its engine.

    python benchmarks/soak.py --out folder [--sessions 200] [--engine folder/of/study/real] [--ranks 2] [--short]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from harness.benchmark_study import QUICK, STEPS, BenchmarkStudy, EngineSample, lives_in, numbered, tiny_wavefield
from harness.growth_trend import growth
from harness.pool import in_processes, scored_once
from harness.process_use import ProcessState, state_of
from harness.record import Row, write_record

import palpate
from palpate.service.study.write import write_study

SESSIONS: Final = 200
MEMORY_GOAL: Final = "<= 20"
"""Goal for the growth of memory in 200 sessions, MB."""
HANDLES_GOAL: Final = "<= 1"
"""Goal for the growth of the number of open files in 200 sessions."""


@dataclass(frozen=True, slots=True)
class SoakCourse:
    """Memory and open files of a process after each session.

    Attributes:
        memory_mb: resident memory, MB of 2^20 bytes.
        handles: number of open files, sockets and pipes.
    """

    memory_mb: tuple[float, ...]
    handles: tuple[int, ...]


def _course(states: Sequence[ProcessState]) -> SoakCourse:
    return SoakCourse(tuple(one.memory_mb for one in states), tuple(one.handles for one in states))


def _now() -> ProcessState:
    state = state_of(os.getpid())
    assert state is not None
    return state


def through_the_door(given: tuple[Path, int]) -> SoakCourse:
    """Read, invert and save wave fields in this process.

    Args:
        given: folder of a wave field, and number of sessions.
    """
    wavefield, count = given
    random, states = np.random.default_rng(3), []
    for session in range(count):
        (field,) = palpate.read_wave_fields(wavefield)
        mask = field.mask.copy()
        mask[tuple(random.integers(0, mask.shape))] = False
        one = replace(
            field, mask=mask, label=f"sub-{session}", displacement_m=field.displacement_m * random.uniform(1, 2)
        )
        with tempfile.TemporaryDirectory() as folder:
            palpate.invert(one, QUICK).save(Path(folder) / "mre")
        states.append(_now())
    return _course(states)


def looked_at(given: tuple[Path, int]) -> SoakCourse:
    """Make the page of a study again and again in this process.

    Args:
        given: folder of results, and how often.
    """
    results, count = given
    states = []
    for _ in range(count):
        write_study(results, results.parent / "study.html")
        states.append(_now())
    return _course(states)


def of_engine(lives: Sequence[Sequence[EngineSample]]) -> SoakCourse:
    """Return the state of an engine after each session, of the run in which it finished most of them.

    Args:
        lives: samples of each run of the engine.
    """
    longest = max(lives, key=lambda life: life[-1].finished_steps - life[0].finished_steps if life else 0)
    first = longest[0].finished_steps
    last_of = {(one.finished_steps - first) // len(STEPS): one.state for one in longest}
    return _course([state for _, state in sorted(last_of.items())][1:])


def engine_run(out: Path, wavefield: Path, sessions: int, ranks: int) -> Path:
    """Run a study from its start to its end in one run of the engine, and return its folder.

    Args:
        out: folder of the benchmark.
        wavefield: wave field of every session.
        sessions: number of sessions.
        ranks: cores.
    """
    study = BenchmarkStudy(out / "engine", wavefield, numbered(sessions))
    if len(study.finished()) < sessions * len(STEPS):
        shutil.rmtree(study.home)
        study = BenchmarkStudy(out / "engine", wavefield, numbered(sessions))
        study.live(ranks)
    return study.home


def rows_of(name: str, course: SoakCourse) -> list[Row]:
    """Return the figures of one long-running part.

    Args:
        name: name of the part.
        course: its memory and open files after each session.
    """
    rows = []
    kinds = (("memory", "MB", course.memory_mb, MEMORY_GOAL), ("open files", "", course.handles, HANDLES_GOAL))
    for what, unit, values, goal in kinds:
        found = growth(values)
        rows += [
            Row(f"{name}: growth of {what} in {SESSIONS} sessions", unit, found.slope * SESSIONS, None),
            Row(
                f"{name}: growth of {what} in {SESSIONS} sessions, upper end of 95 %",
                unit,
                found.upper * SESSIONS,
                None,
                goal=goal,
            ),
            Row(f"{name}: {what} at the end", unit, float(values[-1]), None),
        ]
    return rows


def main() -> None:
    """Run each part, fit its growth and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for data and results")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="sessions of each part")
    parser.add_argument("--engine", type=Path, help="folder of a study that benchmarks/study.py has run")
    parser.add_argument("--ranks", type=int, default=2, help="cores of the engine")
    parser.add_argument("--short", action="store_true", help="30 sessions, no engine; the record stays in --out")
    chosen = parser.parse_args()
    began = time.perf_counter()
    count = 30 if chosen.short else chosen.sessions
    wavefield = tiny_wavefield(chosen.out)

    courses = {"door": kept("door", through_the_door, (wavefield, count), chosen.out)}
    notes = []
    if chosen.engine or not chosen.short:
        home = chosen.engine or engine_run(chosen.out, wavefield, count, chosen.ranks)
        courses["engine"] = of_engine(lives_in(home))
        notes.append(f"engine: {len(courses['engine'].handles)} sessions in its longest run.")
        one_session = min((home / "results").glob("sub-*/ses-01/report.html")).parent
    else:
        study = BenchmarkStudy(chosen.out / "one", wavefield, numbered(1))
        study.run(f"-c{chosen.ranks}")
        one_session = study.results / f"sub-{study.labels[0]}" / "ses-01"
    copies = BenchmarkStudy(chosen.out / "copies", wavefield, numbered(count))
    copies.fill(one_session)
    courses["status"] = kept("status", looked_at, (copies.results, count), chosen.out)
    notes += [f"{name}: {len(course.handles)} sessions." for name, course in courses.items() if name != "engine"]
    rows = [row for name in sorted(courses) for row in rows_of(name, courses[name])]
    record = chosen.out / "record.json" if chosen.short else None
    seconds = time.perf_counter() - began
    write_record("soak", rows, published="none", notes=notes, seconds=seconds, out=record)


def kept(name: str, run: Callable[[tuple[Path, int]], SoakCourse], given: tuple[Path, int], out: Path) -> SoakCourse:
    """Return the course of a part: that of an earlier run with this folder, or of a new process.

    Args:
        name: name of the part.
        run: function that the process runs.
        given: argument of the function.
        out: folder of the benchmark.
    """
    return scored_once(name, lambda _name, _out: in_processes(run, [given], 1)[0], SoakCourse, out)


if __name__ == "__main__":
    main()
