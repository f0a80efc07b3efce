"""Progress and remaining time of an inversion: the stages that are still to come, at measured times of their units.

Zones cost in proportion to Zone.work and a constant, which counts for the small zones of blocks. An evaluation of all
zones costs less from step to step, since zones that hardly move are not solved again. As soon as a step's length is
known, the steps that follow are foreseen from it (steps/expected_steps.py); before that, those of a usual search are
expected. What comes after a search is counted as well: the search on voxels after that on blocks, searches under other
weights of the data, priors of the waves that are found again with the search after them, the evidence, the draws, and
the other inversions of the session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from palpate.progress import Progress, detail, duration_text
from palpate.solvers.inversion.stages import FIRST, REFIT_ZONES, MeasuredTimes, Stage

FROM_THE_PRIOR: Final = (FIRST, 1.0, 1.0, 0.8, 0.4)
"""Cost of the evaluations of a search that starts at the prior's mean, in evaluations of all zones; four steps."""

FROM_BLOCKS: Final = (FIRST, 0.7, 0.5, 0.2)
"""Cost of the evaluations of a search that starts at the result on blocks of voxels, in evaluations of all zones; three
steps. Whole brains took 0.7, 0.4, 0.1 and the demo's patient, of 8 zones, 1, 1, 0.5."""

FROM_OTHER_WEIGHTS: Final = (1.0, 0.7, 0.3)
"""Cost of the evaluations of a search that starts at the result under other weights of the data, in evaluations of all
zones; two steps."""

FROM_OTHER_PRIORS: Final = (1.0, 1.0, 0.7)
"""Cost of the evaluations of a search that starts at the result under other priors of the waves, in evaluations of all
zones; two steps."""

EXPECTED_ROUNDS: Final = 4
"""Number of searches with other weights of the data, where errors are not Gaussian."""

LATER: Final = 0.1
"""Cost of evaluations beyond the expected ones."""

LAST_REFIT: Final = 2.0
"""Cost of the prior's local scale and of the posterior's typical deviation, once a search, in joint posteriors."""

EVIDENCE: Final = Stage(evaluations=0.6, posteriors=2.0)
"""Work of the evidence: a factorisation of each zone, without its directions, and a determinant."""


@dataclass(slots=True)
class StepClock:
    """Progress and remaining time of one search for the posterior's maximum, on this rank.

    Attributes:
        work: costs of this rank's zones, all frequencies, see zone_cost.
        voxels: number N of voxels of the mask.
        samples: joint draws at the end; 0 where the search is only a start for another one.
        refits: number of rounds of refits of the prior that are left.
        times: measured times, shared with the search that comes before or after.
        costs: costs of the evaluations, in evaluations of all zones; one more than there are steps.
        after: clock of the search for which this one provides the start; None for the last search.
        before: number of steps of the searches that this one started from.
        step: number of the step under way; 0 is the evaluation at the start.
        rounds: number of searches with other weights of the data that are expected after this one.
        recalibrations: number of times that the priors of the waves are found again after this search.
        compare: whether the evidence is computed at the end.
        later: work of the session's inversions after this one, over that of this one.
        uncalibrated: share of the priors of the waves that are being found and are still to come, 0 to 1.
        began_s: reading of the clock at the begin of the inversion, seconds.
    """

    work: Sequence[float] = ()
    voxels: int = 1
    samples: int = 0
    refits: int = 0
    times: MeasuredTimes = field(default_factory=MeasuredTimes)
    costs: Sequence[float] = FROM_THE_PRIOR
    after: StepClock | None = None
    before: int = 0
    step: int = 0
    rounds: int = 0
    recalibrations: int = 0
    compare: bool = False
    later: float = 0.0
    uncalibrated: float = 0.0
    began_s: float = field(default_factory=time.perf_counter)

    def starts_from(self, coarse: StepClock, *, refits: int) -> None:
        """Expect to start at the end of another search, which goes first.

        Args:
            coarse: clock of that search.
            refits: number of rounds of refits of the prior in this one.
        """
        self.costs, self.refits, self.before = FROM_BLOCKS, refits, coarse.steps
        coarse.times, coarse.after, coarse.samples, coarse.compare = self.times, self, 0, False
        coarse.began_s, coarse.later = self.began_s, self.later

    def starts_at(self, coarse: StepClock, *, found: bool) -> None:
        """Begin at the end of the search that went first.

        Args:
            coarse: clock of that search.
            found: whether its end is the start of this one; else this one starts at the prior's mean.
        """
        self.before = coarse.step
        self.costs = FROM_BLOCKS if found else FROM_THE_PRIOR

    def starts_again(self, costs: Sequence[float], *, refits: int) -> None:
        """Expect the steps of a search that starts at the end of this one, under other weights or priors of the waves.

        Args:
            costs: costs of the evaluations that are expected.
            refits: number of rounds of refits of the prior in it.
        """
        self.before += self.step
        self.costs, self.refits, self.step = costs, refits, 0
        self.rounds -= int(costs is FROM_OTHER_WEIGHTS and self.rounds > 0)
        self.recalibrations -= int(costs is FROM_OTHER_PRIORS)

    def begin_step(self, step: int, costs: Sequence[float], *, refits: int) -> None:
        """Begin a step whose length is known.

        Args:
            step: number of the step; the first is 1.
            costs: cost of its evaluation, and of those that are expected after it.
            refits: number of rounds of refits of the prior that are expected after it.
        """
        self.costs, self.step, self.refits = [*self.costs[:step], *costs], step, refits
        if self.after is not None:
            self.after.before = self.steps

    @property
    def steps(self) -> int:
        """Number of steps that are expected in this search."""
        return max(len(self.costs) - 1, self.step)

    @property
    def title(self) -> str:
        """Phrase that names the step, counted over all searches."""
        total = self.before + self.steps + (self.after.steps if self.after else 0)
        total += self.rounds * (len(FROM_OTHER_WEIGHTS) - 1) + self.recalibrations * (len(FROM_OTHER_PRIORS) - 1)
        return f"step {self.before + self.step} of about {total}"

    def zones[T](self, solvers: Sequence[T], solved: Callable[[T], tuple[float, bool] | None]) -> Iterator[T]:
        """Pass zones through while timing them and showing how many are finished.

        Args:
            solvers: this rank's zones.
            solved: function that is called after each zone: returns its cost, and whether it was solved for the first
                time; None where it was not solved.
        """
        passed = _Passed(self.work, len(solvers))
        what = self.title if self.step else "start"

        def line(done: int, total: int) -> str:
            return self._line(what, done, total, passed.share(done))

        shown = Progress("zone", len(solvers), say=line)
        self.times.zones.fade()
        for solver in solvers:
            began = time.perf_counter()
            yield solver
            found = solved(solver)
            if found is not None:
                work, first = found
                self.times.zones.add(time.perf_counter() - began, work * (FIRST if first else 1.0))
            shown.step()

    def calibrations[T](self, solvers: Sequence[T], costs: Sequence[float]) -> Iterator[T]:
        """Pass zones through whose priors of the waves are found, while timing them and showing how many are finished.

        Args:
            solvers: this rank's zones.
            costs: cost of each, in units of zone_cost of a prior that is found again.
        """
        passed = _Passed(self.work, len(solvers))

        def line(done: int, total: int) -> str:
            return self._line("priors of the waves", done, total, 0.0)

        self.uncalibrated = 1.0
        shown = Progress("zone", len(solvers), say=line)
        for number, (solver, cost) in enumerate(zip(solvers, costs, strict=True), start=1):
            began = time.perf_counter()
            yield solver
            self.times.calibrations.add(time.perf_counter() - began, cost)
            self.uncalibrated = 1.0 - passed.share(number)
            shown.step()
        self.uncalibrated = 0.0

    def joined(self, seconds: float) -> None:
        """Record the time of a joint posterior.

        Args:
            seconds: duration of the joint posterior and of its mean, seconds; refits of the prior left out.
        """
        self.times.joint_s, self.times.joint_voxels = seconds, self.voxels

    def finished(self, sentence: str) -> None:
        """Print the result of a finished step, with --verbose.

        Args:
            sentence: objective, misfit and length of the step.
        """
        detail(f"{self.title}: {sentence}")

    def remaining_s(self, done: float = 1.0) -> float | None:
        """Return the seconds until maps are written; None before a joint posterior was timed.

        Args:
            done: share of the work of the present evaluation that is finished.
        """
        if not self.times.known:
            return None
        own = self._seconds(done)
        if self.after is not None:
            own += self.after._seconds(0.0)
        return own + self.later * (time.perf_counter() - self.began_s + own)

    def _seconds(self, done: float) -> float:
        """Return the seconds of the stages to come of this search and after it, those of another clock left out."""
        largest = sum(sorted(self.work)[-REFIT_ZONES:])
        return sum(self.times.seconds(one, sum(self.work), largest, self.voxels) for one in self._stages(done))

    def _stages(self, done: float) -> Iterator[Stage]:
        """Yield the stages to come."""
        now = self.costs[self.step] if self.step < len(self.costs) else LATER
        left = _search([(1.0 - done) * now, *self.costs[self.step + 1 :]], self.refits)
        yield Stage(calibrations=self.uncalibrated)
        yield left
        for _ in range(self.rounds):
            yield _search(FROM_OTHER_WEIGHTS, 0)
        for _ in range(self.recalibrations):
            yield Stage(calibrations=1.0)
            yield _search(FROM_OTHER_PRIORS, 0)
        if self.compare:
            yield EVIDENCE
        yield Stage(draws=self.samples)

    def _line(self, what: str, done: int, total: int, share: float) -> str:
        left = self.remaining_s(share)
        ending = "" if left is None else f", about {duration_text(left)} to the maps"
        return f"{what}, zone {done} of {total}{ending}"


class _Passed:
    """Share of the work of zones that are passed through in turn.

    Args:
        work: cost of each zone.
        count: number of the zones; where their costs are unknown they are taken as equal.
    """

    def __init__(self, work: Sequence[float], count: int) -> None:
        self._work = list(work) if len(work) == count else [1.0] * count

    def share(self, done: int) -> float:
        """Return the share of the work that a number of zones is."""
        return sum(self._work[:done]) / max(sum(self._work), 1e-300)


def _search(costs: Sequence[float], refits: int) -> Stage:
    """Return the work of a search from an evaluation on: one joint posterior after each evaluation."""
    return Stage(sum(costs), len(costs) + (LAST_REFIT if refits else 0.0), refits)
