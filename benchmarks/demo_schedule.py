"""The demo's workflow before and after its schedule was changed: wall time, CPU time and overhead, in turn.

Before: a calibration and a forecast of a tumour run on one rank, so that an inversion on both cores waits for them; a
solver of linear programmes chooses what starts. After: they take the cores that are there, a tumour's steps start
first, the greedy scheduler chooses, and processes end without a last search for cycles. The programs before are those
of commit BEFORE. Both run on one patient, that of `make demo`, one after the other and again:

    overhead = CPU of the whole process tree - CPU that the steps' own records state    (.resources.json, docs/study.md)

Others who use the machine stretch wall times, and ranks that wait for one another spin. The makespan is therefore also
computed from the steps' own CPU seconds (harness/list_schedule.py): of several ranks the largest; of several rounds the
least, since neighbours only add.

    python benchmarks/demo_schedule.py --out folder [--ranks 2] [--rounds 3] [--short]

A stopped run goes on in its --out folder: finished rounds are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from harness.command_line import PROGRAMS, run
from harness.list_schedule import ScheduledJob, makespan
from harness.record import Row, write_record

from palpate.provenance import atomic_file
from palpate.resources import read_use, record_path

CHECKOUT: Final = Path(__file__).resolve().parents[1]
BEFORE: Final = "36eb1d44"
"""Commit before the change."""
AFTER_STEPS: Final = {
    "ingest": ("wavefield", ()),
    "mesh": ("mesh", ("ingest",)),
    "invert": ("mre", ("mesh",)),
    "derived": ("derived", ("invert",)),
    "overlay": ("anat", ("invert",)),
    "report": ("report.html", ("invert",)),
    "maps": ("dicom", ("invert",)),
    "tumour": ("history.h5", ()),
    "calibrate": ("calibration", ("tumour",)),
    "forecast": ("forecast", ("calibrate",)),
    "outlook": ("outlook.html", ("forecast",)),
    "forecast_dicom": ("dicom", ("forecast",)),
}
"""Steps of the demo: name of the output, and the steps before."""
_OF_TUMOUR: Final = ("tumour", "calibrate", "forecast", "outlook", "forecast_dicom")
PRIORITIES: Final = {
    "before": {"derived": 1, "overlay": 1, "report": 1},
    "after": {"derived": 1, "overlay": 1, "report": 1, "tumour": 2, "calibrate": 2, "forecast": 2},
}
"""Priorities of the rules."""
SHORT_PATIENT: Final = {
    "tumour": {"half_edge_mm": 33.0, "truth_voxel_mm": 3.0, "truth_step_days": 2.0, "days_before_first_scan": 80.0}
    | {"voxel_mm": 4.0, "beyond_days": [110]}
}
SHORT_STUDY: Final = {
    "inversion": {"fit_prior": False, "max_iterations": 2, "hessian_rank": 40, "samples": 40},
    "twin": {"voxel_mm": 8.0, "outline_modes": 3, "draws": 20, "max_iterations": 3, "block_mm": 8.0},
    "forecast": {"days_after_last_scan": [30]},
}


@dataclass(frozen=True, slots=True)
class DemoRun:
    """One run of the workflow.

    Attributes:
        wall_s: elapsed time, seconds.
        cpu_s: CPU time of the whole process tree, seconds.
        steps: CPU time of each rank of each step, seconds, by the step's name.
    """

    wall_s: float
    cpu_s: float
    steps: Mapping[str, Sequence[float]]

    @property
    def steps_s(self) -> float:
        """CPU time of all steps, seconds."""
        return sum(map(sum, self.steps.values()))

    @property
    def overhead_s(self) -> float:
        """CPU time around the steps, seconds."""
        return self.cpu_s - self.steps_s


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the two versions of the workflow.

    Attributes:
        name: "before" or "after".
        checkout: folder with its programs.
    """

    name: str
    checkout: Path

    def run(self, home: Path, patient: Path, study: Path, cores: int) -> DemoRun:
        """Run the workflow in a folder of its own, or read how it went there before."""
        told = home / "run.json"
        if told.exists():
            return DemoRun(**json.loads(told.read_text(encoding="utf-8")))
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        paths = os.pathsep.join(map(str, (self.checkout / "src", self.checkout)))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "UCX_TLS": "self,sm,tcp"}
        words = [str(PROGRAMS / "snakemake"), "-s", str(self.checkout / "Snakefile"), f"-c{cores}"]
        config = ["--configfile", str(study), "--config", f"sessions={patient / 'sessions.tsv'}", "results=results"]
        began, before = time.perf_counter(), _children_cpu_s()
        with (home / "printed").open("w", encoding="utf-8") as printed:
            done = subprocess.run(
                [*words, *config], cwd=home, env=environment, stdout=printed, stderr=printed, check=False
            )
        found = DemoRun(time.perf_counter() - began, _children_cpu_s() - before, steps_of(home / "results"))
        if done.returncode:
            sys.exit((home / "printed").read_text(encoding="utf-8")[-4000:])
        with atomic_file(told) as partial:
            partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
        return found


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def steps_of(results: Path) -> dict[str, list[float]]:
    """Return the CPU time of each rank of each step, as the steps' records state it, seconds.

    Args:
        results: folder of the results of one session and one tumour.
    """
    found = {}
    for name, (output, _) in AFTER_STEPS.items():
        place = "sub-*/twin" if name in _OF_TUMOUR else "sub-*/ses-*"
        for path in results.glob(f"{place}/{output}"):
            if (used := read_use(record_path(path))) is not None:
                found[name] = [rank.cpu_s for rank in used.ranks]
    return found


def schedule_s(runs: Sequence[DemoRun], priorities: Mapping[str, int], cores: int) -> float:
    """Return the makespan from the steps' own CPU seconds, of each step the run with the least of them.

    Args:
        runs: runs of one version.
        priorities: priorities of the steps; 0 where none is stated.
        cores: number of cores.
    """
    jobs = []
    for name, (_, after) in AFTER_STEPS.items():
        ranks = [one.steps[name] for one in runs if name in one.steps]
        if ranks:
            least = min(ranks, key=max)
            jobs.append(ScheduledJob(name, after, len(least), max(least), priorities.get(name, 0)))
    return makespan(jobs, cores)


def compared(before: Sequence[DemoRun], after: Sequence[DemoRun], cores: int) -> list[Row]:
    """Return the figures of both versions side by side.

    Args:
        before: runs of the version before, in the order of the rounds.
        after: runs of the version after, in the same order.
        cores: number of cores.
    """
    made = [schedule_s(runs, PRIORITIES[name], cores) for name, runs in (("before", before), ("after", after))]
    pairs = list(zip(before, after, strict=True))
    walls = [[one.wall_s for one in runs] for runs in (before, after)]
    shares = [min(100.0 * one.overhead_s / one.steps_s for one in runs) for runs in (before, after)]
    over = [min(one.overhead_s for one in runs) for runs in (before, after)]
    steps = [min(one.steps_s for one in runs) for runs in (before, after)]
    ratio = statistics.median(other.wall_s / one.wall_s for one, other in pairs)

    def row(what: str, unit: str, both: Sequence[float]) -> Row:
        return Row(what, unit, both[1], None, {"before": both[0]})

    return [
        Row("makespan of the steps' CPU, over before", "", made[1] / made[0], None, goal="<= 0.8"),
        Row("wall time, over before, median of pairs", "", ratio, None, goal="<= 0.8"),
        Row("overhead over the CPU of the steps, over before", "", shares[1] / shares[0], None, goal="<= 0.5"),
        row("overhead over the CPU of the steps", "%", shares),
        row("overhead", "CPU s", over),
        row("the steps", "CPU s", steps),
        row("makespan of the steps' CPU", "s", made),
        row("wall time, least", "s", [min(one) for one in walls]),
    ]


def main() -> None:
    """Make the patient, run both versions in turn, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for data and results")
    parser.add_argument("--ranks", type=int, default=2, help="cores")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each version")
    parser.add_argument("--short", action="store_true", help="a small patient, once; the record stays in --out")
    chosen = parser.parse_args()
    began, out = time.perf_counter(), chosen.out.resolve()
    patient, study = patient_and_study(out, short=chosen.short)
    variants = [Variant("before", checkout_before(out / "before")), Variant("after", CHECKOUT)]
    for one in variants:  # else the first run of a version pays for its compilation
        folders = ("src", "imaging", "meshing", "solvers", "twin", "service")
        run("python", "-m", "compileall", "-q", *(one.checkout / folder for folder in folders))
    found: dict[str, list[DemoRun]] = {one.name: [] for one in variants}
    for number in range(1 if chosen.short else chosen.rounds):
        for one in variants if number % 2 == 0 else reversed(variants):
            home = out / f"{one.name}-{number}"
            found[one.name].append(one.run(home, patient, study, chosen.ranks))
            print(f"{home.name}: {found[one.name][-1]}", flush=True)
    rows = compared(found["before"], found["after"], chosen.ranks)
    spread = ", ".join(f"{one.wall_s:.0f} and {two.wall_s:.0f}" for one, two in zip(*found.values(), strict=True))
    notes = [
        f"Wall seconds of each pair, before and after: {spread}.",
        f"Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores.",
    ]
    record = out / "record.json" if chosen.short else None
    seconds = time.perf_counter() - began
    write_record("demo_schedule", rows, published="none", notes=notes, seconds=seconds, out=record)


def patient_and_study(out: Path, *, short: bool) -> tuple[Path, Path]:
    """Make the patient, unless it is there, and return its folder and the file of the study's settings.

    Args:
        out: folder of the benchmark.
        short: whether to make a small patient.
    """
    patient = out / "patient"
    if not (patient / "sessions.tsv").exists():
        settings = ["--settings", json.dumps(SHORT_PATIENT)] if short else []
        run("palpate", "phantom", *settings, "--longitudinal", "--out", patient)
    if not short:
        return patient, CHECKOUT / "workflow" / "demo.yaml"
    (out / "study.yaml").write_text(json.dumps(SHORT_STUDY), encoding="utf-8")
    return patient, out / "study.yaml"


def checkout_before(folder: Path) -> Path:
    """Return a folder with the programs of commit BEFORE.

    Args:
        folder: folder to fill, unless it is there.
    """
    if not folder.exists():
        made = subprocess.run(["git", "archive", BEFORE], cwd=CHECKOUT, capture_output=True, check=False)
        if made.returncode:
            sys.exit(f"the history of this checkout does not reach back to {BEFORE}: git fetch --unshallow")
        folder.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", str(folder)], input=made.stdout, check=True)
    return folder


if __name__ == "__main__":
    main()
