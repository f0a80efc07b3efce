"""The makespan from the jobs' own seconds is that of the workflow's greedy scheduler."""

from __future__ import annotations

import pytest
from harness.list_schedule import ScheduledJob, makespan


def test_a_job_on_all_cores_waits_for_the_last_one() -> None:
    """This wait is what a calibration on one core costs an inversion on two."""
    jobs = [
        ScheduledJob("long", (), 1, 10.0),
        ScheduledJob("short", (), 1, 2.0),
        ScheduledJob("wide", ("short",), 2, 5.0),
    ]
    assert makespan(jobs, 2) == 15.0
    assert makespan(jobs, 3) == 10.0


def test_jobs_start_by_priority_and_after_their_inputs() -> None:
    """Two chains on one core take their sum in any order; on two cores the longer one must start first."""
    chain = [ScheduledJob("a", (), 1, 4.0, 1), ScheduledJob("b", ("a", "no job"), 1, 4.0, 1)]
    others = [ScheduledJob(name, (), 1, 4.0) for name in "xy"]
    assert makespan([*others, *chain], 1) == 16.0
    assert makespan([*others, *chain], 2) == 8.0
    late = [ScheduledJob(job.name, job.after, 1, job.seconds) for job in (*others, *chain)]
    assert makespan(late, 2) == 12.0


def test_jobs_that_never_start_are_told() -> None:
    """A wrong table of what follows what must not end as a short makespan."""
    with pytest.raises(ValueError, match="wide"):
        makespan([ScheduledJob("wide", (), 3, 1.0)], 2)
    with pytest.raises(ValueError, match="egg"):
        makespan([ScheduledJob("hen", ("egg",), 1, 1.0), ScheduledJob("egg", ("hen",), 1, 1.0)], 2)
