"""Scores of forecasts against what was seen later: coverage, CRPS, and the expected calibration error.

coverage of a level = share of truths in the central interval of that probability, with Wilson's 95 % interval
ECE = mean over levels of |coverage - level|
CRPS = E|X - y| - E|X - X'| / 2, smaller is better
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.draw_scores import crps, wilson

type Values = NDArray[np.float64]

LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
"""Probabilities of the intervals."""


@dataclass(frozen=True, slots=True)
class HiddenValue:
    """Forecast of one quantity on the day of a hidden scan, and what the scan showed.

    Attributes:
        subject: BIDS label.
        quantity: name of the quantity, such as "visible_ml".
        days: days from the last scan that the twin got to the hidden one.
        seen: value that the hidden scan shows.
        last: value that the scan before it shows.
        rank: share of the draws below `seen`, with half of those equal to it.
        held: whether the interval of each of LEVELS holds `seen`.
        median: median of the draws.
        score: CRPS of the draws.
        score_of_last: CRPS of the forecast that nothing changes, which is the absolute change.
        draws: number of draws.
    """

    subject: str
    quantity: str
    days: float
    seen: float
    last: float
    rank: float
    held: tuple[bool, ...]
    median: float
    score: float
    score_of_last: float
    draws: int


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Scores of one quantity over a group of subjects.

    Attributes:
        group: name of the group, "all" or a fact such as "age 50 to 65".
        quantity: name of the quantity.
        subjects: number of subjects.
        coverage: share of the subjects whose interval holds what was seen, for each of LEVELS.
        wilson: Wilson's 95 % interval of each share.
        ece: expected calibration error.
        score: mean CRPS, in the quantity's unit.
        score_of_last: mean CRPS of the forecast that nothing changes.
    """

    group: str
    quantity: str
    subjects: int
    coverage: tuple[float, ...]
    wilson: tuple[tuple[float, float], ...]
    ece: float
    score: float
    score_of_last: float


def hidden_value(subject: str, quantity: str, days: float, draws: Values, seen: float, last: float) -> HiddenValue:
    """Return how a forecast met what was seen.

    Args:
        subject: BIDS label.
        quantity: name of the quantity.
        days: days from the last scan that the twin got to the hidden one.
        draws: draws of what a scan would show, shape (n,).
        seen: value that the hidden scan shows.
        last: value that the scan before it shows.
    """
    ends = [np.quantile(draws, [0.5 - level / 2.0, 0.5 + level / 2.0]) for level in LEVELS]
    score = float(crps(draws[:, None], np.array([seen]))[0])
    rank = float(np.mean(draws < seen) + 0.5 * np.mean(draws == seen))
    held = tuple(bool(low <= seen <= high) for low, high in ends)
    return HiddenValue(
        subject, quantity, days, seen, last, rank, held, float(np.median(draws)), score, abs(seen - last), len(draws)
    )


def group_score(group: str, values: Sequence[HiddenValue]) -> GroupScore:
    """Return the scores of one quantity over a group.

    Args:
        group: name of the group.
        values: forecasts of one quantity, one a subject, at least one.
    """
    held = np.array([one.held for one in values])
    coverage = held.mean(axis=0)
    return GroupScore(
        group,
        values[0].quantity,
        len(values),
        tuple(float(one) for one in coverage),
        tuple(wilson(int(count), len(values)) for count in held.sum(axis=0)),
        float(np.abs(coverage - np.array(LEVELS)).mean()),
        float(np.mean([one.score for one in values])),
        float(np.mean([one.score_of_last for one in values])),
    )
