"""Remaining time of an inversion: the measured times of its zones and joint posteriors, times the number left of each.

The cost of a zone is proportional to Zone.work and a constant, which counts for the small zones of blocks. An
evaluation of all zones costs less from step to step, since zones that hardly move are not solved again; the first one
costs more, since directions are not known yet. A joint posterior belongs to each step, and the draws at the end cost as
several of them. Shares and numbers of steps are those of the runs in docs/scaling.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from palpate.progress import Progress, detail, duration_text

FROM_THE_PRIOR: Final = (1.4, 1.0, 1.0, 0.8, 0.3, 0.1)
"""Cost of the evaluations of a search that starts at the prior's mean, in evaluations of all zones; five steps."""

FROM_BLOCKS: Final = (1.4, 0.7, 0.4, 0.1)
"""Cost of the evaluations of a search that starts at the result on blocks of voxels, in evaluations of all zones; three
steps."""

FROM_OTHER_WEIGHTS: Final = (1.0, 0.7, 0.3)
"""Cost of the evaluations of a search that starts at the result under other weights of the data, in evaluations of all
zones; two steps."""

EXPECTED_ROUNDS: Final = 4
"""Number of searches with other weights of the data, where errors are not Gaussian."""

ZONE_OVERHEAD: Final = 400.0
"""Cost that does not depend on a zone's size, in units of Zone.work. Measured: 0.055 s for a zone of 45 interior nodes
(work 302) and 2.1 s for one of 891 (26596), CPU seconds in one run."""

FIRST: Final = 1.4
"""Cost of a zone's first solution, over that of a later one."""

LATER: Final = 0.1
"""Cost of evaluations beyond the expected ones."""

DRAW, DRAW_VOXELS, DRAW_POWER = 0.05, 2000, -0.2
"""Cost of a draw over that of a joint posterior: 0.05 where there are 2000 voxels, 0.02 in a whole brain."""

REFIT_ZONES: Final = 6
"""Number of zones to which the prior is refitted."""
REFIT: Final = 0.4
"""Cost of a refit of the prior on its zones, over that of solving them."""

JOINT_GROWTH: Final = 1.3
"""Power of the number of voxels with which joint posteriors grow."""


@dataclass(slots=True)
class MeasuredTimes:
    """Seconds that work took so far, shared by both stages of an inversion.

    Attributes:
        zone_s: seconds of solving zones.
        zone_work: cost of these zones, see zone_cost.
        joint_s: seconds of the last joint posterior; 0 before the first.
        joint_voxels: number of voxels of that joint posterior.
    """

    zone_s: float = 0.0
    zone_work: float = 0.0
    joint_s: float = 0.0
    joint_voxels: int = 1

    @property
    def known(self) -> bool:
        """Whether there are measured times to estimate by."""
        return self.zone_work > 0.0 and self.joint_s > 0.0

    def joint(self, voxels: int) -> float:
        """Return the seconds of a joint posterior over a number of voxels."""
        return self.joint_s * float((voxels / self.joint_voxels) ** JOINT_GROWTH)


def zone_cost(work: float) -> float:
    """Return the cost of solving a zone, in units of Zone.work.

    Args:
        work: work of the zone, see Zone.work.
    """
    return work + ZONE_OVERHEAD


def draw_cost(voxels: int) -> float:
    """Return the cost of a joint draw, in joint posteriors.

    Args:
        voxels: number N of voxels of the mask.
    """
    return DRAW * float((voxels / DRAW_VOXELS) ** DRAW_POWER)


@dataclass(slots=True)
class StepClock:
    """Progress and remaining time of one search for the posterior's maximum, on this rank.

    Attributes:
        work: costs of this rank's zones, all frequencies, see zone_cost.
        voxels: number N of voxels of the mask.
        samples: joint draws at the end; 0 where the search is only a start for another one.
        refits: number of refits of the prior that are left.
        times: measured times, shared with the search that comes before or after.
        costs: costs of the expected evaluations, in evaluations of all zones; one more than there are steps.
        after: clock of the search for which this one provides the start; None for the last search.
        before: number of steps of the search that this one started from.
        step: number of the step under way; 0 is the evaluation at the start.
        rounds: number of searches with other weights of the data that are expected after this one.
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

    def starts_from(self, coarse: StepClock) -> None:
        """Expect to start at the end of another search, which goes first.

        Args:
            coarse: clock of that search.
        """
        self.costs, self.refits, self.before = FROM_BLOCKS, min(self.refits, 1), coarse.steps
        coarse.times, coarse.after, coarse.samples = self.times, self, 0

    def starts_again(self, *, refits: int) -> None:
        """Expect the steps of a search that starts at the end of this one, with other weights of the data.

        Args:
            refits: number of refits of the prior in it.
        """
        self.costs, self.refits, self.step, self.before = FROM_OTHER_WEIGHTS, refits, 0, 0
        self.rounds = max(self.rounds - 1, 0)

    @property
    def steps(self) -> int:
        """Number of steps that are expected in this search."""
        return max(len(self.costs) - 1, self.step)

    @property
    def title(self) -> str:
        """Phrase that names the step, counted over both searches."""
        total = self.before + self.steps + (self.after.steps if self.after else 0)
        return f"step {self.before + self.step} of about {total}"

    def zones[T](self, solvers: Sequence[T], solved: Callable[[T], tuple[float, bool] | None]) -> Iterator[T]:
        """Pass zones through while timing them and showing how many are finished.

        Args:
            solvers: this rank's zones.
            solved: function that is called after each zone: returns its cost, and whether it was solved for the first
                time; None where it was not solved.
        """
        shown = Progress("zone", len(solvers), say=self._line)
        for solver in solvers:
            began = time.perf_counter()
            yield solver
            found = solved(solver)
            if found is not None:
                work, first = found
                self.times.zone_s += time.perf_counter() - began
                self.times.zone_work += work * (FIRST if first else 1.0)
            shown.step()

    def joined(self, seconds: float, *, refitted: bool) -> None:
        """Record the time of a joint posterior, refits of the prior included.

        Args:
            seconds: duration of the joint posterior, seconds.
            refitted: whether the prior was refitted before it; the time then does not apply to the next one.
        """
        if refitted:
            self.refits -= 1
        if not refitted or self.times.joint_s == 0.0:
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
            done: share of the zones of the present step that are finished.
        """
        if not self.times.known:
            return None
        own = self._full_s(self.step, done)
        return own if self.after is None else own + self.after._full_s(0, 0.0)

    def _full_s(self, step: int, done: float) -> float:
        """Return seconds of this search from a step on, and of the draws."""
        per_work = self.times.zone_s / self.times.zone_work
        evaluations = sum(self.costs[step + 1 :]) + (1.0 - done) * self._cost(step)
        evaluations += self.rounds * sum(FROM_OTHER_WEIGHTS)
        joint_s = self.times.joint(self.voxels)
        posteriors = self.steps - step + 1  # one before each step, and one for the draws
        posteriors += self.rounds * len(FROM_OTHER_WEIGHTS)
        largest = sum(sorted(self.work)[-REFIT_ZONES:])
        refits_s = max(self.refits, 0) * REFIT * per_work * largest
        return (
            per_work * sum(self.work) * evaluations
            + joint_s * posteriors
            + joint_s * draw_cost(self.voxels) * self.samples
            + refits_s
        )

    def _cost(self, step: int) -> float:
        return self.costs[step] if step < len(self.costs) else LATER

    def _line(self, done: int, total: int) -> str:
        what = self.title if self.step else "start"
        return f"{what}, zone {done} of {total}{self._left_text(done / max(total, 1))}"

    def _left_text(self, done: float) -> str:
        left = self.remaining_s(done)
        return "" if left is None else f", about {duration_text(left)} to the maps"
