"""Makespan of jobs on some cores, as the greedy scheduler of the workflow would run them, from their own seconds.

A machine that others use as well stretches every wall time. The CPU time of a job hardly changes, and with it this
makespan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScheduledJob:
    """Job of a workflow.

    Attributes:
        name: name of the job.
        after: names of the jobs that must have ended before it starts; names of no job are left out.
        cores: number of cores that it takes.
        seconds: time that it takes, seconds.
        priority: priority among jobs that are ready; higher ones start first.
    """

    name: str
    after: tuple[str, ...]
    cores: int
    seconds: float
    priority: int = 0

    def __post_init__(self) -> None:
        if self.cores < 1 or self.seconds < 0.0:
            raise ValueError(f"{self.name}: {self.cores} cores, {self.seconds} s")


def makespan(jobs: Sequence[ScheduledJob], cores: int) -> float:
    """Return the time until all jobs have ended, seconds.

    Whenever a job ends, those that are ready start by falling priority, as far as they fit; of equal ones the first.

    Args:
        jobs: jobs, each with a name of its own.
        cores: number of cores.

    Raises:
        ValueError: a job needs more cores, or jobs wait for each other.
    """
    names, ended = {job.name for job in jobs}, set[str]()
    waiting, running, now = sorted(jobs, key=lambda job: -job.priority), list[tuple[float, ScheduledJob]](), 0.0
    while waiting or running:
        free = cores - sum(job.cores for _, job in running)
        for job in list(waiting):
            if job.cores <= free and ended.issuperset(names.intersection(job.after)):
                waiting.remove(job)
                running.append((now + job.seconds, job))
                free -= job.cores
        if not running:
            raise ValueError(f"never starts: {', '.join(job.name for job in waiting)}")
        now = min(end for end, _ in running)
        ended |= {job.name for end, job in running if end <= now}
        running = [(end, job) for end, job in running if end > now]
    return now
