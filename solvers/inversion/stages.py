"""Stages of an inversion as amounts of work, and the seconds of each kind of work.

Every stage that is still to come is a Stage: numbers of units of work. Every unit's cost is measured as soon as one was
done, on this rank. Until then it follows from another unit's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

ZONE_OVERHEAD: Final = 400.0
"""Cost that does not depend on a zone's size, in units of Zone.work. Measured: 0.055 s for a zone of 45 interior nodes
(work 302) and 2.1 s for one of 891 (26596), CPU seconds in one run."""

FIRST: Final = 1.1
"""Cost of a zone's first solution, over that of a later one: 1.4 in whole brains, 1 in the demo and a liver."""

FIRST_CALIBRATION: Final = 1.8
"""Cost of finding the prior of a zone's waves for the first time, over that of finding it again. In a liver it was 1.7
to 2.0."""

DRAW, DRAW_VOXELS, DRAW_POWER = 0.04, 2000, -0.15
"""Cost of a draw over that of a joint posterior: 0.035 for 4000 voxels, 0.03 for 6000, 0.02 in a whole brain."""

REFIT_ZONES: Final = 6
"""Number of zones to which the prior is refitted."""
REFIT: Final = 0.2
"""Cost of a round of a refit of the prior on its zones, over that of solving them."""

JOINT_GROWTH: Final = 1.3
"""Power of the number of voxels with which joint posteriors grow."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Work of a stage, in units.

    Attributes:
        evaluations: evaluations of all zones, each solved once.
        posteriors: joint posteriors of all zones.
        refits: rounds of refits of the prior.
        calibrations: priors of the waves of all zones, found again.
        draws: joint draws.
    """

    evaluations: float = 0.0
    posteriors: float = 0.0
    refits: float = 0.0
    calibrations: float = 0.0
    draws: float = 0.0


@dataclass(slots=True)
class MeasuredUnit:
    """Seconds of one kind of work so far.

    Attributes:
        seconds: duration of the work.
        work: amount of the work, in units of zone_cost.
    """

    seconds: float = 0.0
    work: float = 0.0

    def add(self, seconds: float, work: float) -> None:
        """Record work.

        Args:
            seconds: duration of the work.
            work: amount of the work, in units of zone_cost.
        """
        self.seconds += seconds
        self.work += work

    def fade(self) -> None:
        """Let earlier work count for half, since others may use the machine more or less than before."""
        self.seconds, self.work = 0.5 * self.seconds, 0.5 * self.work

    @property
    def each(self) -> float:
        """Seconds of a unit of work; 0 before any was measured."""
        return self.seconds / self.work if self.work else 0.0


@dataclass(slots=True)
class MeasuredTimes:
    """Seconds of units of work, measured on this rank and shared by all searches of an inversion.

    Attributes:
        zones: solutions of zones.
        calibrations: priors of zones' waves, each as if it were found again.
        joint_s: seconds of the last joint posterior; 0 before the first.
        joint_voxels: number of voxels of that joint posterior.
    """

    zones: MeasuredUnit = field(default_factory=MeasuredUnit)
    calibrations: MeasuredUnit = field(default_factory=MeasuredUnit)
    joint_s: float = 0.0
    joint_voxels: int = 1

    @property
    def known(self) -> bool:
        """Whether there are measured times to estimate by."""
        return self.zones.work > 0.0 and self.joint_s > 0.0

    def joint(self, voxels: int) -> float:
        """Return the seconds of a joint posterior over a number of voxels."""
        return self.joint_s * float((voxels / self.joint_voxels) ** JOINT_GROWTH)

    def seconds(self, stage: Stage, work: float, largest: float, voxels: int) -> float:
        """Return the seconds of a stage.

        Args:
            stage: numbers of units.
            work: cost of all zones of this rank, see zone_cost.
            largest: cost of the zones to which the prior is refitted.
            voxels: number N of voxels of the mask.
        """
        return (
            self.zones.each * (work * stage.evaluations + REFIT * largest * stage.refits)
            + self.calibrations.each * work * stage.calibrations
            + self.joint(voxels) * (stage.posteriors + draw_cost(voxels) * stage.draws)
        )


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
