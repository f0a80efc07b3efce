"""The remaining time of an inversion: right where costs go as expected, silent before anything is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from mpi4py import MPI

from palpate.solvers.inversion import time_left
from palpate.solvers.inversion.time_left import FIRST, FROM_BLOCKS, FROM_THE_PRIOR, StepClock
from tests.solvers.inversion.small_fields import CASES, inverted

WORK, PER_WORK_S, JOINT_S = (3000.0, 5000.0, 8000.0, 4000.0), 1e-3, 2.0


def _seconds_after(clock: StepClock, steps: int, done: int) -> float:
    """What is left of a search that takes so many steps at the stated costs, after `done` of them."""
    costs = [*clock.costs, *[time_left.LATER] * 20][: steps + 1]
    zones = PER_WORK_S * sum(WORK) * sum(costs[done + 1 :])
    return zones + JOINT_S * (steps - done + 1) + JOINT_S * time_left.draw_cost(clock.voxels) * clock.samples


def _clock(samples: int = 200) -> StepClock:
    clock = StepClock(WORK, 1000, samples, 0)
    clock.times.zone_s, clock.times.zone_work = PER_WORK_S * sum(WORK) * FIRST, sum(WORK) * FIRST
    clock.joined(JOINT_S, refitted=False)
    return clock


@pytest.mark.parametrize("steps", [4, 5, 7])
def test_estimate_after_the_first_step(steps: int) -> None:
    """Within a factor of 1.5, also where the search takes a step less or two more than usual."""
    clock = _clock()
    clock.step = 1
    left = clock.remaining_s()
    assert left is not None
    assert 1 / 1.5 < left / _seconds_after(clock, steps, 1) < 1.5


@pytest.mark.parametrize(
    ("voxels", "zones_s", "joint_s", "draws_s", "steps"),
    [(20593, 362.0, 29.0, 13.0, 4), (62610, 800.0, 133.0, 99.0, 3), (189713, 3053.0, 881.0, 335.0, 3)],
)
def test_estimate_of_measured_brains(voxels: int, zones_s: float, joint_s: float, draws_s: float, steps: int) -> None:
    """Rank seconds of docs/scaling.md: what the clock says after the first fine step, and what was left of them.

    Before that step lie the blocks (a quarter of an evaluation) and two of the fine search's joint posteriors.
    """
    costs = [*FROM_BLOCKS, time_left.LATER][: steps + 1]
    evaluation_s, posterior_s = zones_s / (0.25 + sum(costs)), joint_s / (steps + 1.2)
    clock = StepClock([1.0], voxels, 100, 0, costs=FROM_BLOCKS)
    clock.times.zone_s, clock.times.zone_work = evaluation_s, 1.0
    clock.joined(posterior_s, refitted=False)
    clock.step = 1
    left = clock.remaining_s()
    assert left is not None
    assert 1 / 1.5 < left / (evaluation_s * sum(costs[2:]) + joint_s - 2.2 * posterior_s + draws_s) < 1.5


@dataclass(frozen=True, slots=True)
class Recording:
    """Seconds that an inversion took, one entry for each evaluation of its zones.

    Attributes:
        voxels: number of voxels.
        zones: number of zones.
        solved: number of zones that each evaluation solved.
        zones_s: seconds of each evaluation.
        joints_s: seconds of the joint posterior before each step, refits of the prior included.
        refitted: whether the prior was refitted before each step.
        end_s: seconds from the last evaluation to the maps.
        samples: number of joint draws.
    """

    voxels: int
    zones: int
    solved: tuple[int, ...]
    zones_s: tuple[float, ...]
    joints_s: tuple[float, ...]
    refitted: tuple[bool, ...]
    end_s: float
    samples: int = 100


def _brain(voxels: int, zones: int, zones_s: float, joint_s: float, draws_s: float, steps: int) -> Recording:
    """The whole brains of docs/scaling.md: their totals, shared out as their steps were."""
    shares = np.array([*FROM_BLOCKS, time_left.LATER][: steps + 1])
    seconds = zones_s * shares / (0.25 + shares.sum())
    solved = np.ceil(zones * np.minimum(shares, 1.0)).astype(int)
    one_s = joint_s / (steps + 1.2)
    joints = (one_s,) * steps
    refitted = (False, True, *(False,) * steps)[:steps]
    return Recording(voxels, zones, tuple(solved), tuple(seconds), joints, refitted, one_s + draws_s)


RECORDINGS = {
    "20593 voxels": _brain(20593, 36, 362.0, 29.0, 13.0, 4),
    "62610 voxels": _brain(62610, 80, 800.0, 133.0, 99.0, 3),
    "189713 voxels": _brain(189713, 522, 3053.0, 881.0, 335.0, 3),
}


def _replayed(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[float, float]]:
    """Yield what the clock says before each zone from the first step on, and when that was; the end comes last."""
    now = 0.0
    monkeypatch.setattr(time_left, "time", SimpleNamespace(perf_counter=lambda: now))
    work = np.random.default_rng(2).uniform(0.3, 1.0, recording.zones)  # zones at the surface are smaller
    clock = StepClock(list(work), recording.voxels, recording.samples, 1, costs=FROM_BLOCKS)
    for step, (count, seconds) in enumerate(zip(recording.solved, recording.zones_s, strict=True)):
        if step:
            now += recording.joints_s[step - 1]
            clock.joined(recording.joints_s[step - 1], refitted=recording.refitted[step - 1])
            clock.step = step
        chosen = {int(place) for place in np.linspace(0, recording.zones - 1, count)}
        cost_s = seconds / work[sorted(chosen)].sum()

        def solved(zone: int, chosen: set[int] = chosen, step: int = step) -> tuple[float, bool] | None:
            return (float(work[zone]), step == 0) if zone in chosen else None

        for zone in clock.zones(range(recording.zones), solved):
            left = clock.remaining_s(zone / recording.zones)
            if step:
                assert left is not None
                yield left, now
            now += cost_s * work[zone] if zone in chosen else 0.0
    yield 0.0, now + recording.end_s


@pytest.mark.parametrize("name", RECORDINGS)
def test_estimates_of_recorded_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a simulated clock: within a factor of 1.5 before every zone from the first step to the maps.

    At the very end a further step may come, which is no more than a twentieth of the whole.
    """
    *said, (_, end) = _replayed(RECORDINGS[name], monkeypatch)
    assert len(said) > RECORDINGS[name].zones
    for left, now in said:
        assert 1 / 1.5 < left / (end - now) < 1.5 or abs(left - (end - now)) < 0.05 * end


def test_a_search_on_blocks_knows_what_comes_after() -> None:
    """The whole inversion is estimated, not the stage: the fine search is most of the work."""
    fine, coarse = StepClock(WORK, 1000, 200, 2), StepClock([work / 20 for work in WORK], 125, 200, 2)
    fine.starts_from(coarse)
    assert coarse.remaining_s() is None
    coarse.times.zone_s, coarse.times.zone_work = PER_WORK_S * 1000.0, 1000.0
    coarse.joined(JOINT_S * (125 / 1000) ** time_left.JOINT_GROWTH, refitted=False)
    coarse.step = 1
    left = coarse.remaining_s()
    zones_s = PER_WORK_S * sum(WORK) * sum(FROM_BLOCKS)
    draws_s = 200 * time_left.draw_cost(1000) * JOINT_S
    assert left is not None
    assert left > zones_s + draws_s
    assert coarse.title == f"step 1 of about {len(FROM_THE_PRIOR) - 1 + len(FROM_BLOCKS) - 1}"
    fine.step = 1
    assert fine.title == "step 6 of about 8"


def test_small_zones_cost_more_than_their_work() -> None:
    """On blocks of voxels zones have some tens of inner nodes: by their work alone they foretold twice the time.

    CPU seconds of zones with 45 and 891 inner nodes in one run, neither of them a first solution.
    """
    small_s, large_s = 0.055, 2.9 / FIRST
    foretold_s = small_s * time_left.zone_cost(891**1.5) / time_left.zone_cost(45**1.5)
    assert 1 / 1.5 < foretold_s / large_s < 1.5


def test_refits_do_not_pass_for_joint_posteriors() -> None:
    """A refit of the prior happens once or twice; taken for the rule it would triple the estimate."""
    clock = _clock()
    before = clock.remaining_s()
    clock.joined(10 * JOINT_S, refitted=True)
    assert clock.remaining_s() == before


def test_log_speaks_to_a_user(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps, zones and minutes; objective and misfit are for those who ask with --verbose."""
    inverted(CASES["plain"], MPI.COMM_SELF)
    said = capsys.readouterr().err
    assert "step 1 of about 5, zone 4 of 4, about" in said
    assert "step 2 of about 5, zone 4 of 4, about" in said
    assert " to the maps" in said
    assert "objective" not in said
