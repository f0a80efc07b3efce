"""Estimates of the time that a study still takes, from the recorded seconds of its finished steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from palpate.resources import Use
from palpate.service.study.states import StageState, StudyProgress, StudyUnit

_LEFT = (StageState.WAITING, StageState.RUNNING)


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """Estimate of the time that the steps take which run or have not begun; sessions that failed are left out.

    Attributes:
        serial_s: sum of the steps' times, one after another, seconds; a step takes the median of the finished ones.
        at_once: steps that ran at one time so far, on average.
        elapsed_s: time until the last step ends at that pace, seconds; never less than that of one session alone.
        steps: number of these steps.
        unknown: names of the steps among them that nobody has finished, so that they are not in the sums.
    """

    serial_s: float
    at_once: float
    elapsed_s: float
    steps: int
    unknown: tuple[str, ...]


def time_left(progress: StudyProgress) -> TimeLeft:
    """Return the estimate of the time that a study still takes.

    Args:
        progress: progress of the study.
    """
    used = [one.used for unit in progress.units for one in unit.stages if one.used is not None]
    typical_s = _typical_s(progress)
    going_on = [unit for unit in progress.units if unit.state is not StageState.FAILED]
    left = [[one.stage.name for one in unit.stages if one.state in _LEFT] for unit in going_on]
    sums = [sum(typical_s.get(name, 0.0) for name in names) for names in left]
    at_once = _at_once(used)
    unknown = dict.fromkeys(name for names in left for name in names if name not in typical_s)
    elapsed_s = max([sum(sums) / at_once, *sums])
    return TimeLeft(sum(sums), at_once, elapsed_s, sum(map(len, left)), tuple(unknown))


def _typical_s(progress: StudyProgress) -> dict[str, float]:
    """Return the median time of each finished step, seconds."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for unit in progress.units:
        for name, used in _recorded(unit):
            seconds[name].append(used.wall_s)
    return {name: median(values) for name, values in seconds.items()}


def _recorded(unit: StudyUnit) -> Iterable[tuple[str, Use]]:
    return ((one.stage.name, one.used) for one in unit.stages if one.used is not None)


def _at_once(used: Sequence[Use]) -> float:
    """Return how many steps ran at one time on average, over the time in which at least one ran; at least 1."""
    ends = [datetime.fromisoformat(one.finished).timestamp() for one in used]
    spans = sorted((end - one.wall_s, end) for one, end in zip(used, ends, strict=True))
    busy = covered = 0.0
    until = float("-inf")
    for begin, end in spans:
        busy += end - begin
        covered += max(end - max(begin, until), 0.0)
        until = max(until, end)
    return max(busy / covered, 1.0) if covered > 0.0 else 1.0
