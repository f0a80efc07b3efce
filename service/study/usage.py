"""Requested against used resources of each step over a study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from palpate.resources import Use
from palpate.service.study.stages import GROUP_STAGES, SESSION_STAGES, TUMOUR_STAGES
from palpate.service.study.states import StudyProgress


@dataclass(frozen=True, slots=True)
class Amount:
    """Amount of one resource over the finished steps of one kind.

    Attributes:
        typical: median of what was used.
        most: largest of what was used.
        requested: largest of what was reserved; None where no record says so.
    """

    typical: float
    most: float
    requested: float | None

    @property
    def most_share(self) -> float | None:
        """Largest use over what was reserved."""
        return self.most / self.requested if self.requested else None


@dataclass(frozen=True, slots=True)
class StageUsage:
    """Use of one step over all sessions in which a record of it stands.

    Attributes:
        name: name of the step.
        count: number of records.
        wall_s: elapsed time, seconds.
        memory_mb: memory of all ranks together, MB.
        threads: processor cores; what was used is the CPU time over the elapsed time.
        cpu_s: median CPU time of all ranks together, seconds.
        ranks: largest number of ranks.
    """

    name: str
    count: int
    wall_s: Amount
    memory_mb: Amount
    threads: Amount
    cpu_s: float
    ranks: int


def usage_by_stage(progress: StudyProgress) -> tuple[StageUsage, ...]:
    """Return the use of each step, in the order of the steps; steps without any record are left out.

    Args:
        progress: progress of the study.
    """
    used: defaultdict[str, list[Use]] = defaultdict(list)
    for unit in progress.units:
        for one in unit.stages:
            if one.used is not None:
                used[one.stage.name].append(one.used)
    order = [stage.name for stage in (*SESSION_STAGES, *TUMOUR_STAGES, *GROUP_STAGES)]
    return tuple(_usage(name, used[name]) for name in order if name in used)


def _usage(name: str, used: Sequence[Use]) -> StageUsage:
    requests = [requested_amounts(one.requested) for one in used]
    return StageUsage(
        name,
        len(used),
        _amount([one.wall_s for one in used], [one.get("wall_s") for one in requests]),
        _amount([one.peak_memory_mb for one in used], [one.get("memory_mb") for one in requests]),
        _amount([one.cpu_s / max(one.wall_s, 1e-3) for one in used], [one.get("threads") for one in requests]),
        median(one.cpu_s for one in used),
        max(len(one.ranks) for one in used),
    )


def requested_amounts(requested: Mapping[str, float]) -> dict[str, float]:
    """Return what was reserved in the units of what was used: memory_mb, wall_s and threads, where they are known.

    Args:
        requested: reserved resources by Snakemake's names.
    """
    threads = requested.get("threads")
    per_core = requested.get("mem_mb_per_cpu")
    memory = requested.get("mem_mb", per_core * threads if per_core and threads else None)
    runtime = requested.get("runtime")
    found = {"memory_mb": memory, "wall_s": 60.0 * runtime if runtime else None, "threads": threads}
    return {name: value for name, value in found.items() if value is not None}


def _amount(used: Sequence[float], requested: Sequence[float | None]) -> Amount:
    known = [one for one in requested if one is not None]
    return Amount(median(used), max(used), max(known) if known else None)
