"""Faults of the machine and of its users in every stage of the workflow, and a plain re-run after each.

A tiny study with every rule of the workflow is made once. Each trial copies it, takes the outputs of one stage away,
disturbs that stage and runs it again as a user would, with nothing cleared up. The results must then be those of the
undisturbed study, byte for byte; set aside are logs, what steps used, times and inodes in receipts, and the keys of
`benchmarks/disturbed/compare.py` in the record of an inversion.

- **kill**: SIGKILL at a random moment of the stage's duration, to all its processes at once or to a random one of them,
  of the stage's shell command (`command`) or of snakemake that runs it (`workflow`). Both forms run the same line.
- **disk**: the results on a disk with room for a share of the output; the results mounted read-only.
- **damage**: a file of each kind in each output cut in half, emptied, with a block of zeros or with one changed byte
  (in text a digit), then the whole workflow, and the commands of the stages that read it. A damaged file is refused by
  name, made anew, or read with a warning that names it, since people correct texts and masks by hand.
- **clock**: a stage whose clock is days or a year off (libfaketime), times of files moved, killed before a jump.
- **together**: a second workflow from the same and from another folder; a step's command twice; a configuration that is
  edited while a step waits.

    python benchmarks/faults.py --out folder [--kills 30] [--only kill disk ...] [--stages invert ...] [--short]

A stopped run goes on where it was. With --short each stage is killed three times through the workflow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from disturbed import clocks, together
from disturbed.compare import results_of
from disturbed.damage import DAMAGES, DamageOutcome, after_damage, intermediates
from disturbed.disk import DiskOutcome, may_mount, on_full_disk, on_read_only_disk
from disturbed.study import DisturbedStudy, RuleStage, copy_study
from disturbed.tally import rows_of
from disturbed.trial import KillOutcome, Victims, Way, failures_of, finish, killed_once, words_of
from harness.pool import scored_once
from harness.record import write_record

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

KINDS: Final = ("kill", "disk", "damage", "clock", "together")
KILLS: Final = 30
"""Kills of each stage's command; a run with fewer, or without all kinds and stages, leaves its record in --out."""
SHARES: Final = (0.0, 0.5, 0.9)
"""Room on a full disk, as shares of a stage's output."""
ATTEMPTS: Final = 6
"""Moments that are tried where a stage ends before its kill."""


@dataclass(frozen=True, slots=True)
class UndisturbedRun:
    """A stage that nobody disturbed, run once more.

    Attributes:
        seconds: elapsed time, seconds.
        failures: sentences on what differs from the first run.
    """

    seconds: float
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FaultTrial:
    """One trial.

    Attributes:
        name: name of the trial, which is that of its file.
        kind: one of KINDS.
        stage: name of the stage, or of the damaged file.
        run: function that carries it out in a folder.
        score: class of its outcome.
    """

    name: str
    kind: str
    stage: str
    run: Callable[[Path], DataclassInstance]
    score: type[DataclassInstance]

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class FaultSuite:
    """All trials on one undisturbed study.

    Args:
        out: folder of the study and of all outcomes.
        seed: seed of moments, victims and places.
    """

    def __init__(self, out: Path, seed: int) -> None:
        self._out, self._seed = out, seed
        self._study = DisturbedStudy(out / "undisturbed")
        if not (out / "finished").exists():
            shutil.rmtree(self._study.home, ignore_errors=True)
            self._study.make()
            done = self._study.run(targets=("all", "study_page"))
            if done.returncode:
                raise SystemExit(done.stdout[-4000:])
            (out / "finished").touch()
        self.stages = self._study.stages()
        self._expected = results_of(self._study.results)

    def without(self, stage: RuleStage, *further: RuleStage) -> DisturbedStudy:
        """Return a copy of the study before some stages: without their outputs, as Snakemake leaves it."""
        study = copy_study(self._study.home, self._out / f"work-{os.getpid()}")
        for path in (study.home / one for of in (stage, *further) for one in of.outputs):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            for ending in ("receipt", "resources"):
                path.with_name(f".{path.name}.{ending}.json").unlink(missing_ok=True)
        return study

    def seconds(self, stage: RuleStage, way: Way) -> float:
        """Return the duration of a stage that nobody disturbs, seconds; its results must be those of the study."""

        def run(_: str, __: Path) -> UndisturbedRun:
            study = self.without(stage)
            again = finish(study, words_of(study, stage, way))
            return UndisturbedRun(again.seconds, tuple(failures_of(study, again, self._expected)))

        found = scored_once(f"undisturbed-{way}-{stage.name}", run, UndisturbedRun, self._out)
        if found.failures:
            raise SystemExit(f"{stage.name}, not disturbed: {found.failures}")
        return found.seconds

    def kills(self, stage: RuleStage, way: Way, count: int) -> Iterator[FaultTrial]:
        """Yield kills of a stage at random moments, in turn of all its processes and of one."""
        for number in range(count):
            victims: Victims = "group" if number % 2 == 0 else "one"
            name = f"kill-{way}-{stage.name}-{number:02d}"
            yield FaultTrial(name, "kill", stage.name, self._kill(name, stage, way, victims), KillOutcome)

    def _kill(self, name: str, stage: RuleStage, way: Way, victims: Victims) -> Callable[[Path], KillOutcome]:
        def run(_: Path) -> KillOutcome:
            generator, seconds = Random(f"{self._seed} {name}"), self.seconds(stage, way)
            for _attempt in range(ATTEMPTS):
                found = killed_once(
                    self.without(stage),
                    stage,
                    way,
                    victims,
                    seconds=seconds,
                    moment=generator.random(),
                    generator=generator,
                    expected=self._expected,
                )
                if found is not None:
                    return found
            raise SystemExit(f"{name}: the stage ended before each of {ATTEMPTS} kills")

        return run

    def disks(self, stage: RuleStage) -> Iterator[FaultTrial]:
        """Yield full disks and a read-only one for a stage, the last two through the workflow."""
        size = sum(_size(self._study.home / one) for one in stage.outputs)
        ways: list[tuple[str, float | None, Way]] = [(f"full-{share:g}", share, "command") for share in SHARES]
        ways += [("full-0.5-workflow", 0.5, "workflow"), ("read-only", None, "command")]
        ways += [("read-only-workflow", None, "workflow")]
        for what, share, way in ways:

            def run(_: Path, share: float | None = share, way: Way = way) -> DiskOutcome:
                study = self.without(stage)
                if share is None:
                    return on_read_only_disk(study, stage, way, self._expected)
                return on_full_disk(study, stage, way, share, size, self._expected)

            yield FaultTrial(f"disk-{what}-{stage.name}", "disk", stage.name, run, DiskOutcome)

    def damages(self) -> Iterator[FaultTrial]:
        """Yield damages to a file of each kind in each output, for the workflow and for the commands that read it."""
        read = sorted({given for one in self.stages for given in one.inputs})
        for name in intermediates(self._study.results, read):
            readers = [one for one in self.stages if any(_holds(given, name) for given in one.inputs)]
            for how in DAMAGES:
                for of in ([], readers[:1]) if readers else ([],):
                    yield self._damage(name, how, of)

    def _damage(self, name: Path, how: str, readers: Sequence[RuleStage]) -> FaultTrial:
        of = "-".join(one.name for one in readers) or "workflow"
        title = f"damage-{how}-{str(name).replace('/', '+')}-{of}"

        def run(_: Path) -> DamageOutcome:
            study = (
                self.without(*readers) if readers else copy_study(self._study.home, self._out / f"work-{os.getpid()}")
            )
            return after_damage(study, name, how, readers, self._expected, Random(f"{self._seed} {title}"))

        return FaultTrial(title, "damage", str(name), run, DamageOutcome)

    def jumps(self) -> Iterator[FaultTrial]:
        """Yield jumps of the clock: in a stage, between two runs, and after a kill."""
        stages = {one.name: one for one in self.stages}
        for days in clocks.JUMPS_DAYS:
            for stage in (stages["mesh"], stages["invert"], stages["report"]) if clocks.LIBRARY.exists() else ():
                yield self._jump(f"clock-{days:+d}-{stage.name}", stage, days, clocks.with_clock_off)
            yield self._jump(f"clock-killed-{days:+d}", stages["invert"], days, self._killed_before)
            yield FaultTrial(f"clock-times-{days:+d}", "clock", "all", self._moved(days), clocks.ClockOutcome)

    def _jump(self, name: str, stage: RuleStage, days: int, how: Callable[..., clocks.ClockOutcome]) -> FaultTrial:
        def run(_: Path) -> clocks.ClockOutcome:
            return how(self.without(stage), stage, days, self._expected)

        return FaultTrial(name, "clock", stage.name, run, clocks.ClockOutcome)

    def _killed_before(
        self, study: DisturbedStudy, stage: RuleStage, days: int, expected: dict[str, str]
    ) -> clocks.ClockOutcome:
        return clocks.killed_before_a_jump(study, stage, days, self.seconds(stage, "workflow"), expected)

    def _moved(self, days: int) -> Callable[[Path], clocks.ClockOutcome]:
        def run(_: Path) -> clocks.ClockOutcome:
            study = copy_study(self._study.home, self._out / f"work-{os.getpid()}")
            return clocks.with_times_moved(study, days, Random(days), self._expected)

        return run

    def at_once(self) -> Iterator[FaultTrial]:
        """Yield two workflows at once, two commands at once, and an edit while a step waits."""
        stages = {one.name: one for one in self.stages}
        runs: dict[str, tuple[RuleStage, Callable[[Path], together.TogetherOutcome]]] = {}
        for name in ("mesh", "invert", "report", "tumour"):
            stage = stages[name]
            runs[f"together-commands-{name}"] = (
                stage,
                lambda _, one=stage: together.two_commands(self.without(one), one, self._expected),
            )
        for place in ("here", "elsewhere"):
            runs[f"together-workflows-{place}"] = (
                stages["mesh"],
                lambda _, away=place == "elsewhere": together.two_workflows(
                    self.without(stages["mesh"]), stages["mesh"], self._expected, elsewhere=away
                ),
            )
        both = stages["overlay"], stages["derived"]
        runs["together-edited"] = (
            stages["derived"],
            lambda _: together.edited_while_waiting(self.without(*both), both, self._expected),
        )
        for name, (stage, run) in runs.items():
            yield FaultTrial(name, "together", stage.name, run, together.TogetherOutcome)


def trials_of(suite: FaultSuite, kills: int, through_workflow: int, *, short: bool) -> Iterator[FaultTrial]:
    """Yield all trials.

    Args:
        suite: the trials' study.
        kills: kills of each stage's command.
        through_workflow: kills of each stage through the workflow.
        short: whether only the kills through the workflow are wanted.
    """
    for stage in suite.stages:
        yield from suite.kills(stage, "workflow", through_workflow)
    if short:
        return
    yield from suite.at_once()
    yield from suite.jumps()
    for stage in suite.stages if may_mount() else ():
        yield from suite.disks(stage)
    yield from suite.damages()
    for number in range(kills):  # by turns, so that a stopped run has tried every stage alike
        for stage in suite.stages:
            yield list(suite.kills(stage, "command", number + 1))[-1]


def _holds(given: str, name: Path) -> bool:
    """Return whether an input of a stage is a file of the results or a folder that it lies in."""
    path = Path("results") / name
    return Path(given) == path or Path(given) in path.parents


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def main() -> None:
    """Run the trials that have no outcome yet, and write the record of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the study and the outcomes")
    parser.add_argument("--kills", type=int, default=KILLS, help="kills of each stage's command")
    parser.add_argument("--through-workflow", type=int, default=3, help="kills of each stage through the workflow")
    parser.add_argument("--only", nargs="*", default=KINDS, choices=KINDS, help="kinds of fault")
    parser.add_argument("--stages", nargs="*", help="names of stages; all if absent")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranks", type=int, default=1, help="not used; the study has one")
    parser.add_argument("--short", action="store_true", help="three kills a stage; the record stays in --out")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that disks are unmounted
    began = time.monotonic()
    chosen.out.mkdir(parents=True, exist_ok=True)
    out = chosen.out.resolve()
    suite = FaultSuite(out, chosen.seed)
    done: list[tuple[FaultTrial, DataclassInstance]] = []
    for trial in trials_of(suite, chosen.kills, chosen.through_workflow, short=chosen.short):
        if trial.kind in chosen.only and (not chosen.stages or trial.stage in chosen.stages):
            score = scored_once(trial, lambda one, folder: one.run(folder), trial.score, out)
            done.append((trial, score))
            print(f"{time.monotonic() - began:6.0f} s {trial.name}: {score}", flush=True)
    rows, notes = rows_of([(one.kind, one.stage, one.name, score) for one, score in done])
    seconds = time.monotonic() - began
    whole = chosen.kills >= KILLS and len(chosen.only) == len(KINDS) and not (chosen.short or chosen.stages)
    record = None if whole else out / "record.json"
    write_record("faults", rows, published="none", notes=notes, seconds=seconds, out=record)


if __name__ == "__main__":
    main()
