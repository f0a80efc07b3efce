"""Study of equal sessions, run by the workflow, with what its engine used while it ran."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.process_use import MARK, ProcessState, kill_marked, state_of
from worlds.lesion_block import Lesion, waves_through
from worlds.noise import write_noisy

from palpate.content_digest import digest
from palpate.receipt import NAME as RECEIPT
from palpate.resources import read_use, record_name

CHECKOUT: Final = Path(__file__).resolve().parents[2]
QUICK: Final = {"fit_prior": False, "max_iterations": 3, "hessian_rank": 40, "samples": 40}
STEPS: Final = ("wavefield", "mesh", "mre", "derived", "report.html")
"""Outputs of the steps of a session without DICOM, anatomy and labels."""
_EVERY_S: Final = 2.0
_HEAD: Final = "seconds\tcpu_s\tmemory_mb\thandles\tfinished_steps"


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


@dataclass(frozen=True, slots=True)
class EngineSample:
    """State of the workflow's engine at one moment.

    Attributes:
        seconds: time since its start, seconds.
        state: state of the process.
        finished_steps: number of steps of the study that are finished.
    """

    seconds: float
    state: ProcessState
    finished_steps: int

    def line(self) -> str:
        """Return the sample as a line of a table."""
        one = self.state
        return f"{self.seconds:.2f}\t{one.cpu_s:.2f}\t{one.memory_mb:.2f}\t{one.handles}\t{self.finished_steps}\n"

    @classmethod
    def of_line(cls, line: str) -> EngineSample:
        """Return the sample of a line of a table."""
        seconds, cpu_s, memory_mb, handles, finished = line.split("\t")
        return cls(float(seconds), ProcessState(float(cpu_s), float(memory_mb), int(handles)), int(finished))


class BenchmarkStudy:
    """Study of equal sessions in a folder; one that an earlier run has begun goes on.

    Args:
        home: folder of the study; it is made where it is missing.
        wavefield: folder of the wave field that every session has.
        labels: labels of the subjects.
    """

    def __init__(self, home: Path, wavefield: Path, labels: Sequence[str]) -> None:
        home.mkdir(parents=True, exist_ok=True)
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

    def live(self, ranks: int, *, until: int | None = None) -> None:
        """Run the workflow and keep samples of its engine, in a table of its own in the study's folder.

        Args:
            ranks: cores.
            until: number of finished steps at which everything is killed; None to run to the end.
        """
        number, mark = len(self.lives()), uuid.uuid4().hex
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; with the same --out folder the benchmark goes on"))
        with (self.home / f"life-{number}.log").open("wb") as log, self._table(number).open("w") as table:
            print(_HEAD, file=table, flush=True)
            began = time.perf_counter()
            running = subprocess.Popen(
                self.command(f"-c{ranks}"),
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {MARK: mark},
            )
            try:
                while (state := state_of(running.pid)) is not None:
                    finished = len(self.finished())
                    table.write(EngineSample(time.perf_counter() - began, state, finished).line())
                    table.flush()
                    if until is not None and finished >= until:
                        return
                    time.sleep(_EVERY_S)
            finally:
                kill_marked(mark)
                code = running.wait()
        if code:
            sys.exit((self.home / f"life-{number}.log").read_text(errors="replace")[-4000:])

    def _table(self, number: int) -> Path:
        return self.home / f"life-{number}.tsv"

    def lives(self) -> list[list[EngineSample]]:
        """Return the samples of every run of the engine so far."""
        return lives_in(self.home)

    def finished(self) -> dict[str, Path]:
        """Return the record of what each finished step used, by the step's output below the results."""
        outputs = [self.results / f"sub-{one}" / "ses-01" / name for one in self.labels for name in STEPS]
        return {
            str(path.relative_to(self.results)): path.with_name(record_name(path.name))
            for path in outputs
            if (path / RECEIPT).exists() or path.with_name(f".{path.name}{RECEIPT}").exists()
        }

    def records(self) -> dict[str, str]:
        """Return a digest of the record of each finished step, which states when the step ran and what it used."""
        return {name: digest(path) for name, path in self.finished().items()}

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
            shutil.rmtree(to, ignore_errors=True)
            shutil.copytree(finished, to, copy_function=os.link, ignore=shutil.ignore_patterns(".snakemake*"))


def numbered(count: int) -> list[str]:
    """Return labels of so many subjects."""
    return [f"{number:05d}" for number in range(count)]


def tiny_wavefield(out: Path) -> Path:
    """Return the folder of a wave field of 7 x 7 x 7 voxels, which is made where it is missing.

    Args:
        out: folder of a benchmark.
    """
    folder = out / "wavefield"
    if not folder.exists():
        partial = out / "wavefield.partial"
        write_noisy(waves_through(Lesion(6.0, 1.0, voxels=7)), partial, 2.0, seed=1)
        partial.rename(folder)
    return folder


def lives_in(home: Path) -> list[list[EngineSample]]:
    """Return the samples of every run of a study's engine; one that was interrupted counts to its last sample.

    Args:
        home: folder of the study.
    """
    tables = sorted(home.glob("life-*.tsv"), key=lambda path: int(path.stem.partition("-")[2]))
    lives = [path.read_text(encoding="utf-8").splitlines()[1:] for path in tables]
    whole = [[line for line in lines if line.count("\t") == _HEAD.count("\t")] for lines in lives]
    return [[EngineSample.of_line(line) for line in lines] for lines in whole]
